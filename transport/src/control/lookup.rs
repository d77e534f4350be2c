//! A lane asks about a key its book does not hold.
//!
//! ```text
//!   find(digest) ── known to be unknown? ──▶ Unknown
//!        │   └──── asked already? ─────────▶ wait for the same answer
//!        └─ Miss ──▶ keeper (control thread) ──▶ Listed · Unknown · StoreDown
//! ```
//!
//! One lane asks about one key once at a time, however many requests carry it. The unknown ones are
//! remembered for a while in a table of fixed size in which random keys can only displace each other:
//! the good keys are in the book.

use std::cell::RefCell;
use std::collections::HashMap;

use authepy_engine::clock::Moment;
use authepy_engine::identity::KeyDigest;
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, Shared};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::limits::{KEYS_ASKED_PER_LANE, LOOKUP_PATIENCE, UNKNOWN_KEY_PLACES, UNKNOWN_KEY_SPAN};

/// What is known of a key that was not in the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is in the book now.
    Listed,
    /// There is no such key.
    Unknown,
    /// The store does not answer; nobody can say.
    StoreDown,
    /// Too many unknown keys are being asked about.
    Crowded,
}

/// One question to the keeper.
pub(crate) struct Miss {
    pub(crate) digest: KeyDigest,
    answer: oneshot::Sender<Verdict>,
}

impl Miss {
    /// Answers it; whoever asked may have gone.
    pub(crate) fn answer(self, verdict: Verdict) {
        let _asker_gone = self.answer.send(verdict);
    }
}

type Asked = Shared<LocalBoxFuture<'static, Verdict>>;

/// One lane's questions and what it learned. Lives on the lane's thread.
pub(crate) struct KeyLookups {
    keeper: flume::Sender<Miss>,
    asked: RefCell<HashMap<[u8; 32], Asked>>,
    unknown: RefCell<UnknownKeys>,
}

impl KeyLookups {
    pub(crate) fn new(keeper: flume::Sender<Miss>) -> Self {
        Self { keeper, asked: RefCell::default(), unknown: RefCell::default() }
    }

    /// Asks about `digest`. `now` is when the question was put, and when the answer came.
    pub(crate) async fn find(&self, digest: KeyDigest, now: impl Fn() -> Moment) -> Verdict {
        if self.unknown.borrow().holds(&digest, now()) {
            return Verdict::Unknown;
        }
        let Some(asked) = self.ask(&digest) else { return Verdict::Crowded };
        let verdict = asked.await;
        self.asked.borrow_mut().remove(digest.as_bytes());
        if verdict == Verdict::Unknown {
            self.unknown.borrow_mut().remember(&digest, now());
        }
        verdict
    }

    fn ask(&self, digest: &KeyDigest) -> Option<Asked> {
        let mut asked = self.asked.borrow_mut();
        if let Some(before) = asked.get(digest.as_bytes()) {
            return Some(before.clone());
        }
        if asked.len() >= KEYS_ASKED_PER_LANE {
            // Those whose askers have all gone are nobody's.
            asked.retain(|_, waiting| waiting.strong_count().is_some_and(|holders| holders > 1));
        }
        if asked.len() >= KEYS_ASKED_PER_LANE {
            return None;
        }
        let (answer, answered) = oneshot::channel();
        self.keeper.try_send(Miss { digest: digest.clone(), answer }).ok()?;
        // A keeper that is gone or hangs says nothing, like a store that is down.
        let waiting = async { timeout(LOOKUP_PATIENCE, answered).await.map_or(Verdict::StoreDown, said) };
        let waiting = waiting.boxed_local().shared();
        asked.insert(*digest.as_bytes(), waiting.clone());
        Some(waiting)
    }
}

fn said(verdict: Result<Verdict, oneshot::error::RecvError>) -> Verdict {
    verdict.unwrap_or(Verdict::StoreDown)
}

/// Keys that did not exist a moment ago: a direct-mapped table, a later one takes the place of an
/// earlier one. A key is drawn by the store before it is used, so one that is unknown does not become
/// known later; the span covers stores that were restored.
#[derive(Clone)]
pub(crate) struct UnknownKeys {
    places: Box<[Option<UnknownKey>]>,
}

/// A part of a digest, and until when it is remembered.
type UnknownKey = ([u8; 16], Moment);

impl Default for UnknownKeys {
    fn default() -> Self {
        Self { places: vec![None; UNKNOWN_KEY_PLACES].into() }
    }
}

impl UnknownKeys {
    pub(crate) fn holds(&self, digest: &KeyDigest, now: Moment) -> bool {
        let (name, place) = Self::place(digest);
        self.places[place].is_some_and(|(other, until)| other == name && until > now)
    }

    pub(crate) fn remember(&mut self, digest: &KeyDigest, now: Moment) {
        let (name, place) = Self::place(digest);
        self.places[place] = Some((name, now.after(UNKNOWN_KEY_SPAN)));
    }

    fn place(digest: &KeyDigest) -> ([u8; 16], usize) {
        let [a, b, name @ ..] = *digest.as_bytes();
        let mut first = [0; 16];
        first.copy_from_slice(&name[..16]);
        (first, usize::from(u16::from_be_bytes([a, b])) % UNKNOWN_KEY_PLACES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    fn digest(of: u8) -> KeyDigest {
        KeyDigest::from_bytes([of; 32])
    }

    #[tokio::test]
    async fn any_number_of_requests_with_one_unknown_key_ask_once() {
        let (keeper, misses) = flume::bounded(4);
        let lookups = Rc::new(KeyLookups::new(keeper));
        let time = Rc::new(Cell::new(Moment::from_millis(0)));
        let find = |of| {
            let (lookups, time) = (lookups.clone(), time.clone());
            async move { lookups.find(digest(of), || time.get()).await }
        };
        let all = futures_util::future::join_all((0..10_000).map(|_| find(1)));
        let answer = async {
            misses.recv_async().await.unwrap().answer(Verdict::Unknown);
            assert!(misses.is_empty());
        };
        let (verdicts, ()) = tokio::join!(all, answer);
        assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Unknown));
        assert_eq!(find(1).await, Verdict::Unknown, "remembered");
        assert!(misses.is_empty());
        time.set(Moment::from_millis(0).after(UNKNOWN_KEY_SPAN));
        let again = async { misses.recv_async().await.unwrap().answer(Verdict::Listed) };
        assert_eq!(tokio::join!(find(1), again).0, Verdict::Listed, "and forgotten");
    }

    #[tokio::test]
    async fn too_many_different_unknown_keys_are_refused_at_once() {
        let (keeper, misses) = flume::bounded(KEYS_ASKED_PER_LANE);
        let lookups = KeyLookups::new(keeper);
        let now = || Moment::from_millis(0);
        let digest = |n: usize| {
            let mut octets = [0; 32];
            octets[..8].copy_from_slice(&n.to_le_bytes());
            KeyDigest::from_bytes(octets)
        };
        let mut waiting: Vec<_> =
            (0..KEYS_ASKED_PER_LANE).map(|n| Box::pin(lookups.find(digest(n), now))).collect();
        for find in &mut waiting {
            assert!(find.now_or_never().is_none());
        }
        let one_more = lookups.find(digest(KEYS_ASKED_PER_LANE), now).now_or_never();
        assert_eq!(one_more, Some(Verdict::Crowded));
        misses.drain().for_each(drop);
        for find in waiting {
            assert_eq!(find.await, Verdict::StoreDown, "the keeper is gone");
        }
    }
}
