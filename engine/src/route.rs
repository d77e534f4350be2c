//! Who owns what: keyed hashing of inboxes, ids and idempotency keys onto shards.
//!
//! Every hash here is keyed with [`StartKeys`], drawn at process start and never stored, so nobody can
//! aim at a shard from outside (A68), two runs spread the same inbox differently, and a fingerprint in
//! a memory image says nothing about the address without the key beside it.

use std::num::{NonZeroU32, NonZeroU64};

use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::entropy::Entropy;
use crate::identity::{KeyDigest, Mode, ProjectId};
use crate::peer::{Peer, Prefix};

/// Which shard something lives on: the top of a keyed hash, not yet reduced to a shard count, so that
/// it still means the same after the number of shards changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Route(pub(crate) u16);

impl Route {
    /// The shard's index among `shards`.
    pub fn shard(self, shards: usize) -> usize {
        (usize::from(self.0) * shards) >> 16
    }
}

/// A keyed 128-bit digest. What it is of, its alias says.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Zeroize)]
pub struct Digest128(pub(crate) [u8; 16]);

impl std::fmt::Debug for Digest128 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest128(..)")
    }
}

impl Digest128 {
    /// A digest made elsewhere, or 128 random bits.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bits.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The first half of a SHA-256; the other one is wiped.
    pub(crate) fn half_of(mut full: [u8; 32]) -> Self {
        let mut half = [0; 16];
        half.copy_from_slice(&full[..16]);
        full.zeroize();
        Self(half)
    }

    /// The shard that owns what this is the digest of.
    pub fn route(&self) -> Route {
        Route(u16::from_be_bytes([self.0[0], self.0[1]]))
    }

    /// Bits for an in-shard table. Skips the two bytes that chose the shard, and the four that name a
    /// fingerprint's domain, which many inboxes share.
    pub(crate) fn table_bits(&self) -> u64 {
        let mut bits = [0; 8];
        bits.copy_from_slice(&self.0[4..12]);
        u64::from_le_bytes(bits)
    }

    /// Of a fingerprint: the domain that its last four bytes name, if it is one that mails are counted for.
    pub fn domain(&self) -> Option<DomainTag> {
        let [.., a, b, c, d] = self.0;
        NonZeroU32::new(u32::from_be_bytes([a, b, c, d])).map(DomainTag)
    }
}

/// A registrable domain that is no known mailbox provider's, by 32 keyed bits: enough to count its mails, and
/// few enough to stand in a [`Fingerprint`], so that a right code tells which domain it came from. Two domains
/// share a tag, and a limit, by a chance of one in 2³².
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DomainTag(NonZeroU32);

impl std::fmt::Debug for DomainTag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DomainTag(..)")
    }
}

impl DomainTag {
    /// The shard that counts the domain's mails.
    pub fn route(self) -> Route {
        Route((self.0.get() >> 16) as u16)
    }

    /// Bits for an in-shard index, whose upper half it compares.
    pub(crate) fn table_bits(self) -> u64 {
        // The top half chose the shard: so the halves change places.
        u64::from(self.0.get().rotate_left(16)) << 32
    }
}

/// A peer's line, an IPv4 address or an IPv6 /56, by 32 keyed bits: whose share of an inbox or of a domain a mail
/// uses. A home line is one share, however many /64s it has.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerShare(NonZeroU32);

impl std::fmt::Debug for PeerShare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PeerShare(..)")
    }
}

impl PeerShare {
    fn of(hash: [u8; 32]) -> Self {
        let [.., a, b, c, d] = hash;
        Self(NonZeroU32::new(u32::from_be_bytes([a, b, c, d])).unwrap_or(NonZeroU32::MIN))
    }

    pub(crate) fn bits(self) -> u32 {
        self.0.get()
    }

    pub(crate) fn from_bits(bits: u32) -> Option<Self> {
        NonZeroU32::new(bits).map(Self)
    }
}

/// Keyed digest of a canonical recipient: the name of an inbox.
pub type Fingerprint = Digest128;

/// Keyed digest of a peer's /32 or /64: names it in a log.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerDigest(NonZeroU64);

