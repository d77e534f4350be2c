//! All inboxes of a shard, full or packed, with their indices and accounting.
//!
//! ```text
//!   issue ─▶ by_inbox ─┐                 ┌─ unpacked ── IdleInboxes: one mail, nothing else
//!                      ├─▶ InboxRecord ◀─┘                   ▲
//!   check … ─▶ by_id ──┘     │ one rule                      │
//!                            ▼                               │
//!   sweep ─▶ due ────▶ settle: purge what ended, then schedule the next visit, pack, or remove
//! ```
//!
//! Every public method brings counts, bytes, shares and indices up to date before it returns.
//!
//! One project in one mode may hold as much memory as is free ([`Shares`]). Packed inboxes count as
//! free: the oldest are forgotten when their memory is needed.

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

/// An inbox record without verifications or logs: its place and its index entry.
const RECORD_BYTES: usize = size_of::<InboxRecord>() + LINK_BYTES + INDEX_BYTES;

/// All inboxes of one shard. Owned by it.
#[derive(Default)]
pub(crate) struct Inboxes {
    pub(crate) table: InboxTable,
    pub(crate) idle: IdleInboxes,
    live: usize,
    /// Those of `live` that belong to test keys.
    test: usize,
    /// Bytes besides the records: verifications and logs.
    heap_bytes: usize,
    /// Live verifications, counted by owner.
    places: Shares,
    /// Bytes of records and verifications, counted by owner; records of wrong codes alone have no
    /// owner.
    shares: Shares,
    /// Expired verifications of live keys, until they are taken.
    expired: ExpiredLog,
    conversions: Conversions,
    /// The records a sweep visits next; kept, so that a sweep allocates nothing.
    due: Vec<u32>,
}

/// The memory of one record.
#[derive(Clone, Copy, Default, PartialEq)]
struct Footprint {
    /// Bytes besides the record itself.
    heap_bytes: usize,
    /// Record and logs without verifications: the bytes in the share of `keeper`.
    shared_bytes: usize,
    /// `None` if only wrong codes are remembered.
    keeper: Option<Owner>,
}

