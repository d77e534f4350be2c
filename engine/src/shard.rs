//! One shard: the tables it alone owns and the one way in, [`Shard::handle`].
//!
//! ```text
//!   Command ──▶ handle(now, …) ──▶ Outcome
//!                  │
//!                  ├─ inboxes      slab of InboxRecord ◀─ by_inbox (fingerprint) ◀─ issue
//!                  │                                   ◀─ by_id (digest)          ◀─ check, resend, …
//!                  ├─ idempotency  claimed keys and first answers
//!                  ├─ receipts     introspected receipts
//!                  └─ wheel        when to look at which inbox again (frees memory, decides nothing)
//! ```
//!
//! Invariants: a verification is in `by_id` exactly while it is in its inbox; a record with nothing to
//! remember is not in the slab; a full table refuses new work and never drops a live code.

use std::time::Duration;

use crate::clock::{Moment, Now};
use crate::entropy::Entropy;
use crate::limits::{
    Capacity, IDEMPOTENCY_RECORD_BYTES, INBOX_RECORD_BYTES, OVERLOADED_RETRY_AFTER, SPENT_RECEIPT_BYTES,
    SWEEP_VISITS,
};
use crate::perimeter::api_key::Mode;
use crate::request::{Command, HandOver, Issue, Outcome, Refusal};
use crate::route::{Digest128, StartKeys};

mod expiry;
mod idempotency;
mod inbox;
mod spent;
mod table;
mod verification;
mod window;

use expiry::Wheel;
use idempotency::IdempotencyTable;
use inbox::InboxRecord;
use spent::SpentReceipts;
use table::InboxTable;
pub use window::Limit;

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
    /// Mails per inbox.
    pub recipient_issue: Vec<Limit>,
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
    /// What all records count for against the memory ceiling.
    pub bytes: usize,
}

/// The state of one shard. Owned by one actor on one thread; nothing else reaches it.
pub struct Shard {
    keys: StartKeys,
    settings: Settings,
    inboxes: InboxTable,
    idempotency: IdempotencyTable,
    receipts: SpentReceipts,
    wheel: Wheel,
    live: usize,
    /// Those of `live` that test keys issued.
    test: usize,
}

impl Shard {
    /// An empty shard. All shards of a process share the keys, so that any lane can route.
    pub fn new(keys: StartKeys, settings: Settings) -> Self {
        Self {
            inboxes: InboxTable::default(),
            idempotency: IdempotencyTable::new(settings.capacity.idempotency),
            receipts: SpentReceipts::new(settings.capacity.receipts),
            wheel: Wheel::default(),
            live: 0,
            test: 0,
            keys,
            settings,
        }
    }

    /// Takes other settings from now on; what lives keeps the terms it was issued under. The room stays
    /// what it was: the tables were cut out of the memory ceiling at the start.
    ///
    /// A window that grows knows nothing of mails older than the span it had before.
    pub fn configure(&mut self, settings: Settings) {
        self.settings = Settings { capacity: self.settings.capacity, ..settings };
    }

    /// Decides one command. Never waits, never fails: a refusal is an outcome.
    pub fn handle(&mut self, now: Now, command: Command, entropy: &mut impl Entropy) -> Outcome {
        let decided = match command {
            Command::Issue(issue) => self.issue(now, issue, entropy),
            Command::Check(check) => {
                self.with_inbox(now, check.slot.digest, |inbox, keys, _| inbox.check(now, &check, keys))
            }
            Command::Resend(resend) => self.with_inbox(now, resend.slot.digest, |inbox, keys, settings| {
                inbox.resend(now, resend, settings, keys, entropy).map(Outcome::Resent)
            }),
            Command::Cancel(slot) => {
                let cancel = |inbox: &mut InboxRecord, _: &_, _: &_| Ok(inbox.cancel(now, &slot));
                self.with_inbox(now, slot.digest, cancel).or(Ok(Outcome::Cancelled))
            }
            Command::Status(slot) => {
                self.with_inbox(now, slot.digest, |inbox, _, _| inbox.status(now, &slot))
            }
            Command::HandOver(hand_over) => Ok(self.hand_over(now, &hand_over)),
            Command::Reserve(reserve) => self.idempotency.reserve(now.at, reserve, entropy),
            Command::Settle(settle) => {
                self.idempotency.settle(settle);
                Ok(Outcome::Noted)
            }
            Command::Spend(spend) => self.receipts.spend(now.at, &spend),
        };
        decided.unwrap_or_else(Outcome::Refused)
    }

