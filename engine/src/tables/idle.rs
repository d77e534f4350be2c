//! Inboxes that remember a single mail, packed. Nearly all inboxes that were ever sent to are here.
//!
//! ```text
//!   front ─▶ [ fingerprint, mail │ … 256 ] [ … ] [ … ] ◀─ back    32 B each, and an index entry
//!              the oldest                          newest
//! ```
//!
//! A full record takes 120 B for the length of the longest window, a day; a packed one takes half.
//! They are queued in the order in which they became idle, which is nearly the order of their
//! mails. So the sweep looks at the front only, and when memory is needed for live records, the
//! front is evicted. A single mail is the cheapest thing to forget: its inbox may then receive one
//! mail more.

use std::collections::VecDeque;

use super::index::Index;
use crate::clock::{Moment, Span};
use crate::limits::{CODE_LIFETIME_MAX, INDEX_BYTES};
use crate::route::{InboxFingerprint, TableKey};
use crate::rules::log::Stamped;
use crate::rules::mails::Mail;

const CHUNK: usize = 256;
/// Place numbers wrap around here: an index takes no larger ones.
const PLACES: u32 = 1 << 31;

/// One place; the index says whether its inbox is still here.
#[derive(Clone, Copy)]
struct Idle {
    inbox: InboxFingerprint,
    mail: Mail,
}

/// The packed inboxes. Owned by the inboxes of a shard.
#[derive(Default)]
pub(crate) struct IdleInboxes {
    /// All full except the last one.
    chunks: VecDeque<Vec<Idle>>,
    /// The number of the first place of the first chunk.
    base: u32,
    /// Places of the first chunk already removed.
    passed: usize,
    /// Places between the front and the back, including those whose inbox has been unpacked.
    places: usize,
    by_inbox: Index,
    len: usize,
    /// The newest mail between front and back.
    newest: Moment,
}

impl IdleInboxes {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes counted against the ceiling.
    pub(crate) fn bytes(&self) -> usize {
        self.places * size_of::<Idle>() + self.len * INDEX_BYTES
    }

    /// Bytes in use, including empty slots of the index.
    pub(crate) fn held_bytes(&self) -> usize {
        self.places * size_of::<Idle>() + self.by_inbox.bytes()
    }

    pub(crate) fn find(&self, inbox: &InboxFingerprint) -> Option<u32> {
        let is_meant = |at| self.place(at).is_some_and(|idle| idle.inbox == *inbox);
        self.by_inbox.find(inbox.table_bits(), is_meant)
    }

    /// Prefetches the index slot of an inbox; see [`crate::shard::touch`].
    pub(crate) fn touch(&self, inbox: &InboxFingerprint) -> u64 {
        self.by_inbox.touch(inbox.table_bits())
    }

    /// Whether a mail may be queued behind the newest one here, for whose end it then has to wait:
    /// an inbox is forgotten at most [`CODE_LIFETIME_MAX`] plus one sweep interval after its mail's
    /// end.
    pub(crate) fn has_room_for(&self, mail: &Mail) -> bool {
        self.places == 0 || mail.at().plus(Span::of(CODE_LIFETIME_MAX)) >= self.newest
    }

