//! The control plane runs on its own thread and runtime. It publishes what lanes read. The only
//! lane state that it can change are bans, on the operator's command.
//!
//! ```text
//!   admin listener ──▶ api ──▶ registry ──▶ store
//!                      │││                    ▲
//!                      ││└─ nudge ─▶ keeper ──┘──▶ Published<KeyBook> ──▶ lanes
//!                      │└── catalog ─▶ a thread that parses it ─▶ Published<Policy> ──▶ lanes
//!                      └─── bans ─▶ the owning shard ──▶ all lanes
//!   lanes ─┬ unknown key ────────────▲ keeper
//!          └ exposed key ─▶ exposure ─▶ registry, keeper
//! ```
//!
//! If it or the store hangs, lanes continue with the last key book. If one of its tasks panics,
//! that task is restarted (`supervise.rs`).
//!
//! Shutdown order: tasks, then store connections, then the runtime. The store library spawns a task
//! when one of its connections is dropped, and panics where it can't.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use authepy_engine::actor::Operator;
use authepy_engine::perimeter::KeyBook;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::{Instant, timeout};

use crate::control::lookup::Miss;
use crate::control::policy::Policy;
use crate::ground::certificate::Certificate;
use crate::ground::clock;
use crate::ground::published::Published;
use crate::limits::{CONTROL_END, CONTROL_START, NUDGES_WAITING, STORE_START};
use crate::metrics::Counters;

mod admin;
mod api;
mod certificate;
mod changes;
pub(crate) mod conversion;
mod expiry;
pub(crate) mod exposure;
mod keeper;
mod keys;
pub(crate) mod lookup;
pub mod policy;
pub mod registry;
pub mod reload;
mod shared;
pub mod store;
mod supervise;
mod watch;

use changes::Changes;
use exposure::Exposed;
pub use keeper::StoreHealth;
use keeper::{Keeper, Nudge};
use registry::Registry;
use reload::Reload;
pub use shared::Shared;
use store::{News, Store, StoreFault, StoreUrl};
pub use supervise::ControlHealth;
use supervise::{Task, keep};

/// Everything that the control plane is started with.
pub struct Control {
    /// The store.
    pub store: StoreUrl,
    /// Where the admin API listens.
    pub listen: SocketAddr,
    /// Digest of an admin token from the settings; valid in addition to the one in the store.
    pub token: Option<[u8; 32]>,
    /// The key book that lanes read.
    pub keys: Published<KeyBook>,
    /// Unknown keys that lanes ask about.
    pub(crate) misses: flume::Receiver<Miss>,
    /// Exposed keys that lanes report.
    pub(crate) exposed: flume::Receiver<Exposed>,
    /// Access to the shards' bans.
    pub operator: Operator,
    /// State shared by the lanes, for status and metrics.
    pub shared: Shared,
    /// The lanes' counters.
    pub counters: Vec<Arc<Counters>>,
    /// The health of the store.
    pub health: Arc<StoreHealth>,
    /// Reloads files; the certificate that it replaces.
    pub reload: Option<(Reload, Certificate)>,
}

/// Why the control plane did not start.
#[derive(Debug)]
pub enum ControlFault {
    /// The store failed.
    Store(StoreFault),
    /// The listener or the thread could not be created.
    Machine(&'static str, io::ErrorKind),
}

/// The running thread. Dropping the handle stops the thread; [`ControlThread::stop`] also waits for
/// it.
pub struct ControlThread {
    /// Where the admin API listens.
    pub admin: SocketAddr,
    running: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl ControlThread {
    /// False once the thread has ended unexpectedly.
    pub(crate) fn is_running(&self) -> bool {
        !self.running.is_closed()
    }

    /// Stops the thread. The future completes once the store is closed, or after [`CONTROL_END`].
    pub(crate) fn stop(self) -> impl Future<Output = ()> {
        drop(self.running);
        async move { drop(timeout(CONTROL_END, self.ended).await) }
    }
}

/// The parts that run on the thread.
struct Plane {
    admin: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
    store: Store,
}

impl Plane {
    async fn end(self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        for task in self.tasks {
            // Awaited so that everything the task held is dropped.
            let _aborted = task.await;
        }
        self.store.close().await;
    }
}

impl Control {
    /// Starts the thread. Returns once the first key book is published and the admin API listens.
    pub async fn start(self) -> Result<ControlThread, ControlFault> {
        let (started, start) = oneshot::channel();
        let (running, stopped) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        let machine = |fault: io::Error| ControlFault::Machine("the control thread", fault.kind());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(machine)?;
        let thread = std::thread::Builder::new().name("control".into()).spawn(move || {
            let tasks = LocalSet::new();
            tasks.block_on(&runtime, async move {
                match self.open().await {
                    // The starter may have timed out.
                    Err(fault) => drop(started.send(Err(fault))),
                    Ok(plane) => {
                        let _starter_is_gone = started.send(Ok(plane.admin));
                        // Ends when the handle is dropped.
                        let _dropped = stopped.await;
                        plane.end().await;
                    }
                }
            });
            // Admin connections, and what a failed start has left, must be dropped within the
            // runtime.
            let within = runtime.enter();
            drop(tasks);
            drop(within);
            // A query that hangs must not block process exit.
            runtime.shutdown_background();
            let _nobody_waits = end.send(());
        });
        thread.map_err(machine)?;
        let result = timeout(CONTROL_START, start).await;
        let late = || ControlFault::Machine("the control plane", io::ErrorKind::TimedOut);
        let admin = result.map_err(|_| late())?.map_err(|_| late())??;
        Ok(ControlThread { admin, running, ended })
    }