    /// Frees what has expired, a bounded number of records at a time. Returns whether there is more.
    pub fn sweep(&mut self, now: Moment) -> bool {
        self.idempotency.sweep(now);
        self.receipts.sweep(now);
        for _ in 0..SWEEP_VISITS {
            let Some((at, due)) = self.wheel.next(now) else { return false };
            // A record that was rescheduled, or whose place was taken over, is visited at its own time.
            if self.inboxes.get(at).is_some_and(|inbox| inbox.visit_at == due) {
                self.settle_inbox(now, at);
            }
        }
        true
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
        let inboxes = self.live.max(self.inboxes.len()) * INBOX_RECORD_BYTES;
        let others =
            self.idempotency.len() * IDEMPOTENCY_RECORD_BYTES + self.receipts.len() * SPENT_RECEIPT_BYTES;
        Census { live_slots: self.live - self.test, test_slots: self.test, bytes: inboxes + others }
    }

    fn issue(&mut self, now: Now, issue: Issue, entropy: &mut impl Entropy) -> Result<Outcome, Refusal> {
        let known = self.inboxes.find_inbox(&issue.inbox);
        if let Some(at) = known {
            self.settle_inbox(now.at, at);
        }
        if self.live.max(self.inboxes.len()) >= self.settings.capacity.inboxes {
            return Err(Refusal::Overloaded { retry_after: OVERLOADED_RETRY_AFTER });
        }
        let of_test = usize::from(issue.owner.mode == Mode::Test);
        let at = self.inboxes.find_or_insert(&issue.inbox, InboxRecord::new);
        let decided = match self.inboxes.get_mut(at) {
            Some(inbox) => inbox.issue(now, issue, &self.settings, &self.keys, entropy),
            None => Err(Refusal::Overloaded { retry_after: OVERLOADED_RETRY_AFTER }),
        };
        if let Ok(issued) = &decided {
            self.inboxes.insert_id(issued.id.locate(&self.keys).0, at);
            self.live += 1;
            self.test += of_test;
        }
        self.settle_inbox(now.at, at);
        decided.map(Outcome::Issued)
    }

    /// Runs one rule on the inbox that holds the verification `id`, then brings the tables in line.
    fn with_inbox(
        &mut self,
        now: Now,
        id: Digest128,
        rule: impl FnOnce(&mut InboxRecord, &StartKeys, &Settings) -> Result<Outcome, Refusal>,
    ) -> Result<Outcome, Refusal> {
        let at = self.inboxes.find_id(&id).ok_or(Refusal::VerificationNotFound)?;
        let inbox = self.inboxes.get_mut(at).ok_or(Refusal::VerificationNotFound)?;
        let (before, of_test) = (inbox.live(), usize::from(inbox.is_test()));
        let decided = rule(inbox, &self.keys, &self.settings);
        if inbox.live() < before {
            self.inboxes.remove_id(&id);
            self.live -= 1;
            self.test -= of_test;
        }
        self.settle_inbox(now.at, at);
        decided
    }

    fn hand_over(&mut self, now: Now, hand_over: &HandOver) -> Outcome {
        let _gone_is_fine = self.with_inbox(now, hand_over.id, |inbox, _, _| {
            inbox.hand_over(&hand_over.id, hand_over.send, hand_over.accepted);
            Ok(Outcome::Noted)
        });
        Outcome::Noted
    }

    /// Wipes what has expired in one inbox, then schedules its next visit or forgets it.
    fn settle_inbox(&mut self, now: Moment, at: u32) {
        let Some(inbox) = self.inboxes.get_mut(at) else { return };
        let (mut gone, of_test) = (Vec::new(), usize::from(inbox.is_test()));
        let next = inbox.sweep(now, &self.settings, |id| gone.push(id));
        match next {
            None => self.inboxes.remove(at),
            Some(next) if next != inbox.visit_at && (inbox.visit_at <= now || next < inbox.visit_at) => {
                inbox.visit_at = next;
                self.wheel.schedule(at, next);
            }
            Some(_) => {}
        }
        for id in gone {
            self.inboxes.remove_id(&id);
            self.live -= 1;
            self.test -= of_test;
        }
    }
}