    pub(crate) fn push(&mut self, inbox: InboxFingerprint, mail: Mail) {
        let at = self.number(self.passed + self.places);
        let idle = Idle { inbox, mail };
        match self.chunks.back_mut() {
            Some(last) if last.len() < CHUNK => last.push(idle),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(idle);
                self.chunks.push_back(chunk);
            }
        }
        self.newest = if self.places == 0 { mail.at() } else { self.newest.max(mail.at()) };
        self.places += 1;
        self.len += 1;
        self.by_inbox.insert(inbox.table_bits(), at);
    }

    /// Unpacks an inbox: returns its mail, for a full record. The place stays until it reaches the
    /// front.
    pub(crate) fn take(&mut self, at: u32) -> Option<Mail> {
        let idle = *self.place(at)?;
        self.by_inbox.remove(idle.inbox.table_bits(), at);
        self.len -= 1;
        Some(idle.mail)
    }

    /// Undoes [`IdleInboxes::take`] if the request was refused, so that refused requests use up no
    /// places.
    pub(crate) fn put_back(&mut self, at: u32) {
        if let Some(inbox) = self.place(at).map(|idle| idle.inbox) {
            self.by_inbox.insert(inbox.table_bits(), at);
            self.len += 1;
        }
    }

    /// Forgets the oldest inbox. False if there is none.
    pub(crate) fn forget_oldest(&mut self) -> bool {
        let before = self.len;
        while self.places > 0 && self.len == before {
            self.pass();
        }
        self.len < before
    }

    /// Forgets inboxes whose mail is outside every window. Returns how many places it visited, at
    /// most `visits`.
    pub(crate) fn sweep(&mut self, longest: Span, now: Moment, visits: usize) -> usize {
        let is_over = |idle: &Idle| idle.mail.at().plus(longest) <= now;
        for visited in 0..visits {
            let Some(front) = self.chunks.front().and_then(|chunk| chunk.get(self.passed)) else {
                return visited;
            };
            let has_left = !is_over(front) && self.find(&front.inbox) != Some(self.number(self.passed));
            if !is_over(front) && !has_left {
                return visited;
            }
            self.pass();
        }
        visits
    }

    /// Removes the first place, and forgets its inbox if it is still here.
    fn pass(&mut self) {
        let at = self.number(self.passed);
        let Some(idle) = self.place(at).copied() else { return };
        if self.by_inbox.remove(idle.inbox.table_bits(), at) {
            self.len -= 1;
        }
        self.passed += 1;
        self.places -= 1;
        if self.passed == CHUNK || self.places == 0 {
            self.chunks.pop_front();
            self.base = self.number(CHUNK);
            self.passed = 0;
        }
    }

    fn number(&self, nth: usize) -> u32 {
        self.base.wrapping_add(nth as u32) % PLACES
    }

    fn place(&self, at: u32) -> Option<&Idle> {
        let nth = (at.wrapping_add(PLACES).wrapping_sub(self.base) % PLACES) as usize;
        self.chunks.get(nth / CHUNK)?.get(nth % CHUNK)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::identity::{KeyTag, Mode, Owner, ProjectId};
    use crate::route::StartKeys;
    use crate::rules::mails::Sender;
    use crate::testing::Seeded;

    fn mail(at: u64) -> Mail {
        let owner = Owner { project: ProjectId(1), mode: Mode::Live };
        Mail::new(Moment::from_millis(at), &Sender { owner, key: KeyTag(0), peer: None })
    }

    #[test]
    fn it_finds_what_a_map_finds_and_forgets_the_oldest_first() {
        let mut random = Seeded::new(3);
        let keys = StartKeys::draw(&mut random);
        let mut idle = IdleInboxes { base: PLACES - 300, ..IdleInboxes::default() };
        let (mut known, mut now) = (BTreeMap::new(), 0);
        for n in 0..20_000u64 {
            now += random.below(30);
            let inbox = keys.fingerprint(&random.below(3_000).to_string(), Mode::Live);
            let longest = Span::of(std::time::Duration::from_secs(20));
            match (random.below(8), idle.find(&inbox)) {
                (0, Some(at)) => {
                    assert_eq!(idle.take(at).map(|mail| mail.at()), known.remove(inbox.as_bytes()));
                }
                (1, Some(at)) => {
                    idle.take(at);
                    assert_eq!(idle.find(&inbox), None);
                    idle.put_back(at);
                }
                (2, _) if n % 10 == 0 => {
                    let oldest = known.iter().min_by_key(|(_, at)| **at).map(|(name, _)| *name);
                    assert_eq!(idle.forget_oldest(), oldest.is_some());
                    oldest.map(|name| known.remove(&name));
                }
                (3, _) => {
                    while idle.sweep(longest, Moment::from_millis(now), 7) == 7 {}
                    known.retain(|_, at| at.plus(longest) > Moment::from_millis(now));
                }
                (_, None) => {
                    idle.push(inbox, mail(now));
                    known.insert(*inbox.as_bytes(), Moment::from_millis(now));
                    now += 1;
                }
                _ => {}
            }
            assert_eq!(idle.len(), known.len());
            let found = idle.find(&inbox).and_then(|at| idle.place(at)).map(|idle| idle.mail.at());
            assert_eq!(found, known.get(inbox.as_bytes()).copied());
        }
        while idle.forget_oldest() {}
        assert_eq!((idle.bytes(), idle.places, idle.chunks.len()), (0, 0, 0));
    }

    #[test]
    fn none_waits_longer_for_those_before_it_than_a_code_can_live() {
        let mut idle = IdleInboxes::default();
        let keys = StartKeys::draw(&mut Seeded::new(4));
        let inbox = |n: u64| keys.fingerprint(&n.to_string(), Mode::Live);
        idle.push(inbox(0), mail(1_200_000));
        assert!(!idle.has_room_for(&mail(599_999)) && idle.has_room_for(&mail(600_000)));
        idle.push(inbox(1), mail(600_000));
        assert!(!idle.has_room_for(&mail(599_999)), "the first one still stands before it");
        while idle.forget_oldest() {}
        assert!(idle.has_room_for(&mail(0)), "nobody does");
        idle.push(inbox(2), mail(0));
        assert!(idle.has_room_for(&mail(0)));
    }
}
