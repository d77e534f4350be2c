//! Lookups of keys that are not in a lane's book.
//!
//! ```text
//!   find(digest) ── recently not found? ───▶ Unknown
//!        │   └──── already asked? ─────────▶ wait for the same answer
//!        └─ Miss ──▶ keeper (control thread) ──▶ Listed · Unknown · StoreDown
//! ```
//!
//! A lane asks about a key once at a time, however many requests carry it. Unknown keys are
//! remembered for a while in a table of fixed size; a flood of random keys only displaces other
//! unknown keys, since valid keys are in the book.

use std::cell::RefCell;
use std::collections::HashMap;

use authepy_engine::clock::Moment;
use authepy_engine::identity::KeyDigest;
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, Shared};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::limits::{KEYS_ASKED_PER_LANE, LOOKUP_PATIENCE, UNKNOWN_KEY_PLACES, UNKNOWN_KEY_SPAN};

/// Result of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The key is in the book now.
    Listed,
    /// The key does not exist.
    Unknown,
    /// The store does not answer, so the result is not known.
    StoreDown,
    /// Too many lookups are in progress.
    Crowded,
}

/// One question to the keeper.
pub(crate) struct Miss {
    pub(crate) digest: KeyDigest,
    answer: oneshot::Sender<Verdict>,
}

impl Miss {
    /// Answers it; the request may have been abandoned.
    pub(crate) fn answer(self, verdict: Verdict) {
        let _asker_gave_up = self.answer.send(verdict);
    }
}

type Asked = Shared<LocalBoxFuture<'static, Verdict>>;

/// One lane's lookups and their results. Lives on the lane's thread.
pub(crate) struct KeyLookups {
    keeper: flume::Sender<Miss>,
    asked: RefCell<HashMap<[u8; 32], Asked>>,
    unknown: RefCell<UnknownKeys>,
}

impl KeyLookups {
    pub(crate) fn new(keeper: flume::Sender<Miss>) -> Self {
        Self { keeper, asked: RefCell::default(), unknown: RefCell::default() }
    }

    /// Looks up `digest`. `now` is called when asking and when the answer arrives.
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
            // Drop lookups for which no request waits any more.
            asked.retain(|_, waiting| waiting.strong_count().is_some_and(|holders| holders > 1));
        }
        if asked.len() >= KEYS_ASKED_PER_LANE {
            return None;
        }
        let (answer, answered) = oneshot::channel();
        self.keeper.try_send(Miss { digest: digest.clone(), answer }).ok()?;
        // A keeper that ended or hangs counts as a store that is down.
        let waiting =
            async { timeout(LOOKUP_PATIENCE, answered).await.map_or(Verdict::StoreDown, or_store_down) };
        let waiting = waiting.boxed_local().shared();
        asked.insert(*digest.as_bytes(), waiting.clone());
        Some(waiting)
    }
}

fn or_store_down(verdict: Result<Verdict, oneshot::error::RecvError>) -> Verdict {
    verdict.unwrap_or(Verdict::StoreDown)
}

/// Keys recently not found: a direct-mapped table in which newer entries replace older ones. A key
/// is stored before it is handed out, so an unknown key does not become valid later; entries expire
/// because a store may be restored.
#[derive(Clone)]
pub(crate) struct UnknownKeys {
    places: Box<[Option<UnknownKey>]>,
}

/// Part of a digest, and when the entry expires.
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
