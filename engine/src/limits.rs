//! Every bound of the engine: its number, its unit in the name, its reason, and what it can cost.
//!
//! Worst case of one process, cut out of `memory.ceiling` by [`Capacity::of`] in sixteenths, per shard:
//!
//! | state | sixteenths | a record | at 512 MiB in all |
//! |---|---|---|---|
//! | live verifications and inboxes | 8 | [`INBOX_RECORD_BYTES`] live, [`INBOX_IDLE_BYTES`] remembering | 1.0 M live, of them 0.5 M of one project |
//! | their growth by resends and wrong codes | 1 | | |
//! | idempotency records | 2 | [`IDEMPOTENCY_RECORD_BYTES`] | 349 k |
//! | spent receipts | 1 | [`SPENT_RECEIPT_BYTES`] | 466 k |
//! | peers | ⅞ | [`PEER_RECORD_BYTES`] | 183 k networks |
//! | strikes of those that had to make room | ⅛ | [`FORGOTTEN_CELL_BYTES`] | 175 k networks |
//! | their logs from the second request on | 1 | 8 B a request, 24 B for IPv6 | 1.4 M IPv6 requests an hour |
//! | bans, live or remembered, and their copies | 1 | [`BAN_RECORD_BYTES`] + [`BAN_COPY_BYTES`] × lanes | 102 k at 2 lanes |
//! | windows of domains' unanswered mails, their logs | ¼ | [`DOMAIN_RECORD_BYTES`], 16 B a mail | 52 k domains |
//! | windows of API keys, projects and alerts, mail queue | ¾ | | |
//!
//! Beside the ceiling: `INBOX_BATCHES × BATCH_ASKS` asks and `PENDING_ASKS_PER_LANE` answers in flight, and
//! `BAN_NEWS_BATCHES × BAN_NEWS` changes of bans, per lane; [`OPERATOR_VISITS`] of the operator's visits.

use std::time::Duration;

/// At most `count` events in any span of `window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Events allowed; zero denies all.
    pub count: u32,
    /// The span.
    pub window: Duration,
}

/// Digits of a code, least: a guess hits one of 10⁶ (NIST SP 800-63B-4, 3.1.3.2 asks for 6).
pub const CODE_DIGITS_MIN: u8 = 6;
/// Least digits of a new code in an inbox whose guess budget is used up: a guess hits one of 10⁸.
pub const CODE_DIGITS_GUESSED: u8 = 8;
/// Least digits once it is used up twice.
pub const CODE_DIGITS_GUESSED_TWICE: u8 = 10;
/// Digits of a code, most: ten digits is what people still type without error.
pub const CODE_DIGITS_MAX: u8 = 10;
/// Longest life of a code: NIST SP 800-63B-4, 3.1.3.2 sets ten minutes.
pub const CODE_LIFETIME_MAX: Duration = Duration::from_secs(600);
/// Shortest life of a code: short ones show front ends what expiry looks like; below a minute honest people
/// fail.
pub const CODE_LIFETIME_MIN: Duration = Duration::from_secs(1);

/// Live verifications in one inbox, of all projects; one of them may have as many as are free, so 17 at most. The
/// issue windows stop long before (15 in 10 min); this holds where the operator turned them off. 32 × 104 B.
pub const LIVE_PER_INBOX: usize = 32;
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

/// Limits one policy may name; `["20/1m","100/1h"]` has two.
pub const LIMITS_PER_POLICY: usize = 4;
/// Mails an inbox remembers at least where no window over all projects (`limits.recipient_all.issue`) bounds
/// them: as many, and for peers half as many, may be sent to it in the longest window. 16 B each.
pub const MAILS_REMEMBERED: u32 = 64;
/// Timestamps one window log can hold: the greatest COUNT a limit may name. 8 B each; 16 × as many in the
/// log of an IPv6 /48.
pub const WINDOW_COUNT_MAX: u32 = 10_000;
/// Longest WINDOW a limit may name.
pub const WINDOW_SPAN_MAX: Duration = Duration::from_secs(7 * 86_400);

/// Hops read of one forwarding list, from its right end: a CDN, a balancer, an ingress and a few sidecars
/// are six. Beyond it the last one read is the peer. Costs no memory; bounds the work of one request.
pub const FORWARDED_HOPS: usize = 16;
/// Blocks of one list in the config (`proxy.trusted`, `bans.exempt`): the large CDNs publish about 200; each hop
/// of a forwarding list, and each network that is to be struck, is held against all. 34 B each.
pub const CONFIGURED_BLOCKS: usize = 1_024;

/// One live verification with its inbox, its mail, its index entries and allocator overhead, as
/// `tests/memory.rs` counts it: 252 B where the tables have just grown. Long purposes, nonces, metadata
/// and further mails come on top and are accounted byte by byte.
pub const INBOX_RECORD_BYTES: usize = 256;
/// An inbox that only remembers its windows, and a wrong code beside its mail.
pub const INBOX_IDLE_BYTES: usize = 120;
/// An inbox that only remembers one mail: 32 B, and its entry in the index.
pub const INBOX_PACKED_BYTES: usize = 32 + INDEX_BYTES;
/// What a resend may add to a record: a mail in its log, and the log's growth by two.
pub const RESEND_BYTES: usize = 64;
/// An inbox's entry in its index, or a verification's in that of ids: 8 B at the worst load of 3/8.
pub const INDEX_BYTES: usize = 22;
/// One network with a request or two, its place and its entry in the index.
pub const PEER_RECORD_BYTES: usize = 160;
/// Strikes of one network without a record: a tag, how many, and when. A struck record that has to make room
/// leaves this, so that filling the table launders no strike.
pub const FORGOTTEN_CELL_BYTES: usize = 24;
/// One ban at its owner: two tables, by name and by end; `tests/memory.rs` counts them.
pub const BAN_RECORD_BYTES: usize = 176;
/// One ban in a lane's copy: 33 B at the worst load of 7/16.
pub const BAN_COPY_BYTES: usize = 76;
/// One domain with a mail, its place and its entry in the index.
pub const DOMAIN_RECORD_BYTES: usize = 80;
/// One API key with a window.
pub const KEY_RECORD_BYTES: usize = 128;
/// One idempotency record: its place and its entry in the index.
pub const IDEMPOTENCY_RECORD_BYTES: usize = 192;
/// One spent receipt: its place and its entry in the index.
pub const SPENT_RECEIPT_BYTES: usize = 72;

