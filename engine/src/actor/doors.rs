//! The channels into a lane from other threads, and the flag that says whether every lane still
//! works.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::Stream;

use super::bans::BanNews;
use super::inbox::{Bell, Door, Slot};
use super::operator::Visit;
use crate::limits::{BAN_NEWS_BATCHES, INBOX_BATCHES, INBOX_WORDS, OPERATOR_VISITS, PENDING_ASKS_PER_LANE};
use crate::request::{Command, Outcome};

/// A batch of commands from one lane to one shard.
pub(super) struct Asks {
    /// The lane that waits for the answers.
    pub(super) from: usize,
    pub(super) list: Vec<(u32, Command)>,
}

/// A command from outside the lanes; nobody awaits the outcome.
pub(super) struct Word(pub(super) Command);

pub(super) type Answers = Vec<(u32, Outcome)>;

/// The sending ends of one lane's channels.
pub(super) struct WaysIn {
    pub(super) asks: Door<Asks>,
    /// Separate from `asks`, so that delivery reports don't take the room of requests.
    pub(super) words: Door<Word>,
    pub(super) answers: Door<Answers>,
    pub(super) bans: Door<BanNews>,
    pub(super) visits: Door<Visit>,
}

/// The sending ends of every lane's channels. Immutable and shared.
pub(super) type Doors = [WaysIn];

/// The receiving ends, held by the lane's actor.
pub(super) struct Inboxes {
    bell: Bell,
    visits: Slot<Visit>,
    bans: Slot<BanNews>,
    answers: Slot<Answers>,
    words: Slot<Word>,
    asks: Slot<Asks>,
}

/// A message to a lane from another thread.
pub(super) enum Post {
    Visit(Visit),
    Bans(BanNews),
    Answers(Answers),
    Word(Word),
    Asks(Asks),
}

pub(super) fn ways() -> (WaysIn, Inboxes) {
    let bell = Bell::default();
    let (to_asks, asks) = bell.slot(INBOX_BATCHES);
    let (to_words, words) = bell.slot(INBOX_WORDS);
    let (to_answers, answers) = bell.slot(PENDING_ASKS_PER_LANE);
    let (to_bans, bans) = bell.slot(BAN_NEWS_BATCHES);
    let (to_visits, visits) = bell.slot(OPERATOR_VISITS);
    let doors =
        WaysIn { asks: to_asks, words: to_words, answers: to_answers, bans: to_bans, visits: to_visits };
    (doors, Inboxes { bell, visits, bans, answers, words, asks })
}

impl Inboxes {
    /// Takes from the rarest kind first, so that a flood of commands delays nothing else.
    fn take(&self) -> Option<Post> {
        let rare = || self.visits.take().map(Post::Visit).or_else(|| self.bans.take().map(Post::Bans));
        let answers = || self.answers.take().map(Post::Answers);
        let words = || self.words.take().map(Post::Word);
        rare().or_else(answers).or_else(words).or_else(|| self.asks.take().map(Post::Asks))
    }
}

impl Stream for Inboxes {
    type Item = Post;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Post>> {
        self.bell.poll(context, || self.take()).map(Some)
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
