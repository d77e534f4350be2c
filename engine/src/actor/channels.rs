//! The channels into a lane from other threads, and the flag that says whether every lane still
//! works.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::Stream;

use super::bans::BanNews;
use super::channel::{LaneReceiver, LaneSender, LaneWaker};
use super::operator::Visit;
use crate::limits::{BAN_NEWS_BATCHES, INBOX_BATCHES, INBOX_WORDS, OPERATOR_VISITS, PENDING_ASKS_PER_LANE};
use crate::request::{Command, Outcome};

/// A batch of commands from one lane to one shard.
pub(super) struct CommandBatch {
    /// The lane that waits for the answers.
    pub(super) from: usize,
    pub(super) list: Vec<(u32, Command)>,
}

/// A command from outside the lanes; nobody awaits the outcome.
pub(super) struct DeliveryReport(pub(super) Command);

pub(super) type Answers = Vec<(u32, Outcome)>;

/// The sending ends of one lane's channels.
pub(super) struct LaneSenders {
    pub(super) asks: LaneSender<CommandBatch>,
    /// Separate from `asks`, so that delivery reports don't take the room of requests.
    pub(super) reports: LaneSender<DeliveryReport>,
    pub(super) answers: LaneSender<Answers>,
    pub(super) bans: LaneSender<BanNews>,
    pub(super) visits: LaneSender<Visit>,
}

/// The sending ends of every lane's channels. Immutable and shared.
pub(super) type AllLanes = [LaneSenders];

/// The receiving ends, held by the lane's actor.
pub(super) struct LaneReceivers {
    waker: LaneWaker,
    visits: LaneReceiver<Visit>,
    bans: LaneReceiver<BanNews>,
    answers: LaneReceiver<Answers>,
    reports: LaneReceiver<DeliveryReport>,
    asks: LaneReceiver<CommandBatch>,
}

/// A message to a lane from another thread.
pub(super) enum Incoming {
    Visit(Visit),
    Bans(BanNews),
    Answers(Answers),
    DeliveryReport(DeliveryReport),
    CommandBatch(CommandBatch),
}

pub(super) fn channels() -> (LaneSenders, LaneReceivers) {
    let waker = LaneWaker::default();
    let (to_asks, asks) = waker.channel(INBOX_BATCHES);
    let (to_words, reports) = waker.channel(INBOX_WORDS);
    let (to_answers, answers) = waker.channel(PENDING_ASKS_PER_LANE);
    let (to_bans, bans) = waker.channel(BAN_NEWS_BATCHES);
    let (to_visits, visits) = waker.channel(OPERATOR_VISITS);
    let senders = LaneSenders {
        asks: to_asks,
        reports: to_words,
        answers: to_answers,
        bans: to_bans,
        visits: to_visits,
    };
    (senders, LaneReceivers { waker, visits, bans, answers, reports, asks })
}

impl LaneReceivers {
    /// Takes from the rarest kind first, so that a flood of commands delays nothing else.
    fn take(&self) -> Option<Incoming> {
        let rare =
            || self.visits.take().map(Incoming::Visit).or_else(|| self.bans.take().map(Incoming::Bans));
        let answers = || self.answers.take().map(Incoming::Answers);
        let reports = || self.reports.take().map(Incoming::DeliveryReport);
        rare().or_else(answers).or_else(reports).or_else(|| self.asks.take().map(Incoming::CommandBatch))
    }
}

impl Stream for LaneReceivers {
    type Item = Incoming;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Incoming>> {
        self.waker.poll(context, || self.take()).map(Some)
    }
}

/// False once any shard has failed.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    pub(super) fn ready() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }

    /// Whether every shard answers.
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Marks the process as not ready, for good: something that a shard depends on has ended.
    pub fn fail(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// A guard for a task that must not end while the process serves.
    pub fn vital(&self) -> Vital {
        Vital(self.clone())
    }
}

/// A guard of a vital task. When it is dropped, by a panic or an unexpected end of the task, the
/// process is no longer ready.
#[derive(Debug)]
pub struct Vital(Readiness);

impl Vital {
    /// Runs a task that must not end.
    pub async fn run(self, task: impl Future<Output = ()>) {
        task.await;
    }
}

impl Drop for Vital {
    fn drop(&mut self) {
        self.0.fail();
    }
}