/// Asks in one batch between two lanes: beyond it the batch leaves before the turn ends.
pub const BATCH_ASKS: usize = 256;
/// Batches waiting in a shard's inbox: 64 × 256 asks of about 256 B are 4 MiB, some 20 ms of work.
pub const INBOX_BATCHES: usize = 64;
/// Hand-overs a shard has not heard of yet: more than there are sends in progress, 200 B each. The delivery
/// waits for room.
pub const INBOX_WORDS: usize = 64;
/// Asks a lane may have under way to other lanes; also the bound of its answer channel, which
/// therefore can never be full (a batch of answers belongs to a batch of asks).
pub const PENDING_ASKS_PER_LANE: usize = 16_384;
/// How long a caller waits before knocking again at a full inbox: it drains in well under a second.
pub const OVERLOADED_RETRY_AFTER: Duration = Duration::from_secs(1);
/// Alerts of one project: enough for an incident told as it unfolds, too few to fill anybody's inbox.
pub const ALERTS: &[Limit] = &[
    Limit { count: 10, window: Duration::from_secs(600) },
    Limit { count: 30, window: Duration::from_secs(86_400) },
];
/// Expired verifications a shard remembers for the events of operators: two sweeps' worth,
/// 24 KiB.
pub const EXPIRED_NEWS: usize = 2 * SWEEP_VISITS;
/// When another try at a full mail queue is worth it.
pub const DELIVERY_RETRY_AFTER: Duration = Duration::from_secs(5);
/// When a request that still runs under the same idempotency key will have ended.
pub const IN_PROGRESS_RETRY_AFTER: Duration = Duration::from_secs(1);
/// The `Retry-After` of a limit of zero, which no wait can satisfy: a day.
pub const NEVER_RETRY_AFTER: Duration = Duration::from_secs(86_400);

/// How long a ban is remembered after its end: the next one within that time is twice as long.
pub const BAN_MEMORY: Duration = Duration::from_secs(86_400);
/// Records looked at to find the one that is forgotten for a new peer: about a microsecond.
pub const EVICTION_LOOKS: usize = 8;
/// Records looked at where all of the first have strikes, before one of those is forgotten; also for one charge
/// that needs memory for a log, or a place among its project's claims.
pub const EVICTION_LOOKS_MAX: usize = 64;
/// How many of an API key's mails must go unanswered in this time before its operator is told.
pub const CONVERSION_WINDOW: Duration = Duration::from_secs(600);
/// Mails that are newer are not judged: people are still typing.
pub const CONVERSION_GRACE: Duration = Duration::from_secs(60);
/// API keys whose mails one shard counts; 600 B each. Operators make keys, so few have more; those beyond are
/// not watched.
pub const CONVERSION_KEYS: usize = 1_024;
/// How often API keys that have been quiet are looked for.
pub const KEY_SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Changes of bans in one batch between two lanes; 32 B each.
pub const BAN_NEWS: usize = 256;
/// Batches of them waiting for a lane. A lane that is further behind is told the newest word about each
/// network once it has caught up.
pub const BAN_NEWS_BATCHES: usize = 16;
/// Operator's visits waiting for a lane; 64 B each. Nobody bans faster by hand, and a script can wait.
pub const OPERATOR_VISITS: usize = 16;

/// Inboxes and peers one sweep visits before it gives the lane back: about 100 µs.
pub const SWEEP_VISITS: usize = 512;

/// Records that a sweep visits together, having looked at all of them; 128 B.
pub(crate) const DUE_AT_ONCE: usize = 32;

/// How much of each kind one shard may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Live verifications.
    pub verifications: usize,
    /// Bytes of them and of inboxes, live or remembering.
    pub inbox_bytes: usize,
    /// Bytes by which what is there may still grow when `inbox_bytes` is reached.
    pub growth_bytes: usize,
    /// Idempotency records.
    pub idempotency: usize,
    /// Receipts remembered as introspected.
    pub receipts: usize,
    /// Networks with windows or strikes.
    pub peers: usize,
    /// Networks without a record whose strikes are kept.
    pub forgotten: usize,
    /// Bytes of the logs of those that have one.
    pub peer_log_bytes: usize,
    /// Bans, live or remembered.
    pub bans: usize,
    /// Domains with unanswered mails.
    pub domains: usize,
    /// Bytes of their logs.
    pub domain_log_bytes: usize,
    /// API keys, or projects, with a window of one kind.
    pub keys: usize,
    /// Projects with a window of alerts.
    pub alerting: usize,
}

impl Capacity {
    /// Cuts one shard's share out of the memory ceiling; see the table above.
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
        // A table of this size is made when it is needed; without a bound on peers it never is.
        forgotten: 1 << 16,
        peer_log_bytes: usize::MAX,
        bans: usize::MAX,
        domains: usize::MAX,
        domain_log_bytes: usize::MAX,
        keys: usize::MAX,
        alerting: usize::MAX,
    };
}
