//! Keeps the key book: reads the store, publishes changes, and answers lanes about unknown keys.
//!
//! ```text
//!   lanes ── Miss(digest) ──▶┐
//!   admin API ── Nudge ─────▶├─▶ keeper ── keys_since(revision) ──▶ store
//!   notification, poll ─────▶┘      └──▶ Published<KeyBook> ──▶ every lane
//! ```
//!
//! - One query answers all waiting questions, and queries are [`MISS_PAUSE`] apart: a flood of
//!   unknown keys costs the store at most one query every 20 ms.
//! - If the store does not answer, the last book stays in use, and questions about unknown keys get
//!   [`Verdict::StoreDown`].
//! - A revocation that the store could not record takes effect at once and is written when the
//!   store answers again. Until then it is only in memory, and the answer to the operator says so.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use authepy_engine::clock::{Clock, Moment};
use authepy_engine::perimeter::KeyBook;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::keys;
use super::registry::{Registry, RegistryFault};
use super::store::{Answer, Store, StoreFault};
use crate::control::lookup::{Miss, UnknownKeys, Verdict};
use crate::ground::published::Published;
use crate::limits::{MISS_PAUSE, MISSES_WAITING, PENDING_REVOCATIONS, STORE_POLL, STORE_RETRY};
use crate::metrics::StoreFigures;

/// Published health of the store.
#[derive(Debug, Default)]
pub struct StoreHealth {
    down: AtomicBool,
    keys: AtomicU64,
    queries: AtomicU64,
    revision: AtomicU64,
    lookups: AtomicU64,
}

impl StoreHealth {
    /// Figures for metrics and status.
    pub fn figures(&self) -> StoreFigures {
        let read = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        StoreFigures {
            up: self.is_up(),
            keys: read(&self.keys),
            revision: read(&self.revision),
            queries: read(&self.queries),
            lookups: read(&self.lookups),
        }
    }

    fn is_up(&self) -> bool {
        !self.down.load(Ordering::Relaxed)
    }
}

/// Messages to the keeper.
pub(super) enum Nudge {
    /// The store was changed elsewhere.
    Heard,
    /// The store was changed here: read it now. Answered when the lanes have the change.
    Changed(oneshot::Sender<()>),
    /// The store could not record this revocation: apply it anyway. Answered with whether the key
    /// exists and there was room to remember it.
    Revoke(String, oneshot::Sender<bool>),
}

/// State of the keeper. Owned by its task on the control thread. After a panic, a clone starts from
/// the original state.
#[derive(Clone)]
pub(super) struct Keeper {
    store: Store,
    registry: Registry,
    clock: Clock,
    keys: Published<KeyBook>,
    /// The digest of the admin token in the store.
    token: Published<Option<[u8; 32]>>,
    health: Arc<StoreHealth>,
    revision: i64,
    asked_at: Moment,
    /// Ids of keys revoked while the store was down. Shared by all clones, so that a revocation
    /// survives a panic.
    unwritten: Rc<RefCell<BTreeSet<String>>>,
    /// Keys recently not found: several lanes may ask about the same one.
    unknown: UnknownKeys,
}

impl Keeper {
    pub(super) fn new(
        store: Store,
        registry: Registry,
        clock: Clock,
        keys: Published<KeyBook>,
        token: Published<Option<[u8; 32]>>,
        health: Arc<StoreHealth>,
    ) -> Self {
        Self {
            store,
            registry,
            clock,
            keys,
            token,
            health,
            revision: 0,
            asked_at: Moment::default(),
            unwritten: Rc::default(),
            unknown: UnknownKeys::default(),
        }
    }

    /// Keeps the book until the runtime ends.
    pub(super) async fn run(mut self, misses: flume::Receiver<Miss>, nudges: flume::Receiver<Nudge>) {
        loop {
            // Measured from the end of the last query: otherwise a query that hung would make the
            // next poll overdue, and questions about unknown keys would never be answered.
            let since = (self.clock)().at.since(self.asked_at);
            let poll = sleep(STORE_POLL.saturating_sub(since));
            tokio::select! {
                // Operators' requests come first; a flood of unknown keys must wait.
                biased;
                Ok(nudge) = nudges.recv_async() => self.obey(nudge).await,
                () = poll => drop(self.refresh().await),
                Ok(miss) = misses.recv_async() => self.answer(miss, &misses).await,
            }
        }
    }

