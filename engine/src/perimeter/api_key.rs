//! API keys: their text, their checksum, their digest.
//!
//! ```text
//! rk_live_ath_ 0123456789ABCDEFGHIJKL mNoPqR
//! prefix       22 base62, 131 bits    checksum, 6 base62
//! ```
//!
//! The checksum is not secret and proves nothing: it allows refusing a typo or a guess without a
//! look-up, and lets a secret scanner tell a key from noise. It is SHA-256 over everything before
//! it, the first eight octets read as a big-endian number, modulo 62^6, as six digits of
//! [`ALPHABET`].

mod exposure;

pub use exposure::looks_like_key;

use sha2::{Digest, Sha256};
use std::fmt;
use zeroize::Zeroizing;

use crate::identity::{KeyDigest, Mode};

/// The base62 digits, in order of their value.
pub const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Random characters; 22 · log2(62) = 131 bits.
const BODY: usize = 22;
/// Checksum characters.
const CHECKSUM: usize = 6;
/// The largest multiple of 62 that fits into an octet: octets from here on would favour low digits.
const UNBIASED: u8 = 248;

/// What a key may do; see [`permission`](crate::perimeter::permission).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyClass {
    /// Must stay on a server.
    Secret,
    /// Ships in browsers and apps; bound to origins.
    Restricted,
}

/// Every prefix with its class and mode.
const PREFIXES: [(&str, KeyClass, Mode); 4] = [
    ("ath_sec_live_", KeyClass::Secret, Mode::Live),
    ("ath_sec_test_", KeyClass::Secret, Mode::Test),
    ("rk_live_ath_", KeyClass::Restricted, Mode::Live),
    ("rk_test_ath_", KeyClass::Restricted, Mode::Test),
];

const fn prefix(class: KeyClass, mode: Mode) -> &'static str {
    match (class, mode) {
        (KeyClass::Secret, Mode::Live) => PREFIXES[0].0,
        (KeyClass::Secret, Mode::Test) => PREFIXES[1].0,
        (KeyClass::Restricted, Mode::Live) => PREFIXES[2].0,
        (KeyClass::Restricted, Mode::Test) => PREFIXES[3].0,
    }
}

/// The text is not a key of this service. One error for all reasons, since callers get one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedKey;

impl fmt::Display for MalformedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the text is not an API key")
    }
}

impl std::error::Error for MalformedKey {}

/// A well-formed key in a borrowed buffer. Only the store knows whether it exists.
#[derive(Clone, Copy)]
pub struct KeyText<'a> {
    text: &'a [u8],
    class: KeyClass,
    mode: Mode,
}

impl<'a> KeyText<'a> {
    /// Reads a key: known prefix, length, base62, checksum.
    ///
    /// # Errors
    /// [`MalformedKey`] for everything else.
    pub fn parse(text: &'a [u8]) -> Result<Self, MalformedKey> {
        let (tail, class, mode) = PREFIXES
            .into_iter()
            .find_map(|(start, class, mode)| {
                text.strip_prefix(start.as_bytes()).map(|tail| (tail, class, mode))
            })
            .ok_or(MalformedKey)?;
        if tail.len() != BODY + CHECKSUM || !tail.iter().all(u8::is_ascii_alphanumeric) {
            return Err(MalformedKey);
        }
        let (covered, given) = text.split_at(text.len() - CHECKSUM);
        if given != checksum(covered) {
            return Err(MalformedKey);
        }
        Ok(Self { text, class, mode })
    }

    /// What the key may do.
    #[must_use]
    pub const fn class(&self) -> KeyClass {
        self.class
    }

    /// Whether it sends mail.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The digest that the store knows the key by. The body is 131 random bits, so it needs no salt
    /// and no slow hash.
    #[must_use]
    pub fn digest(&self) -> KeyDigest {
        KeyDigest::from_bytes(Sha256::digest(self.text).into())
    }

    /// The last four characters, all of the checksum: safe for a console to show.
    #[must_use]
    pub fn last_four(&self) -> [u8; 4] {
        match self.text {
            [.., a, b, c, d] => [*a, *b, *c, *d],
            _ => [b'*'; 4],
        }
    }
}

impl fmt::Debug for KeyText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyText({:?}, {:?}, redacted)", self.class, self.mode)
    }
}

/// A new key, shown once and wiped on drop.
pub struct ApiKey {
    text: Zeroizing<String>,
    class: KeyClass,
    mode: Mode,
}

impl ApiKey {
    /// Draws a key. `entropy` fills the buffer with octets of a CSPRNG; about 23 are used, since
    /// one in 32 is discarded to keep the digits unbiased.
    pub fn generate(class: KeyClass, mode: Mode, mut entropy: impl FnMut(&mut [u8])) -> Self {
        let prefix = prefix(class, mode);
        let full = prefix.len() + BODY + CHECKSUM;
        let mut text = Zeroizing::new(String::with_capacity(full));
        text.push_str(prefix);
        let mut drawn = Zeroizing::new([0_u8; 32]);
        while text.len() < full - CHECKSUM {
            entropy(&mut *drawn);
            let fair = drawn.iter().filter(|&&octet| octet < UNBIASED);
            let missing = full - CHECKSUM - text.len();
            text.extend(fair.take(missing).map(|&octet| digit(u64::from(octet))));
        }
        let tail = checksum(text.as_bytes());
        text.extend(tail.map(char::from));
        Self { text, class, mode }
    }

    /// The whole key; it is shown once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The key as a caller would send it.
    #[must_use]
    pub fn as_text(&self) -> KeyText<'_> {
        KeyText { text: self.text.as_bytes(), class: self.class, mode: self.mode }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({:?}, {:?}, redacted)", self.class, self.mode)
    }
}

fn digit(value: u64) -> char {
    char::from(ALPHABET[(value % 62) as usize])
}

fn checksum(covered: &[u8]) -> [u8; CHECKSUM] {
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(Sha256::digest(covered));
    let mut value = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    let mut digits = [0; CHECKSUM];
    for place in digits.iter_mut().rev() {
        *place = ALPHABET[(value % 62) as usize];
        value /= 62;
    }
    digits
}

/// The credential of an `Authorization: Bearer KEY` value: scheme in any case (RFC 9110 section
/// 11.1), spaces, one `token68`. `None` for other schemes and if anything follows the credential.
#[must_use]
pub fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return None;
    }
    let credential = rest.strip_prefix(b" ")?.trim_ascii_start();
    let token68 = |octet: &u8| octet.is_ascii_alphanumeric() || b"-._~+/=".contains(octet);
    let tab = rest.contains(&b'\t');
    (!credential.is_empty() && !tab && credential.iter().all(token68)).then_some(credential)
}
