//! Events, posted to the operator's endpoint: signed, in order, with retries.
//!
//! ```text
//!   lanes ─┐ tell                                      ┌─ 2xx: delivered
//!          ├──▶ flume(EVENTS_WAITING) ─▶ poster ─ POST ┤
//!   mail ──┘      full: dropped, counted               └─ else: retry with the same id; dropped after the last
//! ```
//!
//! Invariants:
//! - Recording an event never blocks: a full queue drops the newest event and counts it.
//! - An event names a verification by [`digest`](VerificationId::digest), a recipient by a hash
//!   keyed with the endpoint's secret, and a peer by the hash that the log uses. Nothing in an
//!   event lets its reader check or cancel a verification, or write to anyone.
//! - Test keys cause no events.
//! - A retried post carries the same `webhook-id`; every event has its own id.
//!
//! [`VerificationId::digest`]: authepy_engine::id::VerificationId::digest

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use authepy_engine::route::{IdDigest, PeerDigest};

mod poster;
mod wire;

pub use poster::Poster;

use crate::config;
use crate::delivery::hook::{Hook, HookConfig};

/// Events that may wait: about 250 B each, 2 MiB in total, eight seconds at a peak of a thousand a
/// second.
const EVENTS_WAITING: usize = 8_192;

/// How often a stopping process checks whether all events are posted.
const FLUSH_POLL: Duration = Duration::from_millis(10);

/// One thing that happened.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) unix_ms: u64,
    pub(crate) what: What,
}

/// The kinds of events.
#[derive(Debug)]
pub(crate) enum What {
    /// A mail's hand-over ended.
    Mail {
        verification: IdDigest,
        project: Arc<str>,
        /// See [`Events::recipient`].
        recipient: [u8; 16],
        send: u8,
        outcome: MailOutcome,
    },
    /// A verification ended.
    Verification { verification: IdDigest, project: Arc<str>, end: End },
    /// A provider is not used for now, or works again.
    Provider { name: Box<str>, works: bool },
    /// A network was banned.
    Banned { peer: PeerDigest, seconds: u64 },
    /// A secret key was used from what looks like a browser.
    KeyExposed { key: Box<str>, project: Arc<str> },
    /// Few of the mails of an API key led to a correct code.
    LowConversion { key: Box<str>, project: Arc<str>, mailed: u64, answered: u64 },
}

/// How a hand-over ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MailOutcome {
    Sent,
    MaybeSent,
    Failed,
    Expired,
}

/// How a verification ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Approved,
    Failed,
    Expired,
    Cancelled,
}

/// Counts of events since the start.
#[derive(Debug, Default)]
pub struct EventCounters {
    told: AtomicU64,
    delivered: AtomicU64,
    dropped: AtomicU64,
    /// Whether the process is stopping: no post is retried.
    hurry: AtomicBool,
}

impl EventCounters {
    /// Every outcome and its count.
    pub fn outcomes(&self) -> [(&'static str, u64); 2] {
        [("delivered", &self.delivered), ("dropped", &self.dropped)]
            .map(|(name, counter)| (name, counter.load(Ordering::Relaxed)))
    }
}

/// Handle for recording events. Clones share one queue.
#[derive(Clone, Debug, Default)]
pub struct Events {
    /// `None` if no endpoint is configured.
    to: Option<(flume::Sender<Event>, Arc<Hook>)>,
    counters: Arc<EventCounters>,
}

impl Events {
    /// Creates the handle and its poster; both are disabled without a URL. Reads the files that the
    /// settings name; opens no connection.
    pub(crate) fn open(config: &config::Events) -> Result<(Self, Option<Poster>), config::ConfigFault> {
        let Some(url) = config.url.get() else { return Ok((Self::default(), None)) };
        let hook = HookConfig {
            url,
            secret: config.secret.get(),
            secret_file: config.secret_file.get().map(std::path::Path::new),
            ca_file: config.ca_file.get().map(std::path::Path::new),
        };
        let hook = Hook::new(hook).map_err(|fault| config::ConfigFault(format!("events: {fault}")))?;
        let (sender, waiting) = flume::bounded(EVENTS_WAITING);
        let counters = Arc::<EventCounters>::default();
        let hook = Arc::new(hook);
        let poster = Poster::new(hook.clone(), waiting, counters.clone());
        Ok((Self { to: Some((sender, hook)), counters }, Some(poster)))
    }

    /// Whether an endpoint is configured.
    pub(crate) fn are_on(&self) -> bool {
        self.to.is_some()
    }

    /// Hash that identifies a recipient: the first half of HMAC-SHA256, keyed with the endpoint's
    /// secret, over `recipient:` and the address as typed. The holder of the secret can recompute
    /// it from an address; the address itself is not kept.
    pub(crate) fn recipient(&self, address: &str) -> [u8; 16] {
        let mut half = [0; 16];
        if let Some((_, hook)) = &self.to {
            half.copy_from_slice(&hook.keyed(&[b"recipient:", address.as_bytes()])[..16]);
        }
        half
    }

    /// Records an event if an endpoint is configured.
    pub(crate) fn tell(&self, unix_ms: u64, what: impl FnOnce() -> What) {
        let Some((sender, _)) = &self.to else { return };
        self.counters.told.fetch_add(1, Ordering::Relaxed);
        if sender.try_send(Event { unix_ms, what: what() }).is_err() {
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all recorded events are posted, or dropped after one try.
    pub(crate) async fn flushed(&self) {
        self.counters.hurry.store(true, Ordering::Relaxed);
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        while of(&counters.told) > of(&counters.delivered) + of(&counters.dropped) {
            tokio::time::sleep(FLUSH_POLL).await;
        }
    }

    /// Counts of delivered and dropped events.
    pub fn counters(&self) -> &EventCounters {
        &self.counters
    }
}
