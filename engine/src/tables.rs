//! The tables of one shard, bounded, each owned by it.

pub(crate) mod bans;
pub(crate) mod claims;
pub(crate) mod conversions;
pub(crate) mod domains;
pub(crate) mod expired;
pub(crate) mod expiring;
pub(crate) mod forgotten;
pub(crate) mod idempotency;
pub(crate) mod idle;
pub(crate) mod inbox_table;
pub(crate) mod inboxes;
pub(crate) mod index;
pub(crate) mod keys;
pub(crate) mod peers;
pub(crate) mod records;
pub(crate) mod shares;
pub(crate) mod spent;
