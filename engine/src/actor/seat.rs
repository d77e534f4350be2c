//! What a lane is made of before it runs: its ways in, its shard, its thread.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use actix::{Actor, Arbiter, AsyncContext};
use futures_util::Stream;

use super::bans::BanNews;
use super::inbox::{Bell, Door, Slot};
use super::operator::{Operator, Visit};
use super::shard_actor::ShardActor;
use super::{Lane, PENDING_ASKS_PER_LANE};
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::limits::{BAN_NEWS_BATCHES, INBOX_BATCHES, INBOX_WORDS, OPERATOR_VISITS};
use crate::request::{Command, Outcome};
use crate::route::{Route, StartKeys};
use crate::settings::Settings;
use crate::shard::Shard;

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

fn ways() -> (WaysIn, Inboxes) {
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
pub struct Readiness(pub(super) Arc<AtomicBool>);

impl Readiness {
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

/// Randomness a lane may own.
pub type LaneEntropy = Box<dyn Entropy + Send>;

/// What a lane needs to start; made on one thread, carried to another.
pub struct Seat {
    pub(super) index: usize,
    pub(super) shard: Shard,
    pub(super) keys: StartKeys,
    pub(super) entropy: LaneEntropy,
    pub(super) clock: Clock,
    pub(super) inboxes: Inboxes,
    pub(super) doors: Arc<Doors>,
    pub(super) readiness: Readiness,
}

/// Tells shards things from outside the lanes (the delivery runtime). May wait; lanes never do.
#[derive(Clone)]
pub struct Teller(Arc<Doors>);

impl Teller {
    /// Sends a command whose outcome nobody awaits. Waits for room.
    pub async fn tell(&self, route: Route, command: Command) {
        let door = &self.0[route.shard(self.0.len())].words;
        // An error means that the lane has ended, and its codes with it.
        let _ended = door.send(Word(command)).await;
    }

    /// The operator's way in. `keys` are those the seats were made with.
    pub fn operator(&self, keys: StartKeys) -> Operator {
        Operator::new(self.0.clone(), keys)
    }
}

/// Prepares one seat per lane. `entropy` is called once for each.
pub fn seats(
    lanes: usize,
    settings: &Settings,
    keys: &StartKeys,
    clock: Clock,
    mut entropy: impl FnMut() -> LaneEntropy,
) -> (Vec<Seat>, Teller, Readiness) {
    let (doors, inboxes): (Vec<_>, Vec<_>) = (0..lanes).map(|_| ways()).unzip();
    let doors: Arc<Doors> = doors.into();
    let readiness = Readiness(Arc::new(AtomicBool::new(true)));
    let seats = inboxes.into_iter().enumerate().map(|(index, inboxes)| Seat {
        index,
        shard: Shard::new(keys.clone(), settings.clone()),
        keys: keys.clone(),
        entropy: entropy(),
        clock,
        inboxes,
        doors: doors.clone(),
        readiness: readiness.clone(),
    });
    (seats.collect(), Teller(doors.clone()), readiness)
}

/// Runs `main` on this thread as the system the lanes belong to.
pub fn run<T>(main: impl Future<Output = T>) -> T {
    actix::System::new().block_on(main)
}

/// A running lane's thread.
pub struct LaneThread(Arbiter);

impl LaneThread {
    /// Ends the lane; whatever it still held is dropped.
    pub fn stop(self) {
        self.0.stop();
        let _panicked_thread_is_gone_too = self.0.join();
    }
}

impl Seat {
    /// Starts the lane's thread, its shard's actor, and `body` on it.
    pub fn start<B, F>(self, body: B) -> LaneThread
    where
        B: FnOnce(Lane) -> F + Send + 'static,
        F: Future<Output = ()> + 'static,
    {
        let arbiter = Arbiter::new();
        arbiter.spawn_fn(move || {
            let (lane, inboxes) = Lane::seated(self);
            ShardActor::create(|context| {
                context.add_stream(inboxes);
                ShardActor { lane: lane.clone(), _vital: lane.vital() }
            });
            actix::spawn(lane.vital().run(lane.clone().flush_each_turn()));
            actix::spawn(body(lane));
        });
        LaneThread(arbiter)
    }
}
