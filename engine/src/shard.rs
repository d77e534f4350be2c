//! One shard: the tables it alone owns and the one way in, [`Shard::handle`].
//!
//! ```text
//!   Command ──▶ handle(now, …) ──▶ Outcome
//!                  │
//!                  ├─ inboxes      InboxRecord ◀─ by_inbox (fingerprint) ◀─ issue
//!                  │                           ◀─ by_id (digest)          ◀─ check, resend, …
//!                  ├─ peers        PeerRecord  ◀─ by_prefix               ◀─ charge
//!                  ├─ bans         who is banned, who was; changes leave through take_ban_changes
//!                  ├─ keys         windows of API keys, and of projects' alerts
//!                  ├─ idempotency  claimed keys and first answers
//!                  └─ receipts     introspected receipts
//! ```
//!
//! Invariants: a verification is in `by_id` exactly while it is in its inbox; a record with nothing to
//! remember is freed at its next visit; a full table refuses new work and never drops a live code, a
//! strike, or a ban.

use std::hint::black_box;
use std::time::Duration;

use crate::clock::{Moment, Now};
use crate::entropy::Entropy;
use crate::limits::{
    BAN_RECORD_BYTES, Capacity, IDEMPOTENCY_RECORD_BYTES, INDEX_BYTES, OVERLOADED_RETRY_AFTER,
    PEER_RECORD_BYTES, SPENT_RECEIPT_BYTES, SWEEP_VISITS,
};
use crate::perimeter::api_key::Mode;
use crate::perimeter::ban::BanChange;
use crate::request::{Ban, Command, Expired, HandOver, Issue, Outcome, Refusal, Resend};
use crate::route::{Digest128, StartKeys};

mod expired;
mod inbox;
mod ledger;
mod mails;
mod verification;

mod ban;
mod peer;
mod peers;
mod strike;

mod idempotency;
mod key;
mod spent;

mod index;
mod limit;
mod log;
mod records;
mod rules;
mod table;
mod touch;
mod window;

use ban::Bans;
use expired::ExpiredLog;
use idempotency::IdempotencyTable;
use inbox::InboxRecord;
use key::KeyTable;
pub use limit::Limit;
pub use peer::PeerLimits;
use peers::PeerTable;
use rules::Rules;
use spent::SpentReceipts;
use table::InboxTable;
use touch::{DUE_AT_ONCE, Touched};

/// The operator's choices that shards decide by. Immutable; each shard holds a copy.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Digits of a code unless the request says otherwise.
    pub code_length: u8,
    /// Life of a verification unless the request says otherwise.
    pub lifetime: Duration,
    /// Tries of a verification, over all its codes.
    pub attempts: u8,
    /// Wait between two mails of a verification.
    pub resend_after: Duration,
    /// Mails of a verification, the first included.
    pub sends: u8,
    /// Mails per inbox. Here and below: empty means off.
    pub recipient_issue: Vec<Limit>,
    /// One peer's share of an inbox's mails.
    pub recipient_peer_issue: Vec<Limit>,
    /// Wrong codes compared per inbox, past which new codes grow.
    pub recipient_guess: Vec<Limit>,
    /// Requests per peer.
    pub peer: PeerLimits,
    /// Accepted issues per API key.
    pub key_issue: Vec<Limit>,
    /// What strikes lead to.
    pub bans: BanRules,
    /// Room for records.
    pub capacity: Capacity,
}

/// What a shard holds, for the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Live verifications of live keys.
    pub live_slots: usize,
    /// Live verifications of test keys.
    pub test_slots: usize,
    /// Bytes of inboxes and live verifications.
    pub inbox_bytes: usize,
    /// Networks with windows or strikes.
    pub peers: usize,
    /// Bytes of their logs.
    pub peer_log_bytes: usize,
    /// Bans, live or remembered.
    pub bans: usize,
    /// What all of it counts for against the memory ceiling.
    pub bytes: usize,
}

/// When a peer is banned, and for how long.
#[derive(Clone, Debug, Default)]
pub struct BanRules {
    /// Strikes that ban; empty for never.
    pub strikes: Vec<Limit>,
    /// The first ban.
    pub first: Duration,
    /// The longest ban, however often it was doubled.
    pub max: Duration,
}