    async fn open(self) -> Result<Plane, ControlFault> {
        let until = Instant::now() + STORE_START;
        let store = retry_while_silent(until, async || Store::open(&self.store).await).await?;
        let registry = Registry::new(store.clone(), clock::now);
        let token = Published::new(None);
        let mut keeper = Keeper::new(
            store.clone(),
            registry.clone(),
            clock::now,
            self.keys.clone(),
            token.clone(),
            self.health.clone(),
        );
        retry_while_silent(until, async || keeper.refresh().await).await?;
        let (nudges, nudged) = flume::bounded(NUDGES_WAITING);
        let changes = Changes { registry: registry.clone(), nudges: nudges.clone() };
        let counters: Arc<[Arc<Counters>]> = self.counters.into();
        let (shared, health) = (self.shared.clone(), self.shared.control.clone());
        let api = api::Api {
            registry,
            changes: changes.clone(),
            operator: self.operator,
            loading: Arc::new(Semaphore::new(1)),
            tokens: api::Tokens { configured: self.token, stored: token },
            wrong_tokens: api::WrongTokens::default(),
            figures: api::Figures {
                shared: self.shared,
                counters: counters.clone(),
                health: self.health,
                store: store.kind(),
            },
        };
        let machine = |fault: io::Error| ControlFault::Machine("admin.listen", fault.kind());
        let door = admin::Door::open(self.listen, api).await.map_err(machine)?;
        let admin = door.address().map_err(machine)?;

        let policy = shared.policy.clone();
        let (misses, url, told) = (self.misses, self.store, watch::Told::default());
        let (reports, keys) = (self.exposed, self.keys);
        let mut tasks = vec![
            keep(&health, Task::Keeper, move || keeper.clone().run(misses.clone(), nudged.clone())),
            keep(&health, Task::News, move || listen_for_news(News::of(url.clone()), nudges.clone())),
            keep(&health, Task::Watch, move || {
                watch::run(told.clone(), shared.clone(), counters.clone(), clock::now)
            }),
            keep(&health, Task::Admin, move || admin::accept(door.clone())),
        ];
        let of_exposure = policy.clone();
        tasks.push(keep(&health, Task::Exposure, move || {
            exposure::run(reports.clone(), of_exposure.clone(), keys.clone(), changes.clone())
        }));
        if let Some((reload, certificate)) = self.reload {
            tasks.extend(keep_files(&health, Rc::new(reload), certificate, policy));
        }
        Ok(Plane { admin, tasks, store })
    }
}

/// The tasks that reload files.
fn keep_files(
    health: &Arc<ControlHealth>,
    reload: Rc<Reload>,
    certificate: Certificate,
    policy: Published<Policy>,
) -> [JoinHandle<()>; 2] {
    let of_certificate = reload.clone();
    let watch = move || {
        let (reload, certificate) = (of_certificate.clone(), certificate.clone());
        async move { reload.watch_certificate(certificate).await }
    };
    let obey = move || {
        let (reload, policy) = (reload.clone(), policy.clone());
        async move { reload.obey(&policy).await }
    };
    [keep(health, Task::Certificate, watch), keep(health, Task::Reload, obey)]
}

/// Retries until then while the store does not answer.
async fn retry_while_silent<T>(
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
        // If the channel is full, the keeper has work and will look at the store anyway.
        let _busy = nudges.try_send(Nudge::Heard);
    }
}
