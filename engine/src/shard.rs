//! One shard: the tables that it alone owns, and its only entry point, [`Shard::handle`].
//!
//! ```text
//!   Command ──▶ handle(now, …) ──▶ Outcome
//!                  │
//!                  ├─ inboxes      InboxRecord ◀─ by_inbox (fingerprint) ◀─ issue
//!                  │                           ◀─ by_id (digest)          ◀─ check, resend, …
//!                  ├─ peers        PeerRecord  ◀─ by_prefix               ◀─ charge
//!                  ├─ bans         bans in force or remembered; changes leave through take_ban_changes
//!                  ├─ keys         windows of API keys, of projects, and of projects' alerts
//!                  ├─ domains      windows of unanswered mails    ◀─ DomainTag
//!                  ├─ idempotency  claimed keys and first answers
//!                  └─ receipts     introspected receipts
//! ```
//!
//! Invariants: a verification is in `by_id` exactly while it is in its inbox; a record with nothing
//! to remember is freed at its next visit; a full table refuses new work and never drops a live
//! code or a ban. Only the peer table refuses nobody: it evicts the record with the fewest
//! requests.

use crate::clock::{Moment, Now};
use crate::entropy::Entropy;
use crate::limits::{
    BAN_RECORD_BYTES, DOMAIN_RECORD_BYTES, IDEMPOTENCY_RECORD_BYTES, PEER_RECORD_BYTES, SPENT_RECEIPT_BYTES,
    SWEEP_VISITS,
};
use crate::perimeter::ban::BanChange;
use crate::request::{Ban, Command, Conversion, Expired, OVERLOADED, Outcome, Refusal, Source};
use crate::route::StartKeys;
use crate::rules::Rules;
use crate::rules::peer::PeerName;
use crate::tables::bans::Bans;
use crate::tables::domains::DomainTable;
use crate::tables::idempotency::IdempotencyTable;
use crate::tables::inboxes::Inboxes;
use crate::tables::keys::KeyTables;
use crate::tables::peers::PeerTable;
use crate::tables::spent::SpentReceipts;

mod touch;

pub use crate::settings::{BanRules, PeerLimits, Settings};
use touch::Touched;

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
    /// Bytes of the peers' logs.
    pub peer_log_bytes: usize,
    /// Bans, live or remembered.
    pub bans: usize,
    /// Bytes of everything, as counted against the memory ceiling.
    pub bytes: usize,
}

/// The state of one shard. Owned by one actor on one thread; nothing else reaches it.
pub struct Shard {
    keys: StartKeys,
    rules: Rules,
    inboxes: Inboxes,
    peers: PeerTable,
    bans: Bans,
    api_keys: KeyTables,
    domains: DomainTable,
    idempotency: IdempotencyTable,
    receipts: SpentReceipts,
    touched: Touched,
}

impl Shard {
    /// An empty shard. All shards of a process share the keys, so that any lane can route.
    pub fn new(keys: StartKeys, settings: Settings) -> Self {
        Self {
            inboxes: Inboxes::default(),
            peers: PeerTable::default(),
            bans: Bans::default(),
            api_keys: KeyTables::default(),
            domains: DomainTable::default(),
            idempotency: IdempotencyTable::default(),
            receipts: SpentReceipts::default(),
            touched: Touched::default(),
            keys,
            rules: Rules::of(settings),
        }
    }

    /// Applies new settings. Live verifications keep the terms they were issued under. The capacity
    /// stays as it was: it was computed from the memory ceiling at the start.
    ///
    /// A window that grows does not know mails older than its former span. Bans of networks that
    /// are now exempt are lifted.
    pub fn configure(&mut self, settings: Settings) {
        self.rules = Rules::of(Settings { capacity: self.rules.settings.capacity, ..settings });
        self.bans.lift_exempt(&self.rules.settings.bans);
    }

