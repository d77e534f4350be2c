//! Sends queued mails through the providers and reports the results.
//!
//! ```text
//!   queue ─▶ lines ─▶ one pass over the providers ──┬─ taken, or maybe ──▶ settle: counters, shard, events
//!              ▲                                    ├─ refused for good ──▶ settle
//!              │                                    └─ trouble ──▶ waiting ── a pause, or until open ────┐
//!              └── keeps its queue place ◀───────────────────────────────────────────────────────────────┘
//! ```

#![allow(clippy::disallowed_types, reason = "used by the delivery thread alone; its tasks must be Send")]

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use authepy_engine::actor::Teller;
use authepy_engine::clock::{Clock, Moment};
use authepy_engine::request::{Command, HandOver};
use authepy_engine::route::StartKeys;
use authepy_engine::stack::LeavingNothing;
use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::breaker::{Breaker, Change, Recipient};
use super::fate::{Fate, HandOverFault, verdict};
use super::later::{Later, Waiting};
use super::lines::{Lines, Turn};
use super::message::Mail;
use super::provider::Provider;
use super::queue::{MailQueue, Queued};
use super::slow::Flights;
use super::undeliverable::Undeliverable;
use super::{Awaited, Content, DeliveryLimits, Drain};
use crate::delivery::events::{Events, MailOutcome, What};

/// A provider and its name.
pub(super) struct Outlet {
    pub(super) name: Box<str>,
    pub(super) provider: Provider,
}

/// See the module's doc.
pub(super) struct Courier {
    pub(super) outlets: Vec<Outlet>,
    pub(super) teller: Teller,
    pub(super) keys: StartKeys,
    pub(super) clock: Clock,
    pub(super) limits: DeliveryLimits,
    pub(super) queue: MailQueue,
    pub(super) events: Events,
    /// Used by the delivery thread alone. Locked briefly, never across an await.
    pub(super) memory: Mutex<Memory>,
}

/// Recent history of the providers.
pub(super) struct Memory {
    /// One for each outlet.
    pub(super) breakers: Vec<Breaker>,
    /// One for each outlet.
    pub(super) flights: Vec<Flights>,
    pub(super) undeliverable: Undeliverable,
}

impl Memory {
    pub(super) fn new(outlets: usize) -> Self {
        let breakers = (0..outlets).map(|_| Breaker::default()).collect();
        let flights = (0..outlets).map(|_| Flights::default()).collect();
        Self { breakers, flights, undeliverable: Undeliverable::default() }
    }

    /// Whether a mail should skip this outlet: it is slow, and a later one is neither slow nor
    /// blocked by its breaker.
    fn should_skip(&self, at: usize, most: usize, now: Moment) -> bool {
        let is_good = |at: usize| {
            !self.flights[at].are_slow(most, now) && self.breakers[at].blocked_until(now).is_none()
        };
        self.flights[at].are_slow(most, now) && (at + 1..self.flights.len()).any(is_good)
    }
}

/// Mails taken out of the queue. Bounded by the queue's places, which the mails still hold.
#[derive(Default)]
struct Mails {
    lines: Lines,
    /// Mails that no provider has taken so far.
    waiting: Waiting,
}

/// How one pass over the providers ended.
enum Pass {
    Ended(Result<Fate, HandOverFault>),
    /// Try again at `due`. `counts`: whether this pass uses up a retry; it does not if no provider
    /// was contacted.
    Again {
        due: Moment,
        counts: bool,
    },
}

/// Why an outlet did not take a mail.
enum Obstacle {
    Fault(HandOverFault),
    /// The outlet was skipped until this moment: its breaker is open, or it is slow.
    Skipped(Moment),
}

/// How soon a provider that was skipped as slow is considered again.
const SLOW_LOOK: Duration = Duration::from_secs(1);

/// A send in progress at one provider; ends when dropped.
struct Flight<'a> {
    courier: &'a Courier,
    at: usize,
    began: Moment,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.courier.memory().flights[self.at].end(self.began);
    }
}

impl Courier {
    pub(super) async fn run(self: Arc<Self>, mut stopped: oneshot::Receiver<Drain>) {
        let (mut sends, mut mails) = (JoinSet::new(), Mails::default());
        let asked = tokio::select! {
            asked = &mut stopped => asked,
            () = self.work(&mut sends, &mut mails, false) => return,
        };
        self.queue.close();
        if let Ok(Drain { within, left }) = asked {
            let work = self.work(&mut sends, &mut mails, true);
            let deadline = tokio::time::Instant::now() + within;
            let finished = tokio::time::timeout_at(deadline, work).await.is_ok();
            let unsent = if finished { 0 } else { self.queue.queued() + sends.len() + mails.waiting.len() };
            let _in_time = tokio::time::timeout_at(deadline, self.events.flushed()).await;
            let _nobody_waits = left.send(unsent);
        }
        while self.queue.pop().is_some() {}
    }

