//! The inboxes of a shard, with what finds them: one place for all that is known of mails and
//! codes.
//!
//! ```text
//!   issue ─▶ by_inbox ─┐                 ┌─ wakes up ── IdleInboxes: one mail, nothing else
//!                      ├─▶ InboxRecord ◀─┘                   ▲
//!   check … ─▶ by_id ──┘     │ one rule                      │
//!                            ▼                               │
//!   sweep ─▶ due ────▶ settle: purge what ended, then: next visit, pack, or forget
//! ```
//!
//! Each way in brings counts, bytes, shares and indices in line before it returns.
//!
//! Of the memory, one project and mode may hold as much as is free ([`Shares`]). Packed inboxes
//! count as free: the oldest of them are forgotten when their memory is needed.

use std::hint::black_box;
use std::time::Duration;

use super::conversions::Conversions;
use super::expired::ExpiredLog;
use super::idle::IdleInboxes;
use super::records::LINK_BYTES;
use super::shares::Shares;
use crate::clock::{Moment, Now, Span};
use crate::entropy::Entropy;
use crate::identity::{Mode, Owner};
use crate::limits::{
    Capacity, DUE_AT_ONCE, INBOX_RECORD_BYTES, INDEX_BYTES, OVERLOADED_RETRY_AFTER, RESEND_BYTES,
    SWEEP_VISITS,
};
use crate::request::{Conversion, Expired, HandOver, Issue, Outcome, Refusal, Resend};
use crate::route::{IdDigest, InboxFingerprint, StartKeys};
use crate::rules::Rules;
use crate::rules::inbox::InboxRecord;
use crate::rules::verification::Verification;
use crate::tables::inbox_table::InboxTable;

/// An inbox that only remembers, with its place and its entry in the index.
const RECORD_BYTES: usize = size_of::<InboxRecord>() + LINK_BYTES + INDEX_BYTES;

/// Owned by the shard.
#[derive(Default)]
pub(crate) struct Inboxes {
    pub(crate) table: InboxTable,
    pub(crate) idle: IdleInboxes,
    live: usize,
    /// Those of `live` that test keys issued.
    test: usize,
    /// Bytes beside the records: their verifications and logs.
    heap_bytes: usize,
    /// Live verifications, by whose they are.
    places: Shares,
    /// Bytes of records and verifications, by whose they are; of wrong codes alone, nobody's.
    shares: Shares,
    /// Live keys' verifications that ended by their time, until somebody takes them.
    expired: ExpiredLog,
    conversions: Conversions,
    /// What a sweep visits next; kept, so that a sweep allocates nothing.
    due: Vec<u32>,
}

/// What one record counts for.
#[derive(Clone, Copy, Default, PartialEq)]
struct Footprint {
    /// Beside the record itself.
    heap_bytes: usize,
    /// Record and logs, without its verifications: what is in the share of `keeper`.
    shared_bytes: usize,
    /// `None` where only wrong codes are remembered.
    keeper: Option<Owner>,
}

/// What one verification counts for, and in whose share.
#[derive(Clone, Copy)]
struct Held {
    id: IdDigest,
    owner: Owner,
    bytes: usize,
    expires: Moment,
}

impl Footprint {
    fn of(inbox: &InboxRecord) -> Self {
        let (heap_bytes, of_verifications) = inbox.heap_bytes();
        let shared_bytes = RECORD_BYTES + heap_bytes - of_verifications;
        Self { heap_bytes, shared_bytes, keeper: inbox.keeper() }
    }
}

impl From<&Verification> for Held {
    fn from(of: &Verification) -> Self {
        let bytes = size_of::<Verification>() + INDEX_BYTES + of.heap_bytes();
        Self { id: of.id, owner: of.owner(), bytes, expires: of.expires }
    }
}

impl Inboxes {
    /// Live verifications.
    pub(crate) fn live(&self) -> usize {
        self.live
    }

    /// Live verifications that test keys issued.
    pub(crate) fn test(&self) -> usize {
        self.test
    }

    /// Inboxes, live or only remembering their windows.
    pub(crate) fn len(&self) -> usize {
        self.table.len() + self.idle.len()
    }

    /// What they count for against the ceiling.
    pub(crate) fn bytes(&self) -> usize {
        self.table.len() * RECORD_BYTES + self.live * INDEX_BYTES + self.heap_bytes + self.idle.bytes()
    }

    /// What they take, with the places and the room in the indices that are empty.
    fn held_bytes(&self) -> usize {
        self.table.bytes() + self.heap_bytes + self.idle.held_bytes()
    }

    /// See [`crate::shard::Shard::take_expired`].
    pub(crate) fn take_expired(&mut self) -> Vec<Expired> {
        self.expired.take()
    }

    /// See [`crate::shard::Shard::conversions`].
    pub(crate) fn conversions(&self, now: Moment) -> Vec<Conversion> {
        self.conversions.list(now)
    }