impl PeerDigest {
    /// The bits.
    pub fn to_bytes(self) -> [u8; 8] {
        self.0.get().to_le_bytes()
    }
}

impl std::fmt::Display for PeerDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl std::fmt::Debug for PeerDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PeerDigest(..)")
    }
}

/// The secrets of one process life. Half of what protects a code; the other half is in the caller's id.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct StartKeys {
    inbox: [u8; 32],
    pub(crate) id: [u8; 32],
    pub(crate) code: [u8; 32],
    scope: [u8; 32],
    peer: [u8; 32],
}

impl std::fmt::Debug for StartKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StartKeys(..)")
    }
}

impl StartKeys {
    /// Draws fresh keys.
    pub fn draw(entropy: &mut impl Entropy) -> Self {
        let mut keys = Self { inbox: [0; 32], id: [0; 32], code: [0; 32], scope: [0; 32], peer: [0; 32] };
        for key in [&mut keys.inbox, &mut keys.id, &mut keys.code, &mut keys.scope, &mut keys.peer] {
            entropy.fill(key);
        }
        keys
    }

    /// Names an inbox by its canonical address, and in its last four bytes the [`DomainTag`] of this domain, if one is
    /// given whose mails are to be counted; else zeros.
    pub fn inbox(&self, canonical: &str, counted_domain: Option<&str>, mode: Mode) -> Fingerprint {
        let mut inbox = self.fingerprint(canonical, mode);
        let tag = counted_domain.map_or([0; 4], |domain| {
            let [a, b, c, d, ..] = keyed(&self.inbox, b"domain", &[domain.as_bytes()]).0;
            [a, b, c, d]
        });
        inbox.0[12..].copy_from_slice(&tag);
        inbox
    }

    /// Names an inbox by its canonical address alone.
    pub fn fingerprint(&self, canonical: &str, mode: Mode) -> Fingerprint {
        keyed(&self.inbox, mode.name().as_bytes(), &[canonical.as_bytes()])
    }

    /// Digest of [`Recipient::exact`](crate::recipient::Recipient::exact), to tell whether a later request means the
    /// same address. The ASCII case of the local part is folded: phones' keyboards capitalise the first letter at one
    /// time and not at another, and a person means one mailbox by both. Case beyond ASCII and sub-addresses are not
    /// folded.
    pub fn exact_address(&self, exact: &str) -> Digest128 {
        // The domain is lower-case already.
        let mut folded = Zeroizing::new(exact.to_owned());
        folded.make_ascii_lowercase();
        keyed(&self.inbox, b"exact", &[folded.as_bytes()])
    }

    /// Digest of a nonce, a receipt id, an idempotency key or a body: anything that only has to be
    /// recognised again. `kind` keeps the uses apart.
    pub fn scoped(&self, kind: &str, parts: &[&[u8]]) -> Digest128 {
        keyed(&self.scope, kind.as_bytes(), parts)
    }

    /// The shard that owns a peer's windows, strikes and bans: all networks around it live on one.
    pub fn peer_route(&self, peer: &Peer) -> Route {
        self.prefix_route(&peer.unit())
    }

    /// The shard that owns a network's bans: that of the widest network around it.
    pub fn prefix_route(&self, prefix: &Prefix) -> Route {
        let [a, b, ..] = self.peer_hash(&prefix.network());
        Route(u16::from_be_bytes([a, b]))
    }

    /// Names a peer where nobody may read its address.
    pub fn peer_digest(&self, peer: &Peer) -> PeerDigest {
        self.prefix_digest(&peer.unit())
    }

    /// Recognises a peer in the record of an inbox or a domain.
    pub fn peer_share(&self, peer: &Peer) -> PeerShare {
        PeerShare::of(self.peer_hash(&peer.line()))
    }

    /// Recognises a peer that a project's secret key names: another share than that of what the peer itself asks, and
    /// than those of other projects.
    pub fn claimed_share(&self, peer: &Peer, project: ProjectId) -> PeerShare {
        let mut hash = Sha256::new();
        hash.update(self.peer);
        hash.update(peer.line().bytes());
        hash.update(project.0.to_be_bytes());
        PeerShare::of(hash.finalize().into())
    }

