//! Every bound of the engine: its value (unit in the name), the reason for it, and the memory it
//! can cost.
//!
//! Worst case of one process. [`Capacity::of`] divides `memory.ceiling` into sixteenths, per shard:
//!
//! | state | sixteenths | bytes per record | total at 512 MiB |
//! |---|---|---|---|
//! | live verifications and inboxes | 8 | [`INBOX_RECORD_BYTES`] live, [`INBOX_IDLE_BYTES`] idle | 1.0 M live, of them 0.5 M of one project |
//! | growth of these by resends and wrong codes | 1 | | |
//! | idempotency records | 2 | [`IDEMPOTENCY_RECORD_BYTES`] | 349 k |
//! | spent receipts | 1 | [`SPENT_RECEIPT_BYTES`] | 466 k |
//! | peers | ⅞ | [`PEER_RECORD_BYTES`] | 183 k networks |
//! | strikes of evicted peers | ⅛ | [`FORGOTTEN_CELL_BYTES`] | 175 k networks |
//! | peers' logs, from the second request on | 1 | 8 B a request, 24 B for IPv6 | 1.4 M IPv6 requests an hour |
//! | bans, live or remembered, and their copies | 1 | [`BAN_RECORD_BYTES`] + [`BAN_COPY_BYTES`] × lanes | 102 k at 2 lanes |
//! | windows of domains' unanswered mails, with their logs | ¼ | [`DOMAIN_RECORD_BYTES`], 16 B a mail | 52 k domains |
//! | windows of API keys, projects and alerts, mail queue | ¾ | | |
//!
//! Not counted in the ceiling, per lane: `INBOX_BATCHES × BATCH_ASKS` commands and
//! `PENDING_ASKS_PER_LANE` answers in flight, `BAN_NEWS_BATCHES × BAN_NEWS` ban changes, and
//! [`OPERATOR_VISITS`] operator requests.

use std::time::Duration;

/// At most `count` events in any span of `window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Events allowed; zero refuses all.
    pub count: u32,
    /// Length of the sliding window.
    pub window: Duration,
}

/// Fewest digits of a code: a guess succeeds with probability 10⁻⁶ (NIST SP 800-63B-4, 3.1.3.2 asks
/// for 6 digits).
pub const CODE_DIGITS_MIN: u8 = 6;
/// Fewest digits of a new code in an inbox whose guess budget is used up: a guess succeeds with
/// probability 10⁻⁸.
pub const CODE_DIGITS_GUESSED: u8 = 8;
/// Fewest digits once the guess budget is used up twice.
pub const CODE_DIGITS_GUESSED_TWICE: u8 = 10;
/// Most digits of a code: people still type ten digits without error.
pub const CODE_DIGITS_MAX: u8 = 10;
/// Longest lifetime of a code: NIST SP 800-63B-4, 3.1.3.2 sets ten minutes.
pub const CODE_LIFETIME_MAX: Duration = Duration::from_secs(600);
/// Shortest lifetime of a code. Short lifetimes let front-end developers see expiry; below a
/// minute, real users fail.
pub const CODE_LIFETIME_MIN: Duration = Duration::from_secs(1);

/// Live verifications in one inbox, of all projects together. One project may hold as many as are
/// free, so at most 17. The issue windows normally refuse long before (15 in 10 min); this bound
/// applies where the operator turned them off. 32 × 104 B.
pub const LIVE_PER_INBOX: usize = 32;
/// Bytes of a purpose: a short identifier such as `login`. It is kept in the slot until that is
/// purged.
pub const PURPOSE_BYTES: usize = 64;
/// Bytes of a nonce: only its digest is kept.
pub const NONCE_BYTES: usize = 128;
/// Bytes of all metadata keys and values of one verification together.
pub const METADATA_BYTES: usize = 512;
/// Members of a metadata object.
pub const METADATA_MEMBERS: usize = 16;
/// Bytes of an idempotency key: the draft sets no bound; 255 is common practice.
pub const IDEMPOTENCY_KEY_BYTES: usize = 255;

/// Limits per policy; `["20/1m","100/1h"]` has two.
pub const LIMITS_PER_POLICY: usize = 4;
/// Fewest mails an inbox remembers where no window over all projects (`limits.recipient_all.issue`)
/// bounds them. At most this number, and half of it for peers, may be sent to an inbox in the
/// longest window. 16 B each.
pub const MAILS_REMEMBERED: u32 = 64;
/// Most timestamps in one window log, and so the greatest COUNT of a limit. 8 B each; the log of an
/// IPv6 /48 holds 16 times as many.
pub const WINDOW_COUNT_MAX: u32 = 10_000;
/// Longest WINDOW of a limit.
pub const WINDOW_SPAN_MAX: Duration = Duration::from_secs(7 * 86_400);

