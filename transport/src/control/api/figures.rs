//! What the admin API reports of the running process: probes, metrics, status.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use serde::Serialize;

use super::answer::json;
use crate::control::Shared;
use crate::control::conversion::{self, LowConversion};
use crate::control::keeper::StoreHealth;
use crate::control::store::StoreKind;
use crate::ground::clock;
use crate::metrics::{self, Beside, Counters};

pub(super) const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Sources of the figures: counters and published values.
pub(in crate::control) struct Figures {
    pub(in crate::control) shared: Shared,
    pub(in crate::control) counters: Arc<[Arc<Counters>]>,
    pub(in crate::control) health: Arc<StoreHealth>,
    pub(in crate::control) store: StoreKind,
}

/// A probe's answer.
#[derive(Serialize)]
pub(super) struct Probe {
    pub(super) status: &'static str,
    /// Tasks of the control plane that failed and will be restarted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) restarting: Vec<&'static str>,
}

#[derive(Serialize)]
struct Status {
    version: &'static str,
    ready: bool,
    control: ControlStatus,
    draining: bool,
    uptime_seconds: u64,
    lanes: usize,
    live_slots: u64,
    bans_active: u64,
    connections: u64,
    memory: MemoryStatus,
    mail_queued: usize,
    mail: MailStatus,
    keys: u64,
    /// Requests with a secret live key that looked like a browser's.
    keys_exposed: u64,
    low_conversion: Vec<ConversionStatus>,
    store: StoreStatus,
    catalog: CatalogStatus,
}

/// The control plane's tasks.
#[derive(Serialize)]
struct ControlStatus {
    /// Tasks that failed and will be restarted.
    restarting: Vec<&'static str>,
    /// Restarts of tasks since the start.
    restarts: u64,
}

/// Ephemeral state, waiting mail included, against `memory.ceiling`. Not resident memory.
#[derive(Serialize)]
struct MemoryStatus {
    bytes: u64,
    ceiling_bytes: u64,
}

/// Counts of mails for live keys since the start.
#[derive(Serialize)]
struct MailStatus {
    accepted: u64,
    #[serde(flatten)]
    outcomes: BTreeMap<&'static str, u64>,
    /// How often a provider's breaker opened.
    failovers: u64,
}

/// A key for which few mails of the last ten minutes led to a correct code.
#[derive(Serialize)]
struct ConversionStatus {
    key: Box<str>,
    project: Box<str>,
    mailed: u64,
    answered: u64,
}

#[derive(Serialize)]
struct StoreStatus {
    kind: &'static str,
    up: bool,
    revision: u64,
}

#[derive(Serialize)]
struct CatalogStatus {
    version: String,
    entries: usize,
}

impl Figures {
    /// Liveness: succeeds if the process can answer.
    pub(super) fn health() -> Response<Full<Bytes>> {
        json(200, &Probe { status: "ok", restarting: Vec::new() })
    }

    pub(super) fn readiness(&self) -> Response<Full<Bytes>> {
        let restarting = self.shared.control.down();
        match self.shared.is_ready() {
            true => json(200, &Probe { status: "ready", restarting }),
            false => json(503, &Probe { status: "not ready", restarting }),
        }
    }

    pub(super) fn metrics(&self) -> String {
        let mail = &self.shared.mail;
        let beside = Beside {
            mails: mail.counters().outcomes(),
            mails_accepted: mail.counters().accepted(),
            failovers: mail.counters().failovers(),
            events: self.shared.events.counters().outcomes(),
            mail_bytes: mail.bytes(),
            store: self.health.figures(),
            control_restarts: self.shared.control.restarts().to_vec(),
        };
        metrics::render(&self.counters, &beside)
    }

    pub(super) fn status(&self) -> Response<Full<Bytes>> {
        let store = self.health.figures();
        let kind = match self.store {
            StoreKind::Sqlite => "sqlite",
            StoreKind::Postgres => "postgres",
        };
        let catalog = self.shared.policy.hold().catalog.clone();
        json(
            200,
            &Status {
                version: env!("CARGO_PKG_VERSION"),
                ready: self.shared.is_ready(),
                control: self.control(),
                draining: self.shared.drain.has_begun(),
                uptime_seconds: clock::now().at.as_millis() / 1_000,
                lanes: self.counters.len(),
                live_slots: self.counters.iter().map(|lane| lane.live()).sum(),
                bans_active: self.counters.iter().map(|lane| lane.bans()).max().unwrap_or(0),
                connections: self.counters.iter().map(|lane| lane.open()).sum(),
                memory: self.memory(),
                mail_queued: self.shared.mail.queued(),
                mail: self.mail(),
                keys: store.keys,
                keys_exposed: self.counters.iter().map(|lane| lane.keys_exposed()).sum(),
                low_conversion: self.low_conversion(),
                store: StoreStatus { kind, up: store.up, revision: store.revision },
                catalog: CatalogStatus { version: catalog.version().into(), entries: catalog.entries() },
            },
        )
    }

    fn low_conversion(&self) -> Vec<ConversionStatus> {
        let told = |low: LowConversion| ConversionStatus {
            key: low.key.id.clone(),
            project: (*low.key.project_name).into(),
            mailed: low.mailed,
            answered: low.answered,
        };
        conversion::low(&self.counters, &self.shared.keys.read()).into_iter().map(told).collect()
    }

    fn control(&self) -> ControlStatus {
        let control = &self.shared.control;
        let restarts = control.restarts().iter().map(|(_, count)| count).sum();
        ControlStatus { restarting: control.down(), restarts }
    }

    fn memory(&self) -> MemoryStatus {
        let state: u64 = self.counters.iter().map(|lane| lane.state_bytes()).sum();
        let bytes = state.saturating_add(self.shared.mail.bytes());
        MemoryStatus { bytes, ceiling_bytes: self.shared.ceiling_bytes }
    }

    fn mail(&self) -> MailStatus {
        let counters = self.shared.mail.counters();
        let (accepted, failovers) = (counters.accepted(), counters.failovers());
        MailStatus { accepted, outcomes: counters.outcomes().into(), failovers }
    }
}
