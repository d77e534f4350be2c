//! What happened, told to the operator's own endpoint: signed, in order, as often as it takes.
//!
//! ```text
//!   lanes ─┐ tell                                      ┌─ 2xx: told
//!          ├──▶ flume(EVENTS_WAITING) ─▶ poster ─ POST ┤
//!   mail ──┘      full: dropped, counted               └─ else: again, the same id; after the last try dropped
//! ```
//!
//! Invariants:
//! - Nobody waits for it: whoever tells only pushes, and a full queue drops what is newest and counts it.
//! - An event names a verification by [`digest`](VerificationId::digest), a recipient by a hash keyed with
//!   the endpoint's secret, a peer by the hash the log uses: nothing in it lets anybody check, cancel or
//!   write to somebody.
//! - Test keys tell nothing.
//! - A post that is repeated carries the same `webhook-id`; every event has an id of its own.
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

/// Events that wait, some 250 B each, 2 MiB in all: eight seconds of a launch day's thousand a second.
const EVENTS_WAITING: usize = 8_192;

/// How often a process that ends looks whether all was posted.
const FLUSH_POLL: Duration = Duration::from_millis(10);

/// One thing that happened.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) unix_ms: u64,
    pub(crate) what: What,
}

/// What can happen.
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
    /// A provider is left alone, or works again.
    Provider { name: Box<str>, works: bool },
    /// A network was banned.
    Banned { peer: PeerDigest, seconds: u64 },
    /// A secret key came from what looks like a browser.
    KeyExposed { key: Box<str>, project: Arc<str> },
    /// Few of an API key's mails were answered by a right code.
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

/// What became of events since the start.
#[derive(Debug, Default)]
pub struct EventCounters {
    told: AtomicU64,
    delivered: AtomicU64,
    dropped: AtomicU64,
    /// Whether the process is ending: nothing is tried twice any more.
    hurry: AtomicBool,
}

impl EventCounters {
    /// Every outcome and how many events had it.
    pub fn outcomes(&self) -> [(&'static str, u64); 2] {
        [("delivered", &self.delivered), ("dropped", &self.dropped)]
            .map(|(name, counter)| (name, counter.load(Ordering::Relaxed)))
    }
}

/// Where events are told. Cloning gives the same way.
#[derive(Clone, Debug, Default)]
pub struct Events {
    /// None where no endpoint is configured.
    to: Option<(flume::Sender<Event>, Arc<Hook>)>,
    counters: Arc<EventCounters>,
}

impl Events {
    /// The way to the endpoint of these settings, and what posts to it; none without one. Reads the files the
    /// settings name, connects nowhere.
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

    /// Whether anybody listens.
    pub(crate) fn are_on(&self) -> bool {
        self.to.is_some()
    }

    /// What a recipient is known by: the first half of HMAC-SHA256 under the endpoint's secret over
    /// `recipient:` and the address as typed. Whoever knows both can tell; the address itself is not kept.
    pub(crate) fn recipient(&self, address: &str) -> [u8; 16] {
        let mut half = [0; 16];
        if let Some((_, hook)) = &self.to {
            half.copy_from_slice(&hook.keyed(&[b"recipient:", address.as_bytes()])[..16]);
        }
        half
    }

    /// Tells what happened, if anybody listens.
    pub(crate) fn tell(&self, unix_ms: u64, what: impl FnOnce() -> What) {
        let Some((sender, _)) = &self.to else { return };
        self.counters.told.fetch_add(1, Ordering::Relaxed);
        if sender.try_send(Event { unix_ms, what: what() }).is_err() {
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all that was told is posted, or dropped after one try.
    pub(crate) async fn flushed(&self) {
        self.counters.hurry.store(true, Ordering::Relaxed);
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        while of(&counters.told) > of(&counters.delivered) + of(&counters.dropped) {
            tokio::time::sleep(FLUSH_POLL).await;
        }
    }

    /// What became of events.
    pub fn counters(&self) -> &EventCounters {
        &self.counters
    }
}
