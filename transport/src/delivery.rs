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
//! - Everything is bounded: places in the queue, sends in progress, the time of each.
//! - No address, code, id or foreign error text is logged or counted.
//!
//! One pass over the providers is all a mail gets: a recipient who waits asks again, and gets a code
//! that is fresh.

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use authepy_engine::actor::Teller;
use authepy_engine::clock::Clock;
use authepy_engine::request::{Command, HandOver};
use authepy_engine::route::StartKeys;
use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

mod job;
mod message;
mod outbox;
mod provider;
mod queue;
mod smtp;

pub use job::{Awaited, CodeMail, Content, DeliveryAddress, MailJob, Notice};
use message::Mail;
pub use message::{Locale, Preview, TemplateFault, Templates, Wording};
pub use outbox::Show;
use provider::Provider;
pub use provider::{Confidential, ProviderConfig, ProviderFault, ProviderKind};
pub use queue::{MailCounters, MailQueue, Permit};

/// Mails that may wait: under 1 KiB each, 4 MiB in all; ten seconds of a relay that takes 400 a second.
pub const QUEUE_PLACES: usize = 4096;
/// Hand-overs at the same time: one connection each, and relays frown on more.
pub const SENDS_IN_PROGRESS: usize = 32;
/// Longest one provider may take for one mail. A relay of one's own answers within a second, the
/// patient ones pause a new client for up to ten; and after 30 s the recipient may ask again.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(20);

/// How much the delivery may hold and wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryLimits {
    /// See [`QUEUE_PLACES`].
    pub queue_places: usize,
    /// See [`SENDS_IN_PROGRESS`].
    pub sends_in_progress: usize,
    /// See [`SEND_TIMEOUT`].
    pub send_timeout: Duration,
}

impl Default for DeliveryLimits {
    fn default() -> Self {
        Self { queue_places: QUEUE_PLACES, sends_in_progress: SENDS_IN_PROGRESS, send_timeout: SEND_TIMEOUT }
    }
}

/// How a hand-over that did not fail ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The provider has it.
    Sent,
    /// The provider had all of it and fell silent.
    MaybeSent,
}

/// Why a provider surely did not take a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HandOverFault {
    /// No connection.
    Unreachable,
    /// No TLS where it is demanded, or a certificate nobody trusts.
    Insecure,
    /// The relay does not know us.
    LoginRefused,
    /// The connection ended.
    Lost,
    /// What the relay said is not SMTP, or came out of turn.
    Garbled,
    /// A 4xx answer.
    RefusedForNow,
    /// A 421 answer: the relay hangs up.
    HangsUp,
    /// A 5xx answer.
    Refused,
    /// The address takes SMTPUTF8, which the relay does not speak.
    NeedsUtf8,
    /// The send took too long.
    TimedOut,
    /// The code expired before the hand-over ended.
    Expired,
    /// The outbox can't be written.
    Unwritable,
    /// No mail can be made for this address.
    Unmailable,
}

