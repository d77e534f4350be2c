//! Routing: keyed hashing of inboxes, ids and idempotency keys onto shards.
//!
//! Every hash here is keyed with [`StartKeys`], which are drawn at process start and never stored.
//! So nobody can target a shard from outside (A68), two runs distribute the same inbox differently,
//! and a fingerprint in a memory image reveals nothing about the address without the key.

mod digest;
mod start_keys;

pub(crate) use digest::TableKey;
pub use digest::{
    AccountDigest, AddressDigest, BodyDigest, ClaimDigest, Digest128, DomainTag, IdDigest, InboxFingerprint,
    NonceDigest, PeerDigest, PeerShare, ReceiptDigest, Route,
};
pub use start_keys::StartKeys;