    /// One more verification, in a record that is there or a new one.
    pub(crate) fn issue(
        &mut self,
        now: Now,
        issue: Issue,
        (rules, keys): (&Rules, &StartKeys),
        entropy: &mut impl Entropy,
    ) -> Result<Outcome, Refusal> {
        // Needed only further down: so the waits for both overlap with the next one.
        black_box(self.table.touch_id(&issue.id.digest()) ^ self.table.touch_free(1));
        if let Some(at) = self.table.find_inbox(&issue.inbox) {
            let before = self.footprint(at);
            self.settle(now.at, at, before, rules);
        }
        let Capacity { verifications, inbox_bytes, .. } = rules.settings.capacity;
        let notes = issue.metadata.as_ref().map_or(0, |metadata| metadata.len());
        let room = [(1, verifications), (INBOX_RECORD_BYTES + notes, inbox_bytes)];
        if self.admit(issue.owner, room, rules, now.at).is_err() {
            // What has ended makes room before anybody is told to wait for it.
            self.sweep(now.at, SWEEP_VISITS, rules);
            self.admit(issue.owner, room, rules, now.at)?;
        }
        let (at, before, asleep) = self.find_or_wake(&issue.inbox);
        let (id, sender, life) = (issue.id.digest(), (issue.owner, issue.key, issue.peer), issue.lifetime);
        let decided = match self.table.get_mut(at) {
            Some(inbox) => inbox.issue(now, issue, rules, keys, entropy),
            None => Err(Refusal::Overloaded { retry_after: OVERLOADED_RETRY_AFTER }),
        };
        if decided.is_ok() {
            self.opened(&id, at);
            let life = Span::of(life.unwrap_or(rules.settings.lifetime));
            self.conversions.mailed(sender, life, rules, now.at);
        } else if let Some(place) = asleep {
            self.table.remove(at);
            self.idle.put_back(place);
            return decided.map(Outcome::Issued);
        }
        self.settle(now.at, at, before, rules);
        decided.map(Outcome::Issued)
    }

    /// A resend needs no new record, but its mail is remembered: so it may go on where the table is
    /// full, until the memory that is kept for growth is used up too. Of that as well no project
    /// may have more than is free.
    pub(crate) fn resend(
        &mut self,
        now: Now,
        resend: Resend,
        (rules, keys): (&Rules, &StartKeys),
        entropy: &mut impl Entropy,
    ) -> Result<Outcome, Refusal> {
        let Capacity { inbox_bytes, growth_bytes, .. } = rules.settings.capacity;
        let sender = (resend.slot.owner, resend.key, resend.peer);
        let room = (RESEND_BYTES, inbox_bytes.saturating_add(growth_bytes));
        let id = resend.slot.id.digest();
        let meant = self.table.find_id(&id).and_then(|at| self.table.get(at));
        if meant.is_some_and(|inbox| inbox.finds(now, &resend.slot)) {
            self.admit(sender.0, [(0, usize::MAX), room], rules, now.at)?;
        }
        let resent = self.with(now, id, (rules, keys), |inbox, keys, rules| {
            inbox.resend(now, resend, rules, keys, entropy).map(Outcome::Resent)
        });
        if let Ok(Outcome::Resent(issued)) = &resent {
            let life = Span::of(issued.standing.expires.since(now.at));
            self.conversions.mailed(sender, life, rules, now.at);
        }
        resent
    }

    /// Visits inboxes whose time has come. Returns how many, at most `visits`.
    pub(crate) fn sweep(&mut self, now: Moment, visits: usize, rules: &Rules) -> usize {
        let (mut visited, mut due) = (0, std::mem::take(&mut self.due));
        while visited < visits {
            self.table.take_due(now, DUE_AT_ONCE.min(visits - visited), &mut due);
            if due.is_empty() {
                break;
            }
            visited += due.len();
            for &at in &due {
                let before = self.footprint(at);
                self.settle(now, at, before, rules);
            }
        }
        self.due = due;
        visited + self.idle.sweep(rules.mails.longest(), now, visits - visited)
    }

    /// Runs one rule on the inbox that holds the verification `id`, then brings the tables in line.
    pub(crate) fn with(
        &mut self,
        now: Now,
        id: IdDigest,
        (rules, keys): (&Rules, &StartKeys),
        rule: impl FnOnce(&mut InboxRecord, &StartKeys, &Rules) -> Result<Outcome, Refusal>,
    ) -> Result<Outcome, Refusal> {
        let at = self.table.find_id(&id).ok_or(Refusal::VerificationNotFound)?;
        let before = self.footprint(at);
        let inbox = self.table.get_mut(at).ok_or(Refusal::VerificationNotFound)?;
        let held = inbox.verification(&id).map(Held::from);
        let decided = rule(inbox, keys, rules);
        if let Some(held) = held.filter(|_| !inbox.holds(&id)) {
            self.closed(held, at);
            if let Ok(Outcome::Approved(approved)) = &decided
                && let Some(answered) = &approved.answered
            {
                self.conversions.answered(held.owner, answered, now.at);
            }
        }
        self.settle(now.at, at, before, rules);
        decided
    }