/// Hops read of one forwarding list, from its right end: a CDN, a balancer, an ingress and a few
/// sidecars are six. If the list is longer, the last hop read is the peer. Costs no memory; bounds
/// the work of one request.
pub const FORWARDED_HOPS: usize = 16;
/// Address blocks in one list of the config (`proxy.trusted`, `bans.exempt`). The large CDNs
/// publish about 200. Each hop of a forwarding list, and each network about to get a strike, is
/// compared with all of them. 34 B each.
pub const CONFIGURED_BLOCKS: usize = 1_024;

/// One live verification with its inbox, mail, index entries and allocator overhead.
/// `tests/memory.rs` measures 252 B just after the tables have grown. Long purposes, nonces,
/// metadata and further mails are accounted in addition, byte by byte.
pub const INBOX_RECORD_BYTES: usize = 256;
/// An inbox without live verifications that remembers its windows, and a wrong code besides its
/// mail.
pub const INBOX_IDLE_BYTES: usize = 120;
/// An inbox that remembers one mail only: 32 B and its index entry.
pub const INBOX_PACKED_BYTES: usize = 32 + INDEX_BYTES;
/// Most bytes a resend adds to a record: a mail in its log, which grows by two entries at a time.
pub const RESEND_BYTES: usize = 64;
/// The index entry of an inbox or of a verification id: 8 B at a load of 3/8, just after growth.
pub const INDEX_BYTES: usize = 22;
/// One network with one or two requests: its slot and its index entry.
pub const PEER_RECORD_BYTES: usize = 160;
/// Strikes of one network without a record: a tag, the count, and the times. An evicted record with
/// strikes leaves one, so that an attacker can't erase strikes by filling the table.
pub const FORGOTTEN_CELL_BYTES: usize = 24;
/// One ban in its owning shard: an entry in two tables, by name and by end; measured by
/// `tests/memory.rs`.
pub const BAN_RECORD_BYTES: usize = 176;
/// One ban in a lane's copy: 33 B at a load of 7/16, just after growth.
pub const BAN_COPY_BYTES: usize = 76;
/// One domain with one mail: its slot and its index entry.
pub const DOMAIN_RECORD_BYTES: usize = 80;
/// One API key with a window.
pub const KEY_RECORD_BYTES: usize = 128;
/// One idempotency record: its slot and its index entry.
pub const IDEMPOTENCY_RECORD_BYTES: usize = 192;
/// One spent receipt: its slot and its index entry.
pub const SPENT_RECEIPT_BYTES: usize = 72;

/// Commands in one batch between two lanes. A full batch is sent before the poll turn ends.
pub const BATCH_ASKS: usize = 256;
/// Batches queued for one shard: 64 × 256 commands of about 256 B are 4 MiB, about 20 ms of work.
pub const INBOX_BATCHES: usize = 64;
/// Delivery reports queued for one shard: more than there are sends in progress, 200 B each. The
/// delivery runtime waits for room.
pub const INBOX_WORDS: usize = 64;
/// Commands a lane may have in flight to other lanes. Also the bound of its answer channel, which
/// therefore can't fill up (each batch of answers belongs to a batch of commands).
pub const PENDING_ASKS_PER_LANE: usize = 16_384;
/// `Retry-After` for a full shard queue, which drains in well under a second.
pub const OVERLOADED_RETRY_AFTER: Duration = Duration::from_secs(1);
/// Alerts per project: enough to follow an incident, too few to flood an inbox.
pub const ALERTS: &[Limit] = &[
    Limit { count: 10, window: Duration::from_secs(600) },
    Limit { count: 30, window: Duration::from_secs(86_400) },
];
/// Expired verifications a shard keeps for operators' events: those of two sweeps, 24 KiB.
pub const EXPIRED_NEWS: usize = 2 * SWEEP_VISITS;
/// `Retry-After` for a full mail queue.
pub const DELIVERY_RETRY_AFTER: Duration = Duration::from_secs(5);
/// `Retry-After` while a request with the same idempotency key is still running.
pub const IN_PROGRESS_RETRY_AFTER: Duration = Duration::from_secs(1);
/// `Retry-After` for a limit of zero, which never permits anything: a day.
pub const NEVER_RETRY_AFTER: Duration = Duration::from_secs(86_400);

