//! Ownership: the project, its mode, and the API key used.

use std::fmt;
use std::hash::{Hash, Hasher};

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Whether mail is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// Sends mail.
    Live,
    /// No mail, code `000000`, own counters.
    Test,
}

impl Mode {
    /// The name used in receipts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }
}

/// A tenant, as the store numbers it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProjectId(pub u32);

/// The owner of a verification: any key of the project and mode may use it, no other may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner {
    /// The tenant.
    pub project: ProjectId,
    /// Test keys see only what test keys issued.
    pub mode: Mode,
}

/// Distinguishes the API keys of one project: sixteen bits of a key's digest, so that a mail record
/// can name its key in two bytes. Two keys of a project share a tag with probability 1 in 65,536.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyTag(pub u16);

impl From<&KeyDigest> for KeyTag {
    fn from(digest: &KeyDigest) -> Self {
        let [a, b, ..] = *digest.as_bytes();
        Self(u16::from_be_bytes([a, b]))
    }
}

/// SHA-256 of a whole key. Equality takes constant time; `Debug` shows nothing.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// A digest from the store.
    #[must_use]
    pub const fn from_bytes(octets: [u8; 32]) -> Self {
        Self(octets)
    }

    /// The digest for the store.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for KeyDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for KeyDigest {}

impl Hash for KeyDigest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest(redacted)")
    }
}
