//! The server: lanes, delivery and control plane as one. `dev`, `demo` and `serve` start it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use authepy_engine::actor::{LaneThread, Readiness};
use authepy_engine::recipient::Realm;

use crate::config::{Config, ProviderConfig};
use crate::control::reload::Reload;
use crate::control::store::StoreUrl;
use crate::control::{ControlHealth, ControlThread};
use crate::delivery::{DeliveryThread, Show};
use crate::ground::certificate::Identity;
use crate::ground::drain::Drain;
use crate::limits;

mod fault;
mod listeners;
mod start;

pub use fault::StartFault;

/// What a start needs besides the settings.
pub struct Plan {
    /// Settings.
    pub config: Config,
    /// Certificate and key.
    pub identity: Identity,
    /// Where keys and projects are kept.
    pub store: StoreUrl,
    /// The digest of an admin token that stands neither in the settings nor in the store.
    pub admin_token: Option<[u8; 32]>,
    /// Which domains exist.
    pub realm: Realm,
    /// Ways out for mail.
    pub delivery: Vec<ProviderConfig>,
    /// Shows what the outbox gets.
    pub show_mail: Option<Show>,
    /// How to read everything again; `None` where nothing came from files.
    pub reload: Option<Reload>,
}

/// A running server.
pub struct Server {
    /// HTTP/3 addresses, in the order of `listen`.
    pub h3: Vec<SocketAddr>,
    /// TCP addresses, in the order of `listen`.
    pub tcp: Vec<SocketAddr>,
    /// The admin listener.
    pub admin: SocketAddr,
    drain: Drain,
    lanes: Vec<LaneThread>,
    control: ControlThread,
    delivery: DeliveryThread,
    readiness: Readiness,
    health: Arc<ControlHealth>,
}

impl Server {
    /// Whether every shard still answers, and mails still leave. Once false, only a restart helps, and nobody is
    /// told that this process is ready. The control plane is not asked for: without it live codes go on.
    pub fn is_healthy(&self) -> bool {
        if !self.control.is_running() {
            self.health.note_end();
        }
        if !self.delivery.is_running() {
            self.readiness.fail();
        }
        self.readiness.is_ready()
    }

    /// Stops gracefully: no new work, what runs finishes, queued mail goes out, within the deadline.
    pub async fn stop(self) {
        let for_mail = limits::DRAIN_DEADLINE - limits::DRAIN_WIPE;
        self.stop_within(limits::DRAIN_REQUESTS, for_mail).await;
    }

    /// The same in a hurry, for a process of which a part has failed.
    pub async fn stop_soon(self) {
        self.stop_within(limits::FAILED_DRAIN, limits::FAILED_DRAIN).await;
    }

    /// Both times are counted from now.
    async fn stop_within(self, for_requests: Duration, for_mail: Duration) {
        self.drain.begin();
        let began = tokio::time::Instant::now();
        while self.drain.open() > 0 && began.elapsed() < for_requests {
            tokio::time::sleep(limits::DRAIN_POLL).await;
        }
        let open = self.drain.open();
        let unsent = self.delivery.drain(for_mail.saturating_sub(began.elapsed())).await;
        if open > 0 || unsent > 0 {
            tracing::warn!(connections = open, mails = unsent, "not all was done in time for the end");
        }
        let control = self.control.stop();
        self.lanes.into_iter().for_each(LaneThread::stop);
        control.await;
    }
}