    /// Decides one command. Never waits, never fails: a refusal is an outcome.
    pub fn handle(&mut self, now: Now, command: Command, entropy: &mut impl Entropy) -> Outcome {
        let Self { inboxes, rules, keys, .. } = self;
        let terms = (&*rules, &*keys);
        let decided = match command {
            Command::Issue(issue) => inboxes.issue(now, issue.into_inner(), terms, entropy),
            Command::Check(check) => {
                inboxes.with(now, check.slot.id.digest(), terms, |inbox, keys, rules| {
                    inbox.check(now, &check, rules, keys)
                })
            }
            Command::Resend(resend) => inboxes.resend(now, resend.into_inner(), terms, entropy),
            Command::Cancel(slot) => inboxes
                .with(now, slot.id.digest(), terms, |inbox, _, _| Ok(inbox.cancel(now, &slot)))
                .or(Ok(Outcome::Cancelled { was_live: false })),
            Command::Status(slot) => {
                inboxes.with(now, slot.id.digest(), terms, |inbox, _, rules| inbox.status(now, &slot, rules))
            }
            Command::HandOver(hand_over) => Ok(inboxes.hand_over(&hand_over)),
            Command::Reserve(reserve) => self.idempotency.reserve(
                now.at,
                reserve.into_inner(),
                rules.settings.capacity.idempotency,
                entropy,
            ),
            Command::Settle(settle) => {
                self.idempotency.settle(settle);
                Ok(Outcome::Noted)
            }
            Command::Spend(spend) => self.receipts.spend(now.at, &spend, rules.settings.capacity.receipts),
            Command::Charge(charge) => {
                Ok(Outcome::Charged(self.peers.charge(&charge, &mut self.bans, &self.rules, now.at)))
            }
            Command::ChargeKey(charge) => {
                Ok(Outcome::Charged(self.api_keys.charge(&charge, &self.rules, now.at)))
            }
            Command::RefundKey(refund) => {
                self.api_keys.refund(&refund);
                Ok(Outcome::Noted)
            }
            Command::ChargeDomain(charge) => {
                Ok(Outcome::Charged(self.domains.charge(&charge, &self.rules, now.at)))
            }
            Command::RefundDomain(refund) => {
                self.domains.refund(&refund);
                Ok(Outcome::Noted)
            }
            Command::Ban(ban) => self.ban(now.at, &ban),
            Command::Unban(prefix) => Ok(Outcome::Unbanned { was_banned: self.bans.lift(prefix, now.at) }),
        };
        decided.unwrap_or_else(Outcome::Refused)
    }

    /// Prefetches the records of these commands. Worth it for a batch; [`Shard::handle`] decides
    /// each command afterwards.
    pub fn touch<'a>(&mut self, commands: impl Iterator<Item = &'a Command> + Clone) {
        self.touched.look(&self.inboxes, &self.peers, commands);
    }

    /// Frees expired records, a bounded number at a time. Returns whether more are left.
    pub fn sweep(&mut self, now: Moment) -> bool {
        self.idempotency.sweep(now);
        self.receipts.sweep(now);
        self.api_keys.sweep(&self.rules, now);
        self.bans.sweep(now);
        let visits = SWEEP_VISITS - self.inboxes.sweep(now, SWEEP_VISITS, &self.rules);
        let visits = visits - self.domains.sweep(&self.rules, now, visits);
        self.peers.sweep(&self.rules, now, visits) == visits
    }

    /// The changes for the lanes' copies of the bans. The caller of [`Shard::handle`] takes them
    /// after every command.
    pub fn take_ban_changes(&mut self) -> Vec<BanChange> {
        self.bans.take_changes()
    }

    /// All bans in force, to rebuild a copy.
    pub fn bans(&self, now: Moment) -> Vec<BanChange> {
        self.bans.all(now)
    }

    /// Verifications of live keys that have expired since the last call, at most the newest
    /// [`EXPIRED_NEWS`](crate::limits::EXPIRED_NEWS). Recording starts with the first call.
    pub fn take_expired(&mut self) -> Vec<Expired> {
        self.inboxes.take_expired()
    }

    /// How many recent mails of each API key were answered, as far as this shard's inboxes know.
    pub fn conversions(&self, now: Moment) -> Vec<Conversion> {
        self.inboxes.conversions(now)
    }

    /// Live verifications, for the metrics.
    pub fn live(&self) -> usize {
        self.inboxes.live()
    }

    /// Inbox records, live or idle.
    pub fn inboxes(&self) -> usize {
        self.inboxes.len()
    }

    /// Counts and bytes, read from lengths.
    pub fn census(&self) -> Census {
        let (peers, bans) = (self.peers.len(), self.bans.len());
        let (inbox_bytes, peer_log_bytes) = (self.inboxes.bytes(), self.peers.heap_bytes());
        let networks = peers * PEER_RECORD_BYTES
            + peer_log_bytes
            + self.peers.forgotten_bytes()
            + bans * BAN_RECORD_BYTES;
        let others = self.idempotency.len() * IDEMPOTENCY_RECORD_BYTES
            + self.receipts.len() * SPENT_RECEIPT_BYTES
            + self.domains.len() * DOMAIN_RECORD_BYTES
            + self.domains.heap_bytes();
        Census {
            live_slots: self.inboxes.live() - self.inboxes.test(),
            test_slots: self.inboxes.test(),
            inbox_bytes,
            peers,
            peer_log_bytes,
            bans,
            bytes: inbox_bytes + networks + others,
        }
    }

    fn ban(&mut self, now: Moment, ban: &Ban) -> Result<Outcome, Refusal> {
        if self.rules.settings.bans.exempts(ban.prefix) {
            return Ok(Outcome::Exempt);
        }
        let name = PeerName { prefix: ban.prefix, source: Source::Proved };
        let until = self.bans.ban(name, ban.span, &self.rules.settings, now).ok_or(OVERLOADED)?;
        self.peers.clear_strikes(name, &self.rules, now);
        Ok(Outcome::Banned(until))
    }
}