/// The state of one shard. Owned by one actor on one thread; nothing else reaches it.
pub struct Shard {
    keys: StartKeys,
    rules: Rules,
    inboxes: InboxTable,
    peers: PeerTable,
    bans: Bans,
    api_keys: KeyTable,
    alerts: KeyTable,
    idempotency: IdempotencyTable,
    receipts: SpentReceipts,
    live: usize,
    /// Those of `live` that test keys issued.
    test: usize,
    /// Bytes beside the inbox records: their verifications and logs.
    inbox_heap_bytes: usize,
    /// Live keys' verifications that ended by their time, until somebody takes them.
    expired: ExpiredLog,
    touched: Touched,
}

impl Shard {
    /// An empty shard. All shards of a process share the keys, so that any lane can route.
    pub fn new(keys: StartKeys, settings: Settings) -> Self {
        Self {
            inboxes: InboxTable::default(),
            peers: PeerTable::default(),
            bans: Bans::default(),
            api_keys: KeyTable::default(),
            alerts: KeyTable::default(),
            idempotency: IdempotencyTable::new(settings.capacity.idempotency),
            receipts: SpentReceipts::new(settings.capacity.receipts),
            live: 0,
            test: 0,
            inbox_heap_bytes: 0,
            expired: ExpiredLog::default(),
            touched: Touched::default(),
            keys,
            rules: Rules::of(settings),
        }
    }

    /// Takes other settings from now on; what lives keeps the terms it was issued under. The room stays
    /// what it was: the tables were cut out of the memory ceiling at the start.
    ///
    /// A window that grows knows nothing of mails older than the span it had before.
    pub fn configure(&mut self, settings: Settings) {
        self.rules = Rules::of(Settings { capacity: self.rules.settings.capacity, ..settings });
    }

    /// Decides one command. Never waits, never fails: a refusal is an outcome.
    pub fn handle(&mut self, now: Now, command: Command, entropy: &mut impl Entropy) -> Outcome {
        let decided = match command {
            Command::Issue(issue) => self.issue(now, issue, entropy),
            Command::Check(check) => self.with_inbox(now, check.slot.id.digest(), |inbox, keys, rules| {
                inbox.check(now, &check, rules, keys)
            }),
            Command::Resend(resend) => self.resend(now, resend, entropy),
            Command::Cancel(slot) => {
                let cancel = |inbox: &mut InboxRecord, _: &_, _: &_| Ok(inbox.cancel(now, &slot));
                self.with_inbox(now, slot.id.digest(), cancel).or(Ok(Outcome::Cancelled { was_live: false }))
            }
            Command::Status(slot) => {
                self.with_inbox(now, slot.id.digest(), |inbox, _, rules| inbox.status(now, &slot, rules))
            }
            Command::HandOver(hand_over) => Ok(self.hand_over(&hand_over)),
            Command::Reserve(reserve) => self.idempotency.reserve(now.at, reserve, entropy),
            Command::Settle(settle) => {
                self.idempotency.settle(settle);
                Ok(Outcome::Noted)
            }
            Command::Spend(spend) => self.receipts.spend(now.at, &spend),
            Command::Charge(charge) => {
                Ok(Outcome::Charged(self.peers.charge(&charge, &mut self.bans, &self.rules, now.at)))
            }
            Command::ChargeKey(key) => {
                let Rules { key_issue, settings, .. } = &self.rules;
                Ok(Outcome::Charged(self.api_keys.charge(key, key_issue, settings.capacity.keys, now.at)))
            }
            Command::ChargeAlert(project) => {
                let Rules { alerts, settings, .. } = &self.rules;
                Ok(Outcome::Charged(self.alerts.charge(project, alerts, settings.capacity.alerting, now.at)))
            }
            Command::RefundKey(refund) => {
                self.api_keys.refund(&refund);
                Ok(Outcome::Noted)
            }
            Command::Ban(ban) => self.ban(now.at, &ban),
            Command::Unban(prefix) => Ok(Outcome::Unbanned { was_banned: self.bans.lift(prefix, now.at) }),
        };
        decided.unwrap_or_else(Outcome::Refused)
    }