    /// Runs sends. With `to_the_end`, waiting mails are retried at once, and it returns when no
    /// mail and no permit is left.
    async fn work(
        self: &Arc<Self>,
        sends: &mut JoinSet<(Turn, Option<Later>)>,
        mails: &mut Mails,
        to_the_end: bool,
    ) {
        let most = self.limits.sends_in_progress.max(1);
        loop {
            self.line_up(mails, to_the_end);
            while let Some((mail, turn)) = mails.lines.next(most - sends.len()) {
                sends.spawn(LeavingNothing(Box::pin(self.clone().deliver(mail, turn, to_the_end))));
            }
            self.queue.note_lined(mails.lines.len(), mails.lines.projects());
            let at_the_end = |queue: &MailQueue| to_the_end && queue.is_settled();
            let idle = sends.is_empty();
            if idle && at_the_end(&self.queue) {
                return;
            }
            let (has_room, due) = (sends.len() < most, mails.waiting.next_due());
            let pause = due.map(|due| due.since((self.clock)().at)).unwrap_or_default();
            tokio::select! {
                Some(ended) = sends.join_next() => {
                    if let Ok((turn, later)) = ended {
                        mails.lines.ended(turn);
                        mails.waiting.extend(later);
                    }
                }
                () = tokio::time::sleep(pause), if has_room && due.is_some() => {}
                () = self.queue.until(|queue| queue.has_news() || idle && at_the_end(queue)), if has_room => {}
            }
        }
    }

    /// Moves new mails and due retries into the lines of their projects.
    fn line_up(&self, mails: &mut Mails, to_the_end: bool) {
        let Mails { lines, waiting } = mails;
        let now = (self.clock)().at;
        while let Some(mail) = if to_the_end { waiting.pop() } else { waiting.pop_due(now) } {
            lines.push_first(mail);
        }
        while let Some(mail) = self.queue.pop() {
            lines.push(mail);
        }
    }

    /// Makes one pass with one mail. Returns the mail if there is to be another pass.
    async fn deliver(self: Arc<Self>, mail: Queued, turn: Turn, last: bool) -> (Turn, Option<Later>) {
        (turn, self.deliver_once(mail, last).await)
    }

    async fn deliver_once(&self, mut mail: Queued, last: bool) -> Option<Later> {
        let passed = AssertUnwindSafe(self.pass(&mail)).catch_unwind().await;
        let ended = match passed {
            Ok(Pass::Ended(ended)) => ended,
            Ok(Pass::Again { .. }) if last => Err(HandOverFault::Unreachable),
            Ok(Pass::Again { due, counts }) => {
                mail.passes = mail.passes.saturating_add(u8::from(counts));
                return Some(Later { due, mail });
            }
            Err(_panic) => {
                // It is unknown whether the provider had the whole mail, so it must not be sent
                // again.
                tracing::error!("a mail hand-over panicked");
                Ok(Fate::MaybeSent)
            }
        };
        self.settle(mail, ended).await;
        None
    }

    /// Tries the providers in order until one has the mail or may have it.
    async fn pass(&self, queued: &Queued) -> Pass {
        let job = &queued.job;
        let mail = match Mail::new(job, &self.keys, (self.clock)().unix_ms) {
            Ok(mail) => mail,
            Err(fault) => return Pass::Ended(Err(fault)),
        };
        let mut obstacles = Vec::with_capacity(self.outlets.len());
        for at in 0..self.outlets.len() {
            let left = job.expires.since((self.clock)().at);
            if left.is_zero() {
                return Pass::Ended(Err(HandOverFault::Expired));
            }
            match self.try_outlet(at, &mail, left.min(self.limits.send_timeout)).await {
                Ok(fate) => return Pass::Ended(Ok(fate)),
                Err(obstacle) => obstacles.push(obstacle),
            }
        }
        self.after(queued, &obstacles)
    }

