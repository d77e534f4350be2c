//! The inboxes of a shard, with what finds them: one place for all that is known of mails and codes.
//!
//! ```text
//!   issue ─▶ by_inbox ─┐
//!                      ├─▶ InboxRecord: one rule ─▶ settle: purge what ended, then the next visit or none
//!   check … ─▶ by_id ──┘                                │
//!   sweep ─▶ due ───────────────────────────────────────┘
//! ```
//!
//! Each way in brings counts, bytes and indices in line before it returns.

use std::hint::black_box;

use super::OVERLOADED;
use super::expired::ExpiredLog;
use super::inbox::InboxRecord;
use super::records::LINK_BYTES;
use super::rules::Rules;
use super::table::InboxTable;
use super::touch::DUE_AT_ONCE;
use crate::clock::{Moment, Now};
use crate::entropy::Entropy;
use crate::limits::{Capacity, INDEX_BYTES};
use crate::perimeter::api_key::Mode;
use crate::request::{Expired, HandOver, Issue, Outcome, Refusal, Resend};
use crate::route::{Digest128, StartKeys};

/// An inbox that only remembers, with its place and its entry in the index.
const RECORD_BYTES: usize = size_of::<InboxRecord>() + LINK_BYTES + INDEX_BYTES;

/// Owned by the shard.
#[derive(Default)]
pub(super) struct Inboxes {
    pub(super) table: InboxTable,
    live: usize,
    /// Those of `live` that test keys issued.
    test: usize,
    /// Bytes beside the records: their verifications and logs.
    heap_bytes: usize,
    /// Live keys' verifications that ended by their time, until somebody takes them.
    expired: ExpiredLog,
    /// What a sweep visits next; kept, so that a sweep allocates nothing.
    due: Vec<u32>,
}

impl Inboxes {
    /// Live verifications.
    pub(super) fn live(&self) -> usize {
        self.live
    }

    /// Live verifications that test keys issued.
    pub(super) fn test(&self) -> usize {
        self.test
    }

    /// Records, live or only remembering their windows.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// What they count for against the ceiling.
    pub(super) fn bytes(&self) -> usize {
        self.table.len() * RECORD_BYTES + self.live * INDEX_BYTES + self.heap_bytes
    }

    /// See [`super::Shard::take_expired`].
    pub(super) fn take_expired(&mut self) -> Vec<Expired> {
        self.expired.take()
    }

    /// One more verification, in a record that is there or a new one.
    pub(super) fn issue(
        &mut self,
        now: Now,
        issue: Issue,
        (rules, keys): (&Rules, &StartKeys),
        entropy: &mut impl Entropy,
    ) -> Result<Outcome, Refusal> {
        // Needed only further down: so the waits for both overlap with the next one.
        black_box(self.table.touch_id(&issue.id.digest()) ^ self.table.touch_free(1));
        let known = self.table.find_inbox(&issue.inbox);
        if let Some(at) = known {
            let before = self.heap_bytes_of(at);
            self.settle(now.at, at, before, rules);
        }
        let capacity = &rules.settings.capacity;
        if self.live.max(self.table.len()) >= capacity.inboxes || self.bytes() >= capacity.inbox_bytes {
            return Err(OVERLOADED);
        }
        let of_test = usize::from(issue.owner.mode == Mode::Test);
        let at = self.table.find_or_insert(&issue.inbox, InboxRecord::new);
        let before = self.heap_bytes_of(at);
        let decided = match self.table.get_mut(at) {
            Some(inbox) => inbox.issue(now, issue, rules, keys, entropy),
            None => Err(OVERLOADED),
        };
        if let Ok(issued) = &decided {
            self.table.insert_id(&issued.id.digest(), at);
            self.live += 1;
            self.test += of_test;
        }
        self.settle(now.at, at, before, rules);
        decided.map(Outcome::Issued)
    }

    /// A resend needs no new record, but its mail is remembered: so it may go on where issues may not,
    /// until the memory that is kept for growth is used up too.
    pub(super) fn resend(
        &mut self,
        now: Now,
        resend: Resend,
        (rules, keys): (&Rules, &StartKeys),
        entropy: &mut impl Entropy,
    ) -> Result<Outcome, Refusal> {
        let Capacity { inbox_bytes, growth_bytes, .. } = rules.settings.capacity;
        if self.bytes() >= inbox_bytes.saturating_add(growth_bytes) {
            return Err(OVERLOADED);
        }
        self.with(now, resend.slot.id.digest(), (rules, keys), |inbox, keys, rules| {
            inbox.resend(now, resend, rules, keys, entropy).map(Outcome::Resent)
        })
    }

    /// Visits inboxes whose time has come. Returns how many, at most `visits`.
    pub(super) fn sweep(&mut self, now: Moment, visits: usize, rules: &Rules) -> usize {
        let (mut visited, mut due) = (0, std::mem::take(&mut self.due));
        while visited < visits {
            self.table.take_due(now, DUE_AT_ONCE.min(visits - visited), &mut due);
            if due.is_empty() {
                break;
            }
            visited += due.len();
            for &at in &due {
                let before = self.heap_bytes_of(at);
                self.settle(now, at, before, rules);
            }
        }
        self.due = due;
        visited
    }

    /// Runs one rule on the inbox that holds the verification `id`, then brings the tables in line.
    pub(super) fn with(
        &mut self,
        now: Now,
        id: Digest128,
        (rules, keys): (&Rules, &StartKeys),
        rule: impl FnOnce(&mut InboxRecord, &StartKeys, &Rules) -> Result<Outcome, Refusal>,
    ) -> Result<Outcome, Refusal> {
        let at = self.table.find_id(&id).ok_or(Refusal::VerificationNotFound)?;
        let inbox = self.table.get_mut(at).ok_or(Refusal::VerificationNotFound)?;
        let (before, of_test, heap_bytes) = (inbox.live(), usize::from(inbox.is_test()), inbox.heap_bytes());
        let decided = rule(inbox, keys, rules);
        if inbox.live() < before {
            self.table.remove_id(&id, at);
            self.live -= 1;
            self.test -= of_test;
        }
        self.settle(now.at, at, heap_bytes, rules);
        decided
    }

    /// Notes what a relay said about a mail.
    pub(super) fn hand_over(&mut self, hand_over: &HandOver) -> Outcome {
        // Gone is fine. Nothing else about the inbox changes, so there is nothing to bring in line.
        if let Some(inbox) = self.table.find_id(&hand_over.id).and_then(|at| self.table.get_mut(at)) {
            inbox.hand_over(&hand_over.id, hand_over.send, hand_over.accepted);
        }
        Outcome::Noted
    }

    /// Wipes what has expired in one inbox, then schedules its next visit or forgets it. `before` is
    /// what its heap took when it was last accounted for.
    fn settle(&mut self, now: Moment, at: u32, before: usize, rules: &Rules) {
        let Some(inbox) = self.table.get_mut(at) else { return };
        let (mut gone, of_test) = (Vec::new(), usize::from(inbox.is_test()));
        let next = inbox.sweep(now, rules, |id, owner| {
            gone.push(id);
            self.expired.note(id, owner);
        });
        let after = if next.is_some() { inbox.heap_bytes() } else { 0 };
        self.heap_bytes = self.heap_bytes + after - before;
        match next {
            None => self.table.remove(at),
            Some(next) => self.table.schedule_by(at, next),
        }
        for id in gone {
            self.table.remove_id(&id, at);
            self.live -= 1;
            self.test -= of_test;
        }
    }

    fn heap_bytes_of(&self, at: u32) -> usize {
        self.table.get(at).map_or(0, InboxRecord::heap_bytes)
    }
}
