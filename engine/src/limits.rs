//! Every bound of the engine: its number, its unit in the name, its reason, and what it can cost.
//!
//! Worst case per shard: `INBOX_RECORD_BYTES` × records + `IDEMPOTENCY_RECORD_BYTES` × idempotency
//! records + `SPENT_RECEIPT_BYTES` × spent receipts, which [`Capacity::of`] cuts out of
//! `memory.ceiling`, plus `INBOX_BATCHES × BATCH_ASKS` asks and `PENDING_ASKS_PER_LANE` answers in flight.

use std::time::Duration;

/// Digits of a code, least: a guess hits one of 10⁶ (NIST SP 800-63B-4, 3.1.3.2 asks for 6).
pub const CODE_DIGITS_MIN: u8 = 6;
/// Digits of a code, most: ten digits is what people still type without error.
pub const CODE_DIGITS_MAX: u8 = 10;
/// Longest life of a code: NIST SP 800-63B-4, 3.1.3.2 sets ten minutes.
pub const CODE_LIFETIME_MAX: Duration = Duration::from_secs(600);
/// Shortest life of a code: mail takes its time; below a minute honest people fail.
pub const CODE_LIFETIME_MIN: Duration = Duration::from_secs(60);

/// Live verifications in one inbox. The issue window stops long before (5 in 10 min); this holds
/// where the operator turned the window off. 16 × 208 B.
pub const LIVE_PER_INBOX: usize = 16;
/// Bytes of a purpose: a short machine word such as `login`; kept in the slot until it is purged.
pub const PURPOSE_BYTES: usize = 64;
/// Bytes of a nonce: only its digest is kept.
pub const NONCE_BYTES: usize = 128;
/// Bytes of all metadata keys and values of one verification.
pub const METADATA_BYTES: usize = 512;
/// Members of a metadata object.
pub const METADATA_MEMBERS: usize = 16;
/// Bytes of an idempotency key: the draft has no bound, 255 is what the field uses.
pub const IDEMPOTENCY_KEY_BYTES: usize = 255;

/// Timestamps one window log can hold: the greatest COUNT a limit may name. 8 B each.
pub const WINDOW_COUNT_MAX: u32 = 10_000;
/// Longest WINDOW a limit may name.
pub const WINDOW_SPAN_MAX: Duration = Duration::from_secs(7 * 86_400);

/// Hops read of one forwarding list, from its right end: a CDN, a balancer, an ingress and a few sidecars
/// are six. Beyond it the last one read is the peer. Costs no memory; bounds the work of one request.
pub const FORWARDED_HOPS: usize = 16;
/// Blocks of `proxy.trusted`: the large CDNs publish about 200; each hop is held against all. 34 B each.
pub const TRUSTED_PROXIES: usize = 1_024;

/// One live verification with its inbox, its purpose, its index entries and allocator overhead.
pub const INBOX_RECORD_BYTES: usize = 512;
/// One idempotency record with its table entry.
pub const IDEMPOTENCY_RECORD_BYTES: usize = 192;
/// One spent receipt: digest, deadline, table entry.
pub const SPENT_RECEIPT_BYTES: usize = 64;

/// Asks in one batch between two lanes: beyond it the batch leaves before the turn ends.
pub const BATCH_ASKS: usize = 256;
/// Batches waiting in a shard's inbox: 64 × 256 asks of about 256 B are 4 MiB, some 20 ms of work.
pub const INBOX_BATCHES: usize = 64;
/// Asks a lane may have under way to other lanes; also the bound of its answer channel, which
/// therefore can never be full (a batch of answers belongs to a batch of asks).
pub const PENDING_ASKS_PER_LANE: usize = 16_384;
/// How long a caller waits before knocking again at a full inbox: it drains in well under a second.
pub const OVERLOADED_RETRY_AFTER: Duration = Duration::from_secs(1);
/// When another try at a full mail queue is worth it.
pub const DELIVERY_RETRY_AFTER: Duration = Duration::from_secs(5);
/// When a request that still runs under the same idempotency key will have ended.
pub const IN_PROGRESS_RETRY_AFTER: Duration = Duration::from_secs(1);
/// The `Retry-After` of a limit of zero, which no wait can satisfy: a day.
pub const NEVER_RETRY_AFTER: Duration = Duration::from_secs(86_400);

/// Inboxes one sweep visits before it gives the lane back: about 100 µs.
pub const SWEEP_VISITS: usize = 512;

/// How many records of each kind one shard may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Live verifications plus inboxes that only remember their windows.
    pub inboxes: usize,
    /// Idempotency records.
    pub idempotency: usize,
    /// Receipts remembered as introspected.
    pub receipts: usize,
}

impl Capacity {
    /// Cuts one shard's share out of the memory ceiling: six parts of eight for inboxes, one for each
    /// of the others.
    pub fn of(ceiling_bytes: usize, shards: usize) -> Self {
        let share = ceiling_bytes / shards.max(1) / 8;
        Self {
            inboxes: (share * 6 / INBOX_RECORD_BYTES).max(1),
            idempotency: (share / IDEMPOTENCY_RECORD_BYTES).max(1),
            receipts: (share / SPENT_RECEIPT_BYTES).max(1),
        }
    }
}