/// The memory of one verification, and its owner.
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

    /// Live verifications of test keys.
    pub(crate) fn test(&self) -> usize {
        self.test
    }

    /// Inbox records, live or idle.
    pub(crate) fn len(&self) -> usize {
        self.table.len() + self.idle.len()
    }

    /// Bytes counted against the ceiling.
    pub(crate) fn bytes(&self) -> usize {
        self.table.len() * RECORD_BYTES + self.live * INDEX_BYTES + self.heap_bytes + self.idle.bytes()
    }

    /// Bytes in use, including empty places and empty index slots.
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

    /// Opens a verification in an existing or a new record.
    pub(crate) fn issue(
        &mut self,
        now: Now,
        issue: Issue,
        (rules, keys): (&Rules, &StartKeys),
        entropy: &mut impl Entropy,
    ) -> Result<Outcome, Refusal> {
        // Prefetches what is needed only further down, so that the cache misses overlap.
        black_box(self.table.touch_id(&issue.id.digest()) ^ self.table.touch_free(1));
        if let Some(at) = self.table.find_inbox(&issue.inbox) {
            let before = self.footprint(at);
            self.settle(now.at, at, before, rules);
        }
        let Capacity { verifications, inbox_bytes, .. } = rules.settings.capacity;
        let notes = issue.metadata.as_ref().map_or(0, |metadata| metadata.len());
        let room = [(1, verifications), (INBOX_RECORD_BYTES + notes, inbox_bytes)];
        if self.admit(issue.owner, room, rules, now.at).is_err() {
            // Ended verifications make room before a request is refused.
            self.sweep(now.at, SWEEP_VISITS, rules);
            self.admit(issue.owner, room, rules, now.at)?;
        }
        let (at, before, packed_at) = self.find_or_unpack(&issue.inbox);
        let (id, sender, life) = (issue.id.digest(), (issue.owner, issue.key, issue.peer), issue.lifetime);
        let decided = match self.table.get_mut(at) {
            Some(inbox) => inbox.issue(now, issue, rules, keys, entropy),
            None => Err(Refusal::Overloaded { retry_after: OVERLOADED_RETRY_AFTER }),
        };
        if decided.is_ok() {
            self.opened(&id, at);
            let life = Span::of(life.unwrap_or(rules.settings.lifetime));
            self.conversions.mailed(sender, life, rules, now.at);
        } else if let Some(place) = packed_at {
            self.table.remove(at);
            self.idle.put_back(place);
            return decided.map(Outcome::Issued);
        }
        self.settle(now.at, at, before, rules);
        decided.map(Outcome::Issued)
    }

    /// A resend needs no new record, but its mail is remembered. So it may succeed while the table
    /// is full, until the memory reserved for growth is used up too. Of that as well, no project
    /// may hold more than is free.
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

    /// Visits inboxes that are due. Returns how many, at most `visits`.
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

    /// Runs one rule on the inbox that holds the verification `id`, then updates the tables.
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

    /// Records what a relay said about a mail.
    pub(crate) fn hand_over(&mut self, hand_over: &HandOver) -> Outcome {
        // The verification may have ended. Nothing else about the inbox changes, so no tables need
        // an update.
        if let Some(inbox) = self.table.find_id(&hand_over.id).and_then(|at| self.table.get_mut(at)) {
            inbox.hand_over(&hand_over.id, hand_over.send, hand_over.accepted);
        }
        Outcome::Noted
    }

    /// Whether `owner` may take `places` of `all_places` and `bytes` of `all_bytes`. If so, makes
    /// room.
    fn admit(
        &mut self,
        owner: Owner,
        [(places, all_places), (bytes, all_bytes)]: [(usize, usize); 2],
        rules: &Rules,
        now: Moment,
    ) -> Result<(), Refusal> {
        // The longer of the two waits, so that it is enough for both.
        let places = self.places.admit(owner, places, all_places, Duration::ZERO, now).err();
        // Empty places are reused for later records and for nothing else.
        let empty = (self.table.bytes() + self.heap_bytes).saturating_sub(self.shares.total());
        let shared = all_bytes.saturating_sub(empty);
        let shares = self.shares.admit(owner, bytes, shared, rules.longest_of_inboxes(), now).err();
        if let Some(retry_after) = places.max(shares) {
            return Err(Refusal::Overloaded { retry_after });
        }
        while self.held_bytes() + bytes > all_bytes && self.idle.forget_oldest() {}
        Ok(())
    }

    /// The place of an inbox's record, its footprint before, and its packed place if it was
    /// unpacked for this.
    fn find_or_unpack(&mut self, inbox: &InboxFingerprint) -> (u32, Footprint, Option<u32>) {
        if let Some(at) = self.table.find_inbox(inbox) {
            return (at, self.footprint(at), None);
        }
        let packed_at = self.idle.find(inbox);
        let mail = packed_at.and_then(|at| self.idle.take(at));
        let record = mail.map_or_else(|| InboxRecord::new(*inbox), |mail| InboxRecord::waking(*inbox, mail));
        (self.table.insert(record), Footprint::default(), packed_at)
    }

    /// Purges what has expired in one inbox, then schedules its next visit, packs it or removes it.
    /// `before` is its footprint when it was last accounted for.
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

    /// Accounts for a new verification.
    fn opened(&mut self, id: &IdDigest, at: u32) {
        let Some(verification) = self.table.get(at).and_then(|inbox| inbox.verification(id)) else { return };
        let held = Held::from(verification);
        self.table.insert_id(id, at);
        self.live += 1;
        self.test += usize::from(held.owner.mode == Mode::Test);
        self.places.take(Some(held.owner), 1, Some(held.expires));
        self.shares.take(Some(held.owner), held.bytes, Some(held.expires));
    }

    /// Accounts for the end of a verification.
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