    /// Frees what has expired, a bounded number of records at a time. Returns whether there is more.
    pub fn sweep(&mut self, now: Moment) -> bool {
        self.idempotency.sweep(now);
        self.receipts.sweep(now);
        self.api_keys.sweep(&self.rules.key_issue, now);
        self.alerts.sweep(&self.rules.alerts, now);
        self.bans.sweep(now);
        let visits = SWEEP_VISITS - self.sweep_inboxes(now, SWEEP_VISITS);
        self.peers.sweep(&self.rules, now, visits) == visits
    }

    /// What the lanes' copies of the bans have to learn; whoever drives a shard takes it after every
    /// command.
    pub fn take_ban_changes(&mut self) -> Vec<BanChange> {
        self.bans.take_changes()
    }

    /// All bans that hold, for a copy that starts anew.
    pub fn bans(&self, now: Moment) -> Vec<BanChange> {
        self.bans.all(now)
    }

    /// Verifications of live keys that ended by their time since this was last asked, the newest
    /// [`EXPIRED_NEWS`](crate::limits::EXPIRED_NEWS) of them. The first question makes the shard keep note.
    pub fn take_expired(&mut self) -> Vec<Expired> {
        self.expired.take()
    }

    /// Live verifications, for the metrics.
    pub fn live(&self) -> usize {
        self.live
    }

    /// Inbox records, live or only remembering their windows.
    pub fn inboxes(&self) -> usize {
        self.inboxes.len()
    }

    /// What there is, and what it counts for: a look at lengths.
    pub fn census(&self) -> Census {
        let (peers, bans) = (self.peers.len(), self.bans.len());
        let (inbox_bytes, peer_log_bytes) = (self.inbox_bytes(), self.peers.heap_bytes());
        let networks = peers * PEER_RECORD_BYTES + peer_log_bytes + bans * BAN_RECORD_BYTES;
        let others =
            self.idempotency.len() * IDEMPOTENCY_RECORD_BYTES + self.receipts.len() * SPENT_RECEIPT_BYTES;
        Census {
            live_slots: self.live - self.test,
            test_slots: self.test,
            inbox_bytes,
            peers,
            peer_log_bytes,
            bans,
            bytes: inbox_bytes + networks + others,
        }
    }

    fn issue(&mut self, now: Now, issue: Issue, entropy: &mut impl Entropy) -> Result<Outcome, Refusal> {
        // Needed only further down: so the waits for both overlap with the next one.
        black_box(self.inboxes.touch_id(&issue.id.digest()) ^ self.inboxes.touch_free(1));
        let known = self.inboxes.find_inbox(&issue.inbox);
        if let Some(at) = known {
            let before = self.heap_bytes_of(at);
            self.settle_inbox(now.at, at, before);
        }
        let capacity = &self.rules.settings.capacity;
        if self.live.max(self.inboxes.len()) >= capacity.inboxes || self.inbox_bytes() >= capacity.inbox_bytes
        {
            return Err(OVERLOADED);
        }
        let of_test = usize::from(issue.owner.mode == Mode::Test);
        let at = self.inboxes.find_or_insert(&issue.inbox, InboxRecord::new);
        let before = self.heap_bytes_of(at);
        let decided = match self.inboxes.get_mut(at) {
            Some(inbox) => inbox.issue(now, issue, &self.rules, &self.keys, entropy),
            None => Err(OVERLOADED),
        };
        if let Ok(issued) = &decided {
            self.inboxes.insert_id(&issued.id.digest(), at);
            self.live += 1;
            self.test += of_test;
        }
        self.settle_inbox(now.at, at, before);
        decided.map(Outcome::Issued)
    }

    /// A resend needs no new record, but its mail is remembered: so it may go on where issues may not,
    /// until the memory that is kept for growth is used up too.
    fn resend(&mut self, now: Now, resend: Resend, entropy: &mut impl Entropy) -> Result<Outcome, Refusal> {
        let Capacity { inbox_bytes, growth_bytes, .. } = self.rules.settings.capacity;
        if self.inbox_bytes() >= inbox_bytes.saturating_add(growth_bytes) {
            return Err(OVERLOADED);
        }
        self.with_inbox(now, resend.slot.id.digest(), |inbox, keys, rules| {
            inbox.resend(now, resend, rules, keys, entropy).map(Outcome::Resent)
        })
    }

