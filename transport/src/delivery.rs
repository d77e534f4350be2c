//! Mail delivery: takes a job from a lane and reports to the shard whether a provider accepted it.
//! Runs on its own thread and runtime: if it hangs, checks still work.
//!
//! ```text
//!   lanes ─ reserve, submit ─▶ MailQueue ─▶ delivery thread ─▶ provider 1, else 2, … ─▶ sent?
//!                                                  └───────── HandOver ─▶ shard: the code is current
//! ```
//!
//! Invariants:
//! - A mail is handed over at most once. Another provider is tried only when the previous one
//!   certainly did not take the mail; "maybe sent" counts as accepted and is never sent again.
//! - A job ends with its code: nothing is sent after `expires`, not even the rest of a body.
//! - Everything is bounded: places in the queue, sends in progress, the time of each. One project
//!   may hold at most as many places, and as many sends, as are still free.
//! - No address, code, id or remote error text appears in logs or metrics.
//!
//! A mail that no provider accepted is retried for a few seconds. While the breakers of all
//! providers are open, queued mails wait and no new permits are given.

#![allow(
    clippy::disallowed_types,
    reason = "the mutex is created here for the courier; only the delivery thread locks it"
)]

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use authepy_engine::actor::Teller;
use authepy_engine::clock::Clock;
use authepy_engine::route::StartKeys;
use tokio::sync::oneshot;

mod courier;
pub mod events;
pub(crate) mod hook;
mod job;
mod later;
mod lines;
mod message;
mod pace;
mod places;
mod queue;
pub(crate) mod roots;
mod slow;

mod breaker;
mod fate;
mod undeliverable;

mod outbox;
mod provider;
mod smtp;
mod webhook;

use courier::{Courier, Memory, Outlet};
use fate::{Fate, HandOverFault};
pub use job::{Awaited, CodeMail, Content, DeliveryAddress, MailJob, Notice};
pub use message::{Locale, Preview, TemplateFault, Templates, Wording};
pub use outbox::Show;
pub use provider::ProviderFault;
pub use queue::{MailCounters, MailQueue, Permit};

use crate::config::ProviderConfig;
use crate::delivery::events::{Events, Poster};

/// Mails that may wait or be in progress: less than 1 KiB each, 8 MiB in total. One project may
/// hold half: ten seconds' work for a relay that accepts 400 mails a second.
pub const QUEUE_PLACES: usize = 8192;
/// Concurrent hand-overs, one connection each; Postfix allows a client 50. One project gets at most
/// half of them (`lines.rs`).
pub const SENDS_IN_PROGRESS: usize = 48;
/// Longest time that one provider may take for one mail. A relay of one's own answers within a
/// second; some relays delay an unknown client by up to ten. After 30 s the recipient may ask for
/// another code.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(20);

/// Pauses after a pass over all providers in which none took the mail. A relay that restarts is
/// back within seconds, and the last try ends before the recipient may ask for another code.
pub const PAUSES: &[Duration] = &[Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(8)];

/// Waiting mail may take 1/32 of `memory.ceiling`. 1/32 of 256 MiB is enough for [`QUEUE_PLACES`];
/// with less memory there are fewer places.
const PART_OF_CEILING: usize = 32;

/// Bounds of delivery: places, concurrency, times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryLimits {
    /// See [`QUEUE_PLACES`].
    pub queue_places: usize,
    /// See [`SENDS_IN_PROGRESS`].
    pub sends_in_progress: usize,
    /// See [`SEND_TIMEOUT`].
    pub send_timeout: Duration,
    /// See [`PAUSES`].
    pub pauses: &'static [Duration],
}

impl DeliveryLimits {
    /// The default limits, with as many queue places as `ceiling_bytes` allows.
    pub fn within(ceiling_bytes: usize) -> Self {
        let places = (ceiling_bytes / PART_OF_CEILING / queue::MAIL_BYTES as usize).min(QUEUE_PLACES);
        Self { queue_places: places, ..Self::default() }
    }
}

impl Default for DeliveryLimits {
    fn default() -> Self {
        Self {
            queue_places: QUEUE_PLACES,
            sends_in_progress: SENDS_IN_PROGRESS,
            send_timeout: SEND_TIMEOUT,
            pauses: PAUSES,
        }
    }
}

/// The parts of delivery. Without a provider it runs but gives no permits.
pub struct Delivery {
    /// Providers, in the order in which they are tried.
    pub providers: Vec<ProviderConfig>,
    /// Reports to shards how hand-overs ended.
    pub teller: Teller,
    /// Keys that message ids are derived with.
    pub keys: StartKeys,
    /// The clock.
    pub clock: Clock,
    /// Bounds.
    pub limits: DeliveryLimits,
    /// Shows each mail written to the outbox, for someone watching the terminal.
    pub show: Option<Show>,
    /// Receives the outcome of each mail.
    pub events: Events,
    /// Posts the events, on the delivery thread.
    pub poster: Option<Poster>,
}

impl Delivery {
    /// Starts the delivery thread. Fails if a provider is misconfigured ([`ProviderFault`] inside),
    /// or if the operating system refuses a thread.
    pub fn start(self) -> io::Result<(MailQueue, DeliveryThread)> {
        let open = |config: &ProviderConfig| {
            let provider =
                config.open(self.show).map_err(|fault| io::Error::new(io::ErrorKind::InvalidInput, fault))?;
            Ok(Outlet { name: config.name.clone(), provider })
        };
        let outlets = self.providers.iter().map(open).collect::<io::Result<Vec<_>>>()?;
        let queue = MailQueue::new(self.limits.queue_places);
        if outlets.is_empty() {
            queue.close();
        }
        let courier = Arc::new(Courier {
            memory: Mutex::new(Memory::new(outlets.len())),
            outlets,
            teller: self.teller,
            keys: self.keys,
            clock: self.clock,
            limits: self.limits,
            queue: queue.clone(),
            events: self.events,
        });
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("delivery".to_owned()).spawn(move || {
            if let Some(poster) = self.poster {
                runtime.spawn(poster.run(self.clock));
            }
            runtime.block_on(courier.run(stopped));
            // A DNS lookup that hangs must not block process exit.
            runtime.shutdown_background();
        })?;
        Ok((queue, DeliveryThread { stop }))
    }
}

/// The running thread. Dropping it stops the thread at once and wipes the queued mails.
#[derive(Debug)]
pub struct DeliveryThread {
    stop: oneshot::Sender<Drain>,
}

/// A request for a graceful stop.
#[derive(Debug)]
struct Drain {
    within: Duration,
    left: oneshot::Sender<usize>,
}

impl DeliveryThread {
    /// False once the thread has ended unexpectedly: queued mails are then never sent.
    pub fn is_running(&self) -> bool {
        !self.stop.is_closed()
    }

    /// Stops giving permits, hands over what is queued, posts pending events, and stops, after
    /// `within` at the latest. Returns how many mails were left unsent; they are wiped.
    pub async fn drain(self, within: Duration) -> usize {
        let (left, answer) = oneshot::channel();
        match self.stop.send(Drain { within, left }) {
            Ok(()) => answer.await.unwrap_or(0),
            Err(_thread_has_ended) => 0,
        }
    }
}
