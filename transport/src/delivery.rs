//! Mail, from a lane's promise to a relay's word. Own thread, own runtime: if it hangs, checks go on.
//!
//! ```text
//!   lanes ─ reserve, submit ─▶ MailQueue ─▶ delivery thread ─▶ provider 1, else 2, … ─▶ sent?
//!                                                  └───────── HandOver ─▶ shard: the code is current
//! ```
//!
//! Invariants:
//! - A mail is handed over at most once. Another provider is tried only when the one before surely did not
//!   take it; "maybe sent" counts as accepted and is never sent again.
//! - A job dies with its code: nothing is handed over after `expires`, not even the rest of a body.
//! - Everything is bounded: places in the queue, sends in progress, the time of each. Of places and sends one
//!   project has at most as many as are still free.
//! - No address, code, id or foreign error text is logged or counted.
//!
//! A mail that nobody took is tried again for a few seconds; while every provider is left alone by its breaker,
//! what was promised waits and nothing more is promised.

#![allow(clippy::disallowed_types, reason = "made here for the courier, on the delivery thread alone")]

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

/// Mails that may wait, or be under way: under 1 KiB each, 8 MiB in all. The half that one project may hold is ten
/// seconds of a relay that takes 400 a second.
pub const QUEUE_PLACES: usize = 8192;
/// Hand-overs at the same time: one connection each, of which Postfix gives a client 50. One project has half of them
/// at most (`lines.rs`).
pub const SENDS_IN_PROGRESS: usize = 48;
/// Longest one provider may take for one mail. A relay of one's own answers within a second, the
/// patient ones pause a new client for up to ten; and after 30 s the recipient may ask again.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(20);

/// Pauses after a pass over all providers in which none took a mail: a relay that restarts is back within
/// seconds; and all is over, one way or the other, before the recipient may ask for another code.
pub const PAUSES: &[Duration] = &[Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(8)];

/// The part of `memory.ceiling` that waiting mail may take: a thirty-second of 256 MiB is what
/// [`QUEUE_PLACES`] need; with less memory there are fewer of them.
const PART_OF_CEILING: usize = 32;

/// How much the delivery may hold and wait.
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
    /// The usual limits, with as many places as this much memory allows.
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

/// What the delivery is made of. Without a provider it runs, but no permit is given.
pub struct Delivery {
    /// The ways out, in the order they are tried.
    pub providers: Vec<ProviderConfig>,
    /// Tells shards how hand-overs ended.
    pub teller: Teller,
    /// Key of message ids.
    pub keys: StartKeys,
    /// The clock.
    pub clock: Clock,
    /// Bounds.
    pub limits: DeliveryLimits,
    /// Shows what the outbox gets, for whoever sits at the terminal.
    pub show: Option<Show>,
    /// Where it tells what became of mails.
    pub events: Events,
    /// What posts those, on this thread too.
    pub poster: Option<Poster>,
}

impl Delivery {
    /// Starts the delivery thread. Fails if a provider is misconfigured ([`ProviderFault`] inside), or
    /// if the system gives no thread.
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
            // A name look-up that hangs must not keep the process.
            runtime.shutdown_background();
        })?;
        Ok((queue, DeliveryThread { stop }))
    }
}

/// The running thread. Dropped, it stops at once and what is queued is wiped.
#[derive(Debug)]
pub struct DeliveryThread {
    stop: oneshot::Sender<Drain>,
}

/// A graceful stop that was asked for.
#[derive(Debug)]
struct Drain {
    within: Duration,
    left: oneshot::Sender<usize>,
}

impl DeliveryThread {
    /// False once the thread has ended by itself: then nobody takes the mails that are promised.
    pub fn is_running(&self) -> bool {
        !self.stop.is_closed()
    }

    /// Gives out no more permits, hands over what is queued, posts what happened, and stops; at the latest
    /// after `within`.
    /// Returns how many mails were left, and are now wiped.
    pub async fn drain(self, within: Duration) -> usize {
        let (left, answer) = oneshot::channel();
        match self.stop.send(Drain { within, left }) {
            Ok(()) => answer.await.unwrap_or(0),
            Err(_thread_is_gone) => 0,
        }
    }
}
