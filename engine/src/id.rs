//! The id of a verification: what its holder knows, and what the server keeps of it.
//!
//! ```text
//! vrf_ SSSSSSSSSSS SSSSSSSSSSS RRR      base62
//!      └── 128 secret bits ──┘ └ route, masked by a keyed hash of the secret
//! ```
//!
//! The server keeps a digest only. The route says which shard holds the slot; since it is masked,
//! it tells the holder nothing, and two ids of one inbox look unrelated. The digest covers the
//! whole text: an id with a changed route is unknown, even if it leads to the same shard.

use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::entropy::Entropy;
use crate::route::{Digest128, IdDigest, Route, StartKeys};

const PREFIX: &str = "vrf_";
const HALF_DIGITS: usize = 11; // 62^11 > 2^64
const ROUTE_DIGITS: usize = 3; // 62^3 > 2^16
/// Length of an id in characters.
pub const ID_CHARS: usize = PREFIX.len() + 2 * HALF_DIGITS + ROUTE_DIGITS;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// 128 bits that only the holder of the id knows.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct IdSecret([u8; 16]);

impl IdSecret {
    /// Draws a fresh secret.
    pub fn draw(entropy: &mut impl Entropy) -> Self {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes);
        Self(bytes)
    }

    /// The secret for a request under an idempotency key: the same request derives the same id
    /// again, and the stored salt alone is not enough to derive it.
    pub fn derive(keys: &StartKeys, scope: &[u8], idempotency_key: &[u8], salt: &Digest128) -> Self {
        let digest: Digest128 = keys.scoped("verification id", &[scope, idempotency_key, &salt.0]);
        Self(digest.0)
    }
}

impl std::fmt::Debug for IdSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdSecret(..)")
    }
}

/// A verification id as the caller holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerificationId {
    secret: IdSecret,
    masked_route: u16,
    /// Digest of the text, which the server knows the id by.
    digest: IdDigest,
}

impl VerificationId {
    /// The id whose slot lives at `route`.
    pub fn new(keys: &StartKeys, secret: IdSecret, route: Route) -> Self {
        let mask = mask(&keys.id_hash(&secret.0));
        Self::of(secret, route.0 ^ mask)
    }

    fn of(secret: IdSecret, masked_route: u16) -> Self {
        let digest = digest(&print(&secret, masked_route).0);
        Self { secret, masked_route, digest }
    }

    /// Parses an id. `None` for anything but the one spelling that [`Self::text`] gives; the caller
    /// gets the answer for an unknown verification.
    pub fn parse(text: &str) -> Option<Self> {
        let text: &[u8; ID_CHARS] = text.as_bytes().try_into().ok()?;
        let digits = text.strip_prefix(PREFIX.as_bytes())?;
        let (high, rest) = digits.split_at(HALF_DIGITS);
        let (low, route) = rest.split_at(HALF_DIGITS);
        let mut secret = [0; 16];
        secret[..8].copy_from_slice(&number(high)?.to_be_bytes());
        secret[8..].copy_from_slice(&number(low)?.to_be_bytes());
        let masked_route = u16::try_from(number(route)?).ok()?;
        Some(Self { secret: IdSecret(secret), masked_route, digest: digest(text) })
    }

    /// The id as its holder sees it.
    pub fn text(&self) -> IdText {
        print(&self.secret, self.masked_route)
    }

    /// The shard that holds its slot.
    pub fn route(&self, keys: &StartKeys) -> Route {
        Route(self.masked_route ^ mask(&keys.id_hash(&self.secret.0)))
    }

    /// What the server looks up: the first half of the SHA-256 of the text. It is not keyed, so
    /// that the holder of an id can tell which verification an event is about; its 128 secret bits
    /// can't be searched.
    pub fn digest(&self) -> IdDigest {
        self.digest
    }

    /// MAC over a code, keyed with the server's key and this id's secret. SHA-256 over one block of
    /// fixed length, as in [`StartKeys::id_hash`]; HMAC's four blocks would be most of the hashing
    /// of an issue and its check.
    pub(crate) fn code_mac<const N: usize>(&self, keys: &StartKeys, packed: &[u8; N]) -> Digest128 {
        let mut hash = Sha256::new();
        hash.update(keys.code);
        hash.update(self.secret.0);
        hash.update(packed);
        Digest128::half_of(hash.finalize().into())
    }

