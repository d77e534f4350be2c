//! Digests: one type for each kind of thing that is recognised without being stored, and its shard.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};

use zeroize::Zeroize;

/// The shard of a record: the top of a keyed hash, not yet reduced to a shard count, so that it
/// keeps its meaning if the number of shards changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Route(pub(crate) u16);

impl Route {
    /// The shard's index among `shards`.
    pub fn shard(self, shards: usize) -> usize {
        (usize::from(self.0) * shards) >> 16
    }
}

/// 128 bits that identify something: a keyed digest of no other type, a salt, or a random id.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Zeroize)]
pub struct Digest128(pub(crate) [u8; 16]);

impl fmt::Debug for Digest128 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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

    /// The first half of a SHA-256; the other half is wiped.
    pub(crate) fn half_of(mut full: [u8; 32]) -> Self {
        let mut half = [0; 16];
        half.copy_from_slice(&full[..16]);
        full.zeroize();
        Self(half)
    }
}

/// Makes a separate type for each kind of digest, all of sixteen bytes, so that one kind can't be
/// passed for another.
macro_rules! digests {
    ($($(#[$doc:meta])+ $name:ident;)+) => {$(
        $(#[$doc])+
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Zeroize)]
        #[repr(transparent)]
        pub struct $name(Digest128);

        impl $name {
            /// A digest made elsewhere, or 128 random bits.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Digest128(bytes))
            }

            /// The bits.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0.0
            }
        }

        impl From<Digest128> for $name {
            fn from(digest: Digest128) -> Self {
                Self(digest)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    )+};
}

/// Digests that name a record in a table; the first two bytes give the shard that holds it.
macro_rules! named_records {
    ($($name:ident),+) => {$(
        impl $name {
            /// The shard that owns the record.
            pub fn route(&self) -> Route {
                let [a, b, ..] = self.0.0;
                Route(u16::from_be_bytes([a, b]))
            }
        }
    )+};
}

digests! {
    /// Keyed digest of a canonical recipient: the name of an inbox. Its last four bytes are its
    /// [`DomainTag`].
    InboxFingerprint;
    /// Keyed digest of an address as it was typed
    /// ([`StartKeys::exact_address`](super::StartKeys::exact_address)).
    AddressDigest;
    /// Digest of a verification id ([`VerificationId::digest`](crate::id::VerificationId::digest)).
    IdDigest;
    /// Keyed digest of a nonce.
    NonceDigest;
    /// Keyed digest of an idempotency key and its caller.
    ClaimDigest;
    /// Keyed digest of the request made under an idempotency key.
    BodyDigest;
    /// Keyed digest of a receipt's `jti`.
    ReceiptDigest;
    /// Keyed digest of an API key or a project: the name of its windows.
    AccountDigest;
}

named_records!(InboxFingerprint, ClaimDigest, ReceiptDigest, AccountDigest);

/// A name of a record in an index.
pub(crate) trait TableKey: Copy + Eq {
    /// Bits for a table within a shard. Skips the two bytes that chose the shard, and the four that
    /// name a fingerprint's domain, which many inboxes share.
    fn table_bits(&self) -> u64;
}

macro_rules! table_keys {
    ($($name:ident),+) => {$(
        impl TableKey for $name {
            fn table_bits(&self) -> u64 {
                let mut bits = [0; 8];
                bits.copy_from_slice(&self.0.0[4..12]);
                u64::from_le_bytes(bits)
            }
        }
    )+};
}

table_keys!(InboxFingerprint, IdDigest, ClaimDigest, ReceiptDigest);

impl IdDigest {
    /// The bits, as a digest of any kind.
    pub const fn bits(&self) -> &Digest128 {
        &self.0
    }
}

impl InboxFingerprint {
    /// The same inbox with the tag of the domain that its mails count for; see [`Self::domain`].
    pub(crate) fn tagged(mut self, tag: [u8; 4]) -> Self {
        self.0.0[12..].copy_from_slice(&tag);
        self
    }

    /// The domain named by the last four bytes, if its mails are counted.
    pub fn domain(&self) -> Option<DomainTag> {
        let [.., a, b, c, d] = self.0.0;
        NonZeroU32::new(u32::from_be_bytes([a, b, c, d])).map(DomainTag)
    }
}

/// A registrable domain, other than a known mailbox provider's, as 32 keyed bits: enough to count
/// its mails, and small enough to fit into an [`InboxFingerprint`], so that a correct code reveals
/// its domain. Two domains share a tag, and a limit, with probability 2⁻³².
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DomainTag(NonZeroU32);

impl fmt::Debug for DomainTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DomainTag(..)")
    }
}

impl DomainTag {
    /// The shard that counts the domain's mails.
    pub fn route(self) -> Route {
        Route((self.0.get() >> 16) as u16)
    }

    /// Bits for an index within a shard, which compares the upper half.
    pub(crate) fn table_bits(self) -> u64 {
        // The top half chose the shard, so the halves are swapped.
        u64::from(self.0.get().rotate_left(16)) << 32
    }
}

/// A peer's customer line (an IPv4 address or an IPv6 /56), as 32 keyed bits: the share of an inbox
/// or a domain that a mail uses. A home line is one share, however many /64s it has.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerShare(NonZeroU32);

impl fmt::Debug for PeerShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeerShare(..)")
    }
}

impl PeerShare {
    pub(crate) fn of(hash: [u8; 32]) -> Self {
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

/// Keyed digest of a peer's /32 or /64, to name it in a log.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerDigest(pub(crate) NonZeroU64);

impl PeerDigest {
    /// The bits.
    pub fn to_bytes(self) -> [u8; 8] {
        self.0.get().to_le_bytes()
    }
}

impl fmt::Display for PeerDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for PeerDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeerDigest(..)")
    }
}