    /// Reads changes, if there are any.
    pub(super) async fn refresh(&mut self) -> Result<(), StoreFault> {
        let refreshed = match self.write_revocations().await {
            Ok(()) => self.read().await,
            Err(fault) => Err(fault),
        };
        self.asked_at = (self.clock)().at;
        self.health.queries.store(self.store.queries(), Ordering::Relaxed);
        let was_up = !self.health.down.swap(refreshed.is_err(), Ordering::Relaxed);
        match refreshed {
            Err(fault) if was_up => {
                tracing::warn!(%fault, "the store can't be read; the last known keys stay in use")
            }
            Ok(()) if !was_up => tracing::info!("the store answers again"),
            _ => {}
        }
        refreshed
    }

    async fn read(&mut self) -> Result<(), StoreFault> {
        let Answer::All(revision, rows) = self.store.keys_since(self.revision).await? else { return Ok(()) };
        let (book, unreadable) = keys::book(rows, self.store.alert_addresses().await?);
        if unreadable > 0 {
            tracing::warn!(unreadable, "ignored keys or origin rules in the store that can't be parsed");
        }
        self.token.replace(self.registry.admin_token_digest().await?);
        self.revision = revision;
        self.health.keys.store(book.len() as u64, Ordering::Relaxed);
        self.health.revision.store(revision.unsigned_abs(), Ordering::Relaxed);
        self.keys.replace(book);
        Ok(())
    }

    /// Answers all waiting questions at once.
    async fn answer(&mut self, first: Miss, misses: &flume::Receiver<Miss>) {
        if self.unknown.holds(&first.digest, (self.clock)().at) {
            // Another lane asked recently.
            return first.answer(Verdict::Unknown);
        }
        let since = (self.clock)().at.since(self.asked_at);
        let left = self.pause().checked_sub(since).filter(|left| !left.is_zero());
        // The store failed to answer just now: asking again would only make everyone wait.
        let hopeless = left.is_some() && !self.health.is_up();
        if let (Some(left), false) = (left, hopeless) {
            sleep(left).await;
        }
        let mut waiting = vec![first];
        waiting.extend(misses.try_iter().take(MISSES_WAITING));
        let down = hopeless || self.look_up().await.is_err();
        let (book, now) = (self.keys.read(), (self.clock)().at);
        for miss in waiting {
            let verdict = match (book.holds(&miss.digest), down) {
                (true, _) => Verdict::Listed,
                (false, true) => Verdict::StoreDown,
                (false, false) => Verdict::Unknown,
            };
            if verdict == Verdict::Unknown {
                self.unknown.remember(&miss.digest, now);
            }
            miss.answer(verdict);
        }
    }

    async fn look_up(&mut self) -> Result<(), StoreFault> {
        self.health.lookups.fetch_add(1, Ordering::Relaxed);
        self.refresh().await
    }

    fn pause(&self) -> std::time::Duration {
        if self.health.is_up() { MISS_PAUSE } else { STORE_RETRY }
    }

    async fn obey(&mut self, nudge: Nudge) {
        match nudge {
            Nudge::Heard => drop(self.refresh().await),
            Nudge::Changed(done) => {
                let _unread = self.refresh().await;
                let _asker_gave_up = done.send(());
            }
            Nudge::Revoke(id, done) => {
                let revoked = self.revoke_here(id);
                let _asker_gave_up = done.send(revoked);
            }
        }
    }

    fn revoke_here(&mut self, id: String) -> bool {
        if self.unwritten.borrow().len() >= PENDING_REVOCATIONS {
            return false;
        }
        let Some(book) = self.keys.read().revoking(&id, (self.clock)()) else { return false };
        self.keys.replace(book);
        self.unwritten.borrow_mut().insert(id)
    }

    async fn write_revocations(&mut self) -> Result<(), StoreFault> {
        loop {
            let Some(id) = self.unwritten.borrow().first().cloned() else { return Ok(()) };
            match self.registry.revoke_key(&id).await {
                Err(RegistryFault::Store(doing)) => return Err(StoreFault::Down(doing)),
                // Done, or the key no longer exists: either way nothing is left to write.
                _ => drop(self.unwritten.borrow_mut().remove(&id)),
            }
        }
    }
}