    async fn try_outlet(&self, at: usize, mail: &Mail<'_>, budget: Duration) -> Result<Fate, Obstacle> {
        let outlet = &self.outlets[at];
        let address = Undeliverable::digest(&self.keys, at, mail.address());
        let now = (self.clock)().at;
        {
            let mut memory = self.memory();
            if memory.undeliverable.stands(&address, now) {
                return Err(Obstacle::Fault(HandOverFault::NoSuchRecipient));
            }
            if memory.should_skip(at, self.limits.sends_in_progress, now) {
                return Err(Obstacle::Skipped(now.after(SLOW_LOOK)));
            }
            let breaker = &mut memory.breakers[at];
            if !breaker.admit(now) {
                return Err(Obstacle::Skipped(breaker.blocked_until(now).unwrap_or(now)));
            }
            memory.flights[at].begin(now);
        }
        let flight = Flight { courier: self, at, began: now };
        let unix_ms = (self.clock)().unix_ms;
        let ended = match &outlet.provider {
            Provider::Smtp(smtp) => smtp.hand_over(mail, budget, self.clock).await,
            Provider::Webhook(webhook) => webhook.hand_over(mail, unix_ms, budget).await,
            Provider::Outbox(outbox) => outbox.hand_over(mail, unix_ms).map(|()| Fate::Sent),
        };
        drop(flight);
        let project = match &mail.job().content {
            Content::Code(code) => Some(&*code.project),
            Content::Notice(_) => None,
        };
        self.note(at, ended, Recipient::of(mail.to().domain(), project));
        if ended == Err(HandOverFault::NoSuchRecipient) {
            self.memory().undeliverable.note(address, (self.clock)().at);
        }
        ended.map_err(Obstacle::Fault)
    }

    /// Decides whether a mail that no provider took is tried again.
    fn after(&self, queued: &Queued, obstacles: &[Obstacle]) -> Pass {
        let now = (self.clock)().at;
        let faults = obstacles.iter().filter_map(|obstacle| match obstacle {
            Obstacle::Fault(fault) => Some(*fault),
            Obstacle::Skipped(_) => None,
        });
        let open = obstacles.iter().filter_map(|obstacle| match obstacle {
            Obstacle::Skipped(until) => Some(*until),
            Obstacle::Fault(_) => None,
        });
        if queued.job.expires <= now {
            return Pass::Ended(Err(HandOverFault::Expired));
        }
        let last = faults.clone().next_back().unwrap_or(HandOverFault::Unreachable);
        let pause = self.limits.pauses.get(usize::from(queued.passes));
        match (faults.clone().find(|fault| !fault.is_final()), open.min()) {
            (None, None) => Pass::Ended(Err(last)),
            (None, Some(until)) => Pass::Again { due: until.min(queued.job.expires), counts: false },
            (Some(fault), _) => match pause {
                Some(pause) => Pass::Again { due: now.after(*pause).min(queued.job.expires), counts: true },
                None => Pass::Ended(Err(fault)),
            },
        }
    }

    /// Counts the result and reports it to events and to the waiting shard. Drops the code and the
    /// address before it waits for the shard.
    async fn settle(&self, mail: Queued, ended: Result<Fate, HandOverFault>) {
        let outcome = match ended {
            Ok(Fate::Sent) => MailOutcome::Sent,
            Ok(Fate::MaybeSent) => MailOutcome::MaybeSent,
            Err(HandOverFault::Expired) => MailOutcome::Expired,
            Err(_) => MailOutcome::Failed,
        };
        let awaited = mail.job.awaited().cloned();
        if let Content::Code(code) = &mail.job.content {
            self.events.tell((self.clock)().unix_ms, || What::Mail {
                verification: code.awaited.id,
                project: code.project.clone(),
                recipient: self.events.recipient(mail.job.to.as_str()),
                send: code.awaited.send,
                outcome,
            });
        }
        mail.settle(outcome, (self.clock)().at);
        if let Some(Awaited { id, route, send }) = awaited {
            let hand_over = HandOver { id, send, accepted: ended.is_ok() };
            self.teller.tell(route, Command::HandOver(hand_over)).await;
        }
    }

    /// Updates the provider's breaker. Only changes are logged: a line per mail would fill the disk
    /// in an outage.
    fn note(&self, at: usize, ended: Result<Fate, HandOverFault>, recipient: Recipient) {
        let asks_hosts = matches!(self.outlets[at].provider, Provider::Smtp(_));
        let (mut memory, now) = (self.memory(), (self.clock)());
        let change = memory.breakers[at].note(now.at, verdict(ended, asks_hosts), recipient);
        let blocked: Option<Vec<Moment>> =
            memory.breakers.iter().map(|breaker| breaker.blocked_until(now.at)).collect();
        self.queue.suspend_until(blocked.and_then(|until| until.into_iter().min()));
        drop(memory);
        let Some(change) = change else { return };
        let name = &self.outlets[at].name;
        match change {
            Change::Opened => {
                self.queue.counters().count_failover();
                tracing::warn!(
                    provider = &**name,
                    last = ?ended,
                    "mail provider keeps failing and is not used for now"
                );
            }
            Change::Closed => tracing::info!(provider = &**name, "mail provider works again"),
        }
        let works = change == Change::Closed;
        self.events.tell(now.unix_ms, || What::Provider { name: name.clone(), works });
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