    /// Notes what a relay said about a mail.
    pub(crate) fn hand_over(&mut self, hand_over: &HandOver) -> Outcome {
        // Gone is fine. Nothing else about the inbox changes, so there is nothing to bring in line.
        if let Some(inbox) = self.table.find_id(&hand_over.id).and_then(|at| self.table.get_mut(at)) {
            inbox.hand_over(&hand_over.id, hand_over.send, hand_over.accepted);
        }
        Outcome::Noted
    }

    /// Whether `owner` may take so many places of so many, and bytes of so many. Then there is room
    /// for them.
    fn admit(
        &mut self,
        owner: Owner,
        [(places, all_places), (bytes, all_bytes)]: [(usize, usize); 2],
        rules: &Rules,
        now: Moment,
    ) -> Result<(), Refusal> {
        // The longer of the two waits, so that it is enough for both.
        let places = self.places.admit(owner, places, all_places, Duration::ZERO, now).err();
        // Places that are empty again are used for the next records, and for nothing else.
        let empty = (self.table.bytes() + self.heap_bytes).saturating_sub(self.shares.total());
        let shared = all_bytes.saturating_sub(empty);
        let shares = self.shares.admit(owner, bytes, shared, rules.longest_of_inboxes(), now).err();
        if let Some(retry_after) = places.max(shares) {
            return Err(Refusal::Overloaded { retry_after });
        }
        while self.held_bytes() + bytes > all_bytes && self.idle.forget_oldest() {}
        Ok(())
    }

    /// The record of an inbox, what it counted for, and where it slept if it woke up for this.
    fn find_or_wake(&mut self, inbox: &InboxFingerprint) -> (u32, Footprint, Option<u32>) {
        if let Some(at) = self.table.find_inbox(inbox) {
            return (at, self.footprint(at), None);
        }
        let asleep = self.idle.find(inbox);
        let mail = asleep.and_then(|at| self.idle.take(at));
        let record = mail.map_or_else(|| InboxRecord::new(*inbox), |mail| InboxRecord::waking(*inbox, mail));
        (self.table.insert(record), Footprint::default(), asleep)
    }

    /// Wipes what has expired in one inbox, then schedules its next visit, packs it or forgets it.
    /// `before` is what it counted for when it was last accounted for.
    fn settle(&mut self, now: Moment, at: u32, before: Footprint, rules: &Rules) {
        let Some(inbox) = self.table.get_mut(at) else { return };
        let mut gone = Vec::new();
        let next = inbox.sweep(now, rules, |verification| {
            gone.push(Held::from(verification));
            self.expired.note(verification.id, verification.owner());
        });
        let ends = |mail: &_| next == Some(rules.mails.end_of(mail));
        let packed = inbox.only_mail().filter(|mail| ends(mail) && self.idle.has_room_for(mail));
        let after =
            if next.is_some() && packed.is_none() { Footprint::of(inbox) } else { Footprint::default() };
        let name = inbox.fingerprint;
        match next.filter(|_| packed.is_none()) {
            None => self.table.remove(at),
            Some(next) => self.table.schedule_by(at, next),
        }
        gone.into_iter().for_each(|held| self.closed(held, at));
        self.account(before, after);
        if let Some(mail) = packed {
            self.idle.push(name, mail);
        }
    }

    fn account(&mut self, before: Footprint, after: Footprint) {
        if before == after {
            return;
        }
        self.heap_bytes = self.heap_bytes + after.heap_bytes - before.heap_bytes;
        if before.keeper == after.keeper {
            self.shares.shift(before.keeper, before.shared_bytes, after.shared_bytes);
        } else {
            self.shares.give_back(before.keeper, before.shared_bytes, None);
            self.shares.take(after.keeper, after.shared_bytes, None);
        }
    }

    /// A verification lives from now on.
    fn opened(&mut self, id: &IdDigest, at: u32) {
        let Some(verification) = self.table.get(at).and_then(|inbox| inbox.verification(id)) else { return };
        let held = Held::from(verification);
        self.table.insert_id(id, at);
        self.live += 1;
        self.test += usize::from(held.owner.mode == Mode::Test);
        self.places.take(Some(held.owner), 1, Some(held.expires));
        self.shares.take(Some(held.owner), held.bytes, Some(held.expires));
    }

    /// A verification has ended.
    fn closed(&mut self, held: Held, at: u32) {
        self.table.remove_id(&held.id, at);
        self.live -= 1;
        self.test -= usize::from(held.owner.mode == Mode::Test);
        self.places.give_back(Some(held.owner), 1, Some(held.expires));
        self.shares.give_back(Some(held.owner), held.bytes, Some(held.expires));
    }

    fn footprint(&self, at: u32) -> Footprint {
        self.table.get(at).map_or_else(Footprint::default, Footprint::of)
    }
}