    /// Names a network where nobody may read its address.
    pub fn prefix_digest(&self, prefix: &Prefix) -> PeerDigest {
        let [.., a, b, c, d, e, f, g, h] = self.peer_hash(prefix);
        let bits = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        PeerDigest(NonZeroU64::new(bits).unwrap_or(NonZeroU64::MIN))
    }

    /// Names an API key's window; its route says which shard owns it.
    pub fn api_key(&self, key: &KeyDigest) -> Digest128 {
        self.scoped("api key", &[key.as_bytes()])
    }

    /// SHA-256 over the peer key and a prefix: one block of a fixed length, as in `id_hash`.
    fn peer_hash(&self, prefix: &Prefix) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.peer);
        hash.update(prefix.bytes());
        hash.finalize().into()
    }

    /// SHA-256 over the id key and an id's secret: one block, so length extension has no room.
    pub(crate) fn id_hash(&self, secret: &[u8; 16]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.id);
        hash.update(secret);
        hash.finalize().into()
    }
}

/// The first half of SHA-256 over a key, a kind and parts, each with its length before it, so that no two lists read
/// the same. What was cut off is what length extension would need, and HMAC, which guards against that by
/// hashing twice, would take four blocks for an address where this takes two.
fn keyed(key: &[u8; 32], kind: &[u8], parts: &[&[u8]]) -> Digest128 {
    let mut hash = Sha256::new();
    hash.update(key);
    for part in [kind].into_iter().chain(parts.iter().copied()) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    Digest128::half_of(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Seeded;
    use std::net::{IpAddr, Ipv6Addr};

    #[test]
    fn an_address_is_the_same_whatever_its_ascii_case() {
        let keys = StartKeys::draw(&mut Seeded::new(1));
        let digest = |exact| keys.exact_address(exact);
        assert_eq!(digest("Ada.L@example.com"), digest("aDA.l@example.com"));
        for other in
            ["adal@example.com", "ada.l+1@example.com", "ada.l@example.org", "\u{e4}da.l@example.com"]
        {
            assert_ne!(digest("ada.l@example.com"), digest(other));
        }
        assert_ne!(digest("\u{c4}da@example.com"), digest("\u{e4}da@example.com"), "no case beyond ASCII");
    }

    #[test]
    fn all_networks_around_a_peer_live_on_one_shard() {
        let keys = StartKeys::draw(&mut Seeded::new(1));
        for n in 0..1_000u16 {
            let peer = Peer::from(IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, n / 100, n, n, 0, 0, n)));
            assert!(peer.prefixes().all(|prefix| keys.prefix_route(&prefix) == keys.peer_route(&peer)));
        }
    }

    #[test]
    fn peers_and_inboxes_spread_evenly_and_differently_after_a_restart() {
        const SHARDS: usize = 16;
        const ALL: u32 = 100_000;
        let of_peer = |keys: &StartKeys, n: u32| keys.peer_route(&Peer::from(IpAddr::from(n.to_be_bytes())));
        let of_inbox =
            |keys: &StartKeys, n: u32| keys.fingerprint(&format!("{n}@example.com"), Mode::Live).route();
        for route in [&of_peer as &dyn Fn(&StartKeys, u32) -> Route, &of_inbox] {
            let [first, second] = [1, 2].map(|seed| {
                let keys = StartKeys::draw(&mut Seeded::new(seed));
                (0..ALL).map(|n| route(&keys, n).shard(SHARDS)).collect::<Vec<_>>()
            });
            for all in [&first, &second] {
                let most = (0..SHARDS).map(|shard| all.iter().filter(|s| **s == shard).count()).max();
                assert!(most <= Some(ALL as usize / SHARDS * 5 / 4), "{most:?}");
            }
            let same = first.iter().zip(&second).filter(|(a, b)| a == b).count();
            assert!(same < ALL as usize / SHARDS * 5 / 4, "{same} stayed where they were");
        }
    }
}