    fn ban(&mut self, now: Moment, ban: &Ban) -> Result<Outcome, Refusal> {
        let until = self.bans.ban(ban.prefix, ban.span, &self.rules.settings, now).ok_or(OVERLOADED)?;
        self.peers.clear_strikes(ban.prefix);
        Ok(Outcome::Banned(until))
    }

    /// Visits inboxes whose time has come. Returns how many, at most `visits`.
    fn sweep_inboxes(&mut self, now: Moment, visits: usize) -> usize {
        let (mut visited, mut due) = (0, std::mem::take(&mut self.touched.due));
        while visited < visits {
            self.inboxes.take_due(now, DUE_AT_ONCE.min(visits - visited), &mut due);
            if due.is_empty() {
                break;
            }
            visited += due.len();
            for &at in &due {
                let before = self.heap_bytes_of(at);
                self.settle_inbox(now, at, before);
            }
        }
        self.touched.due = due;
        visited
    }

    /// Runs one rule on the inbox that holds the verification `id`, then brings the tables in line.
    fn with_inbox(
        &mut self,
        now: Now,
        id: Digest128,
        rule: impl FnOnce(&mut InboxRecord, &StartKeys, &Rules) -> Result<Outcome, Refusal>,
    ) -> Result<Outcome, Refusal> {
        let at = self.inboxes.find_id(&id).ok_or(Refusal::VerificationNotFound)?;
        let inbox = self.inboxes.get_mut(at).ok_or(Refusal::VerificationNotFound)?;
        let (before, of_test, heap_bytes) = (inbox.live(), usize::from(inbox.is_test()), inbox.heap_bytes());
        let decided = rule(inbox, &self.keys, &self.rules);
        if inbox.live() < before {
            self.inboxes.remove_id(&id, at);
            self.live -= 1;
            self.test -= of_test;
        }
        self.settle_inbox(now.at, at, heap_bytes);
        decided
    }

    fn hand_over(&mut self, hand_over: &HandOver) -> Outcome {
        // Gone is fine. Nothing else about the inbox changes, so there is nothing to bring in line.
        if let Some(inbox) = self.inboxes.find_id(&hand_over.id).and_then(|at| self.inboxes.get_mut(at)) {
            inbox.hand_over(&hand_over.id, hand_over.send, hand_over.accepted);
        }
        Outcome::Noted
    }

    /// Wipes what has expired in one inbox, then schedules its next visit or forgets it. `before` is
    /// what its heap took when it was last accounted for.
    fn settle_inbox(&mut self, now: Moment, at: u32, before: usize) {
        let Some(inbox) = self.inboxes.get_mut(at) else { return };
        let (mut gone, of_test) = (Vec::new(), usize::from(inbox.is_test()));
        let next = inbox.sweep(now, &self.rules, |id, owner| {
            gone.push(id);
            self.expired.note(id, owner);
        });
        let after = if next.is_some() { inbox.heap_bytes() } else { 0 };
        self.inbox_heap_bytes = self.inbox_heap_bytes + after - before;
        match next {
            None => self.inboxes.remove(at),
            Some(next) => self.inboxes.schedule_by(at, next),
        }
        for id in gone {
            self.inboxes.remove_id(&id, at);
            self.live -= 1;
            self.test -= of_test;
        }
    }

    fn heap_bytes_of(&self, at: u32) -> usize {
        self.inboxes.get(at).map_or(0, InboxRecord::heap_bytes)
    }

    fn inbox_bytes(&self) -> usize {
        self.inboxes.len() * RECORD_BYTES + self.live * INDEX_BYTES + self.inbox_heap_bytes
    }
}

/// An inbox that only remembers, with its place and its entry in the index.
const RECORD_BYTES: usize = size_of::<InboxRecord>() + records::LINK_BYTES + INDEX_BYTES;

const OVERLOADED: Refusal = Refusal::Overloaded { retry_after: OVERLOADED_RETRY_AFTER };