/// How long a ban is remembered after its end. The next ban within that time lasts twice as long.
pub const BAN_MEMORY: Duration = Duration::from_secs(86_400);
/// Records examined to choose the one that is evicted for a new peer: about a microsecond.
pub const EVICTION_LOOKS: usize = 8;
/// Records examined if all of the first [`EVICTION_LOOKS`] have strikes, before one with strikes is
/// evicted. Also the number examined for one charge that needs memory for a log, or a slot within
/// its project's claims.
pub const EVICTION_LOOKS_MAX: usize = 64;
/// Period over which the share of unanswered mails of an API key is measured for the operator.
pub const CONVERSION_WINDOW: Duration = Duration::from_secs(600);
/// Mails newer than this are left out: their recipients may still be typing.
pub const CONVERSION_GRACE: Duration = Duration::from_secs(60);
/// API keys whose mails one shard counts; 600 B each. Operators create keys, so few deployments
/// have more; further keys are not watched.
pub const CONVERSION_KEYS: usize = 1_024;
/// Interval at which idle API keys are looked for.
pub const KEY_SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Ban changes in one batch between two lanes; 32 B each.
pub const BAN_NEWS: usize = 256;
/// Ban batches queued for one lane. A lane that is further behind gets the newest change of each
/// network once it has caught up.
pub const BAN_NEWS_BATCHES: usize = 16;
/// Operator requests queued for one lane; 64 B each. No operator bans faster by hand, and a script
/// can wait.
pub const OPERATOR_VISITS: usize = 16;

/// Inboxes and peers one sweep visits before it yields the lane: about 100 µs.
pub const SWEEP_VISITS: usize = 512;

/// Records that a sweep prefetches and then visits together; 128 B.
pub(crate) const DUE_AT_ONCE: usize = 32;

/// How many records or bytes of each kind one shard may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Live verifications.
    pub verifications: usize,
    /// Bytes of verifications and inboxes, live or idle.
    pub inbox_bytes: usize,
    /// Bytes by which existing records may still grow once `inbox_bytes` is reached.
    pub growth_bytes: usize,
    /// Idempotency records.
    pub idempotency: usize,
    /// Spent (introspected) receipts.
    pub receipts: usize,
    /// Networks with windows or strikes.
    pub peers: usize,
    /// Evicted networks whose strikes are kept.
    pub forgotten: usize,
    /// Bytes of peers' logs.
    pub peer_log_bytes: usize,
    /// Bans, live or remembered.
    pub bans: usize,
    /// Domains with unanswered mails.
    pub domains: usize,
    /// Bytes of domains' logs.
    pub domain_log_bytes: usize,
    /// API keys, or projects, with a window; for each kind of window.
    pub keys: usize,
    /// Projects with a window for alerts.
    pub alerting: usize,
}

impl Capacity {
    /// Computes one shard's share of the memory ceiling; see the table above.
    pub fn of(ceiling_bytes: usize, shards: usize) -> Self {
        let part = ceiling_bytes / shards.max(1) / 16;
        let ban_bytes = BAN_RECORD_BYTES + BAN_COPY_BYTES * shards;
        Self {
            verifications: (part * 8 / INBOX_RECORD_BYTES).max(1),
            inbox_bytes: part * 8,
            growth_bytes: part,
            idempotency: (part * 2 / IDEMPOTENCY_RECORD_BYTES).max(1),
            receipts: (part / SPENT_RECEIPT_BYTES).max(1),
            peers: (part / 8 * 7 / PEER_RECORD_BYTES).max(1),
            forgotten: part / 8 / FORGOTTEN_CELL_BYTES,
            peer_log_bytes: part,
            bans: (part / ban_bytes).max(1),
            domains: (part / 8 / DOMAIN_RECORD_BYTES).max(1),
            domain_log_bytes: part / 8,
            keys: (part / 8 / 3 / KEY_RECORD_BYTES).max(1),
            alerting: (part / 8 / KEY_RECORD_BYTES).max(1),
        }
    }

    /// No bound at all, for tests that are about something else.
    #[doc(hidden)]
    pub const UNBOUNDED: Self = Self {
        verifications: usize::MAX,
        inbox_bytes: usize::MAX,
        growth_bytes: usize::MAX,
        idempotency: usize::MAX,
        receipts: usize::MAX,
        peers: usize::MAX,
        // This table is allocated whole on first use; without a bound on peers that never happens.
        forgotten: 1 << 16,
        peer_log_bytes: usize::MAX,
        bans: usize::MAX,
        domains: usize::MAX,
        domain_log_bytes: usize::MAX,
        keys: usize::MAX,
        alerting: usize::MAX,
    };
}