    /// The id of the one receipt this verification can earn. It is derived, not stored, so that a
    /// repeated answer carries the same one.
    pub fn receipt_id(&self, keys: &StartKeys) -> Digest128 {
        keys.scoped("receipt id", &[&self.secret.0])
    }
}

/// The printed form of an id.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct IdText([u8; ID_CHARS]);

impl IdText {
    /// The characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl std::fmt::Debug for IdText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IdText(..)")
    }
}

/// Prints any 128-bit digest in base62, 22 characters: receipt and request ids use it too.
pub fn base62(digest: &Digest128) -> String {
    let mut out = [0; 2 * HALF_DIGITS];
    let (high, low) = digest.0.split_at(8);
    digits(be_u64(high), &mut out[..HALF_DIGITS]);
    digits(be_u64(low), &mut out[HALF_DIGITS..]);
    std::str::from_utf8(&out).unwrap_or_default().to_owned()
}

fn print(secret: &IdSecret, masked_route: u16) -> IdText {
    let mut out = [0; ID_CHARS];
    out[..PREFIX.len()].copy_from_slice(PREFIX.as_bytes());
    let (high, low) = secret.0.split_at(8);
    let mut at = PREFIX.len();
    for (value, width) in
        [(be_u64(high), HALF_DIGITS), (be_u64(low), HALF_DIGITS), (u64::from(masked_route), ROUTE_DIGITS)]
    {
        digits(value, &mut out[at..at + width]);
        at += width;
    }
    IdText(out)
}

fn digest(text: &[u8; ID_CHARS]) -> IdDigest {
    Digest128::half_of(Sha256::digest(text).into()).into()
}

fn mask(hash: &[u8; 32]) -> u16 {
    u16::from_be_bytes([hash[16], hash[17]])
}

fn be_u64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

fn digits(mut value: u64, out: &mut [u8]) {
    for place in out.iter_mut().rev() {
        *place = ALPHABET[(value % 62) as usize];
        value /= 62;
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |value, &digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'A'..=b'Z' => digit - b'A' + 10,
            b'a'..=b'z' => digit - b'a' + 36,
            _ => return None,
        };
        value.checked_mul(62)?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Seeded;

    #[test]
    fn an_id_survives_printing_and_leads_home() {
        let mut entropy = Seeded::new(1);
        let keys = StartKeys::draw(&mut entropy);
        for n in 0..2_000u16 {
            let route = Route(n.wrapping_mul(31));
            let id = VerificationId::new(&keys, IdSecret::draw(&mut entropy), route);
            let again = VerificationId::parse(id.text().as_str()).unwrap();
            assert_eq!(again, id);
            assert_eq!(again.route(&keys), route);
        }
    }

    #[test]
    fn only_one_spelling_is_an_id() {
        let keys = StartKeys::draw(&mut Seeded::new(2));
        let id = VerificationId::new(&keys, IdSecret([0xff; 16]), Route(7));
        let text = id.text().as_str().to_owned();
        assert!(VerificationId::parse(&text).is_some());
        for other in [
            text.to_uppercase(),
            format!("{text}0"),
            text[1..].to_owned(),
            text.replace("vrf_", "vrf-"),
            format!("vrf_{}", "z".repeat(25)), // past 2^64
            format!("vrf_{}é", &text[4..27]),
        ] {
            assert_eq!(VerificationId::parse(&other), None, "{other}");
        }
    }

    #[test]
    fn an_id_with_another_route_is_another_id() {
        let mut entropy = Seeded::new(4);
        let keys = StartKeys::draw(&mut entropy);
        let id = VerificationId::new(&keys, IdSecret::draw(&mut entropy), Route(9));
        for change in 1..=u16::MAX {
            let other = VerificationId::of(id.secret.clone(), id.masked_route ^ change);
            assert!(other.digest() != id.digest());
        }
    }

    #[test]
    fn the_route_in_an_id_tells_its_holder_nothing() {
        let mut entropy = Seeded::new(3);
        let keys = StartKeys::draw(&mut entropy);
        let masked: std::collections::HashSet<u16> = (0..256)
            .map(|_| VerificationId::new(&keys, IdSecret::draw(&mut entropy), Route(9)).masked_route)
            .collect();
        assert!(masked.len() > 200, "one inbox, {} different route fields", masked.len());
    }
}