impl HandOverFault {
    /// Whether it says something about the provider; the others are about one mail.
    fn blames_provider(self) -> bool {
        !matches!(
            self,
            Self::RefusedForNow | Self::Refused | Self::NeedsUtf8 | Self::Expired | Self::Unmailable
        )
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
}

impl Delivery {
    /// Starts the delivery thread. Fails if a provider is misconfigured ([`ProviderFault`] inside), or
    /// if the system gives no thread.
    pub fn start(self) -> io::Result<(MailQueue, DeliveryThread)> {
        let open = |config: &ProviderConfig| {
            let provider =
                config.open(self.show).map_err(|fault| io::Error::new(io::ErrorKind::InvalidInput, fault))?;
            Ok(NamedProvider { name: config.name.clone(), provider, troubled: AtomicBool::new(false) })
        };
        let providers = self.providers.iter().map(open).collect::<io::Result<Vec<_>>>()?;
        let queue = MailQueue::new(self.limits.queue_places);
        if providers.is_empty() {
            queue.close();
        }
        let courier = Arc::new(Courier {
            providers,
            teller: self.teller,
            keys: self.keys,
            clock: self.clock,
            send_timeout: self.limits.send_timeout,
            queue: queue.clone(),
        });
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("delivery".to_owned()).spawn(move || {
            runtime.block_on(courier.run(self.limits.sends_in_progress.max(1), stopped));
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
    /// Gives out no more permits, hands over what is queued, and stops; at the latest after `within`.
    /// Returns how many mails were left, and are now wiped.
    pub async fn drain(self, within: Duration) -> usize {
        let (left, answer) = oneshot::channel();
        match self.stop.send(Drain { within, left }) {
            Ok(()) => answer.await.unwrap_or(0),
            Err(_thread_is_gone) => 0,
        }
    }
}

struct NamedProvider {
    name: Box<str>,
    provider: Provider,
    /// Whether the last mail that could tell told of trouble: only changes are logged.
    troubled: AtomicBool,
}

struct Courier {
    providers: Vec<NamedProvider>,
    teller: Teller,
    keys: StartKeys,
    clock: Clock,
    send_timeout: Duration,
    queue: MailQueue,
}

impl Courier {
    async fn run(self: Arc<Self>, most: usize, mut stopped: oneshot::Receiver<Drain>) {
        let mut sends = JoinSet::new();
        let asked = tokio::select! {
            asked = &mut stopped => asked,
            () = self.work(&mut sends, most, false) => return,
        };
        self.queue.close();
        if let Ok(Drain { within, left }) = asked {
            let finished = tokio::time::timeout(within, self.work(&mut sends, most, true)).await.is_ok();
            let unsent = if finished { 0 } else { self.queue.queued() + sends.len() };
            let _nobody_waits = left.send(unsent);
        }
        while self.queue.pop().is_some() {}
    }

    /// Keeps `most` sends going; when `to_the_end`, returns once no mail and no permit is left.
    async fn work(self: &Arc<Self>, sends: &mut JoinSet<()>, most: usize, to_the_end: bool) {
        loop {
            while sends.len() < most
                && let Some(job) = self.queue.pop()
            {
                sends.spawn(self.clone().deliver(job));
            }
            let at_the_end = |queue: &MailQueue| to_the_end && queue.is_settled();
            let idle = sends.is_empty();
            if idle && at_the_end(&self.queue) {
                return;
            }
            tokio::select! {
                Some(_) = sends.join_next() => {}
                () = self.queue.until(|queue| queue.queued() > 0 || idle && at_the_end(queue)), if sends.len() < most => {}
            }
        }
    }

    /// One mail, and word of it to the shard that waits.
    async fn deliver(self: Arc<Self>, job: Box<MailJob>) {
        let ended = AssertUnwindSafe(self.hand_over(&job)).catch_unwind().await;
        let ended = ended.unwrap_or_else(|_| {
            // On which side of the final dot is unknown, so it must not be sent again.
            tracing::error!("a mail hand-over panicked");
            Ok(Fate::MaybeSent)
        });
        let counters = self.queue.count();
        let counter: &AtomicU64 = match ended {
            Ok(Fate::Sent) => &counters.sent,
            Ok(Fate::MaybeSent) => &counters.maybe_sent,
            Err(HandOverFault::Expired) => &counters.expired,
            Err(_) => &counters.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let awaited = job.awaited().cloned();
        // The shard may be busy; code and address don't wait for it.
        drop(job);
        if let Some(Awaited { id, route, send }) = awaited {
            let hand_over = HandOver { id, send, accepted: ended.is_ok() };
            self.teller.tell(route, Command::HandOver(hand_over)).await;
        }
    }

    async fn hand_over(&self, job: &MailJob) -> Result<Fate, HandOverFault> {
        let mail = Mail::new(job, &self.keys, (self.clock)().unix_ms)?;
        let mut last = HandOverFault::Unreachable;
        for named in &self.providers {
            let left = job.expires.since((self.clock)().at);
            if left.is_zero() {
                return Err(HandOverFault::Expired);
            }
            let ended = match &named.provider {
                Provider::Smtp(smtp) => smtp.hand_over(&mail, left.min(self.send_timeout), self.clock).await,
                Provider::Outbox(outbox) => {
                    outbox.hand_over(&mail, (self.clock)().unix_ms).map(|()| Fate::Sent)
                }
            };
            named.note(ended);
            match ended {
                Ok(fate) => return Ok(fate),
                Err(fault) => last = fault,
            }
        }
        match job.expires <= (self.clock)().at {
            true => Err(HandOverFault::Expired),
            false => Err(last),
        }
    }
}

impl NamedProvider {
    /// Logs when a provider falls ill or recovers; a line per mail would fill the disk in an outage.
    fn note(&self, ended: Result<Fate, HandOverFault>) {
        let (ill, fault) = match ended {
            Ok(Fate::Sent) => (false, None),
            Err(fault) if fault.blames_provider() => (true, Some(fault)),
            _ => return,
        };
        if self.troubled.swap(ill, Ordering::Relaxed) == ill {
            return;
        }
        match fault {
            Some(fault) => tracing::warn!(provider = &*self.name, ?fault, "mail provider fails"),
            None => tracing::info!(provider = &*self.name, "mail provider works again"),
        }
    }
}
