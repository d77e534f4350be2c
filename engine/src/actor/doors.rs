//! The ways into a lane from other threads, and the flag that says whether every lane still works.

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

/// Questions from one lane to one shard.
pub(super) struct Asks {
    /// The lane that waits for the answers.
    pub(super) from: usize,
    pub(super) list: Vec<(u32, Command)>,
}

/// Something told from outside the lanes; nobody awaits the outcome.
pub(super) struct Word(pub(super) Command);

pub(super) type Answers = Vec<(u32, Outcome)>;

/// The ways into one lane, from outside.
pub(super) struct WaysIn {
    pub(super) asks: Door<Asks>,
    /// Not through `asks`: words of the mail must not take the places of questions.
    pub(super) words: Door<Word>,
    pub(super) answers: Door<Answers>,
    pub(super) bans: Door<BanNews>,
    pub(super) visits: Door<Visit>,
}

/// The ways into every lane. Immutable and shared.
pub(super) type Doors = [WaysIn];

/// The other ends; the lane's actor has them.
pub(super) struct Inboxes {
    bell: Bell,
    visits: Slot<Visit>,
    bans: Slot<BanNews>,
    answers: Slot<Answers>,
    words: Slot<Word>,
    asks: Slot<Asks>,
}

/// What comes to a lane from outside.
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
    /// The rarest first: a flood of questions keeps nothing else waiting.
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

    /// Something that shards are not served without has ended; for good.
    pub fn fail(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// What a task holds that must not end while the process serves.
    pub fn vital(&self) -> Vital {
        Vital(self.clone())
    }
}

/// Dropped, whether by a panic or by an end that nobody foresaw, nothing is ready any more.
#[derive(Debug)]
pub struct Vital(Readiness);

impl Vital {
    /// Runs what must not end.
    pub async fn run(self, task: impl Future<Output = ()>) {
        task.await;
    }
}

impl Drop for Vital {
    fn drop(&mut self) {
        self.0.fail();
    }
}
