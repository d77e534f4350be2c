//! The control plane: its own thread, its own runtime. It publishes what lanes read, and has one way into
//! their state: the operator's word on bans.
//!
//! ```text
//!   admin listener ──▶ api ──▶ registry ──▶ store
//!                      │││                    ▲
//!                      ││└─ nudge ─▶ keeper ──┘──▶ Published<KeyBook> ──▶ lanes
//!                      │└── catalog ─▶ a thread that reads it ─▶ Published<Policy> ──▶ lanes
//!                      └─── bans ─▶ the owning shard ──▶ all lanes
//!   lanes ── unknown key ────────────▲ keeper
//! ```
//!
//! If it hangs, or the store does, lanes go on with the last book they were given.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use authepy_engine::actor::Operator;
use authepy_engine::perimeter::KeyBook;
use futures_util::future::LocalBoxFuture;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::Instant;

use crate::clock;
use crate::desk::Shared;
use crate::limits::{CONTROL_START, NUDGES_WAITING, STORE_START};
use crate::lookup::Miss;
use crate::observe::Counters;
use crate::published::Published;
use crate::tls::Certificate;

mod admin;
mod api;
mod certificate;
pub(crate) mod conversion;
mod expiry;
mod keeper;
mod keys;
pub mod registry;
pub mod reload;
pub mod store;
mod watch;

pub use keeper::StoreHealth;
use keeper::{Keeper, Nudge};
use registry::Registry;
use reload::Reload;
use store::{News, Store, StoreFault, StoreUrl};

/// What the control plane starts from.
pub struct Control {
    /// The store.
    pub store: StoreUrl,
    /// Where the admin API listens.
    pub listen: SocketAddr,
    /// The digest of a token from the settings, beside the one in the store.
    pub token: Option<[u8; 32]>,
    /// The book that lanes read.
    pub keys: Published<KeyBook>,
    /// Lanes' questions about unknown keys.
    pub(crate) misses: flume::Receiver<Miss>,
    /// The way to the shards' bans.
    pub operator: Operator,
    /// What lanes share, to tell of it.
    pub shared: Shared,
    /// What lanes counted.
    pub counters: Vec<Arc<Counters>>,
    /// What is known of the store's health.
    pub health: Arc<StoreHealth>,
    /// What reads files again, and the certificate it replaces.
    pub reload: Option<(Reload, Certificate)>,
}

/// Why the control plane did not start.
#[derive(Debug)]
pub enum ControlFault {
    /// The store.
    Store(StoreFault),
    /// The listener, or the thread.
    Machine(&'static str, io::ErrorKind),
}

/// The running thread. Dropped, it ends.
pub struct ControlThread {
    /// Where the admin API listens.
    pub admin: SocketAddr,
    running: oneshot::Sender<()>,
}

impl ControlThread {
    /// False once the thread has ended by itself.
    pub(crate) fn is_running(&self) -> bool {
        !self.running.is_closed()
    }
}

impl Control {
    /// Starts the thread; returns once the first book is published and the admin API listens.
    pub async fn start(self) -> Result<ControlThread, ControlFault> {
        let (started, start) = oneshot::channel();
        let (running, ended) = oneshot::channel::<()>();
        let machine = |fault: io::Error| ControlFault::Machine("the control thread", fault.kind());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(machine)?;
        let thread = std::thread::Builder::new().name("control".into()).spawn(move || {
            LocalSet::new().block_on(&runtime, async move {
                let result = self.open().await;
                let failed = result.is_err();
                let _starter_gone = started.send(result);
                if !failed {
                    // Ends when the handle is dropped.
                    let _dropped = ended.await;
                }
            });
            // A query that hangs must not keep the process.
            runtime.shutdown_background();
        });
        thread.map_err(machine)?;
        let result = tokio::time::timeout(CONTROL_START, start).await;
        let late = || ControlFault::Machine("the control plane", io::ErrorKind::TimedOut);
        let admin = result.map_err(|_| late())?.map_err(|_| late())??;
        Ok(ControlThread { admin, running })
    }

    async fn open(self) -> Result<SocketAddr, ControlFault> {
        let until = Instant::now() + STORE_START;
        let store = patiently(until, async || Store::open(&self.store).await).await?;
        let registry = Registry::new(store.clone(), clock::now);
        let token = Published::new(None);
        let mut keeper = Keeper::new(
            store.clone(),
            registry.clone(),
            clock::now,
            self.keys,
            token.clone(),
            self.health.clone(),
        );
        patiently(until, async || keeper.refresh().await).await?;
        let (nudges, nudged) = flume::bounded(NUDGES_WAITING);
        // Without these, revoked keys would go on working: should one end, the process does.
        let readiness = self.shared.readiness.clone();
        let spawn_vital = |task: LocalBoxFuture<'static, ()>| spawn_local(readiness.vital().run(task));
        spawn_vital(Box::pin(keeper.run(self.misses, nudged)));
        spawn_vital(Box::pin(listen_for_news(News::of(self.store), nudges.clone())));
        if let Some((reload, certificate)) = self.reload {
            spawn_vital(Box::pin(reload.run(certificate, self.shared.policy.clone())));
        }
        let counters: Arc<[Arc<Counters>]> = self.counters.into();
        spawn_vital(Box::pin(watch::run(self.shared.clone(), counters.clone(), clock::now)));
        let api = api::Api {
            registry,
            nudges,
            operator: self.operator,
            loading: Arc::new(Semaphore::new(1)),
            tokens: api::Tokens { configured: self.token, stored: token },
            figures: api::Figures { shared: self.shared, counters, health: self.health, store: store.kind() },
        };
        let machine = |fault: io::Error| ControlFault::Machine("admin.listen", fault.kind());
        admin::start(self.listen, api).await.map_err(machine)
    }
}

/// Asks a store that says nothing again, until then.
async fn patiently<T>(
    until: Instant,
    mut ask: impl AsyncFnMut() -> Result<T, StoreFault>,
) -> Result<T, ControlFault> {
    loop {
        match ask().await {
            Err(StoreFault::Silent) if Instant::now() < until => {}
            answer => return answer.map_err(ControlFault::Store),
        }
    }
}

async fn listen_for_news(mut news: News, nudges: flume::Sender<Nudge>) {
    loop {
        news.wait().await;
        // A keeper that is busy will look anyway.
        let _busy = nudges.try_send(Nudge::Heard);
    }
}
