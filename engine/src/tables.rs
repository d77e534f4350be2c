//! The tables of one shard: where values are kept, found and freed. All are bounded, and one shard owns them.
//!
//! ```text
//!   inboxes      InboxTable (records, by inbox and by id), IdleInboxes (one mail, packed), Conversions, ExpiredLog
//!   peers        PeerRecord by network, ForgottenStrikes
//!   bans         live and remembered bans, and what lanes have to be told
//!   keys         windows of API keys, projects and alerts
//!   domains      windows of unanswered mails
//!   idempotency  claims and first answers        ┐ ExpiringTable
//!   spent        introspected receipts           ┘
//!
//!   records (a slab with a timing wheel) · index (names to places) · shares, claims (what one project may hold)
//! ```

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
