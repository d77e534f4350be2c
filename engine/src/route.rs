//! Keyed hashing: what names an inbox, an id, a claim or a peer, and which shard owns it.
//!
//! Every hash is keyed with [`StartKeys`], which are drawn at process start and never stored. So nobody outside can
//! choose a shard (A68), the same inbox has another name after a restart, and a name in a memory image says nothing
//! about the address without the keys.
//!
//! Each kind of name is a type. An inbox's name is one,
//!
//! ```
//! # use authepy_engine::{identity::Mode, route::{InboxFingerprint, StartKeys}};
//! # fn _of(keys: &StartKeys) {
//! let inbox: InboxFingerprint = keys.fingerprint("ada@example.com", Mode::Live);
//! # }
//! ```
//!
//! and the digest of an address can't be passed for it:
//!
//! ```compile_fail,E0308
//! # use authepy_engine::{identity::Mode, route::{InboxFingerprint, StartKeys}};
//! # fn _of(keys: &StartKeys) {
//! let inbox: InboxFingerprint = keys.exact_address("ada@example.com");
//! # }
//! ```

mod digest;
mod start_keys;

pub(crate) use digest::TableKey;
pub use digest::{
    AccountDigest, AddressDigest, BodyDigest, ClaimDigest, Digest128, DomainTag, IdDigest, InboxFingerprint,
    NonceDigest, PeerDigest, PeerShare, ReceiptDigest, Route,
};
pub use start_keys::StartKeys;
