//! What a lane is made of before it runs: its ways in, its shard, its thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::{Actor, Arbiter, AsyncContext};

use super::bans::BanNews;
use super::operator::{Operator, Visit};
use super::shard_actor::ShardActor;
use super::{Lane, PENDING_ASKS_PER_LANE};
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::limits::{BAN_NEWS_BATCHES, INBOX_BATCHES, INBOX_WORDS, OPERATOR_VISITS};
use crate::request::{Command, Outcome};
use crate::route::{Route, StartKeys};
use crate::shard::{Settings, Shard};

/// Questions from one lane to one shard.
pub(super) struct Asks {
    /// The lane that waits for the answers.
    pub(super) from: usize,
    pub(super) list: Vec<(u32, Command)>,
}

/// Something told from outside the lanes; nobody awaits the outcome.
pub(super) struct Word(pub(super) Command);

pub(super) type Answers = Vec<(u32, Outcome)>;

/// The ways into every lane. Immutable and shared.
pub(super) struct Doors {
    pub(super) asks: Vec<flume::Sender<Asks>>,
    /// Not through `asks`: words of the mail must not take the places of questions.
    pub(super) words: Vec<flume::Sender<Word>>,
    pub(super) answers: Vec<flume::Sender<Answers>>,
    pub(super) bans: Vec<flume::Sender<BanNews>>,
    pub(super) visits: Vec<flume::Sender<Visit>>,
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
    pub(super) asks: flume::Receiver<Asks>,
    pub(super) words: flume::Receiver<Word>,
    pub(super) answers: flume::Receiver<Answers>,
    pub(super) bans: flume::Receiver<BanNews>,
    pub(super) visits: flume::Receiver<Visit>,
    pub(super) doors: Arc<Doors>,
    pub(super) readiness: Readiness,
}

/// Tells shards things from outside the lanes (the delivery runtime). May wait; lanes never do.
#[derive(Clone)]
pub struct Teller(Arc<Doors>);

impl Teller {
    /// Sends a command whose outcome nobody awaits. Waits for room.
    pub async fn tell(&self, route: Route, command: Command) {
        let door = &self.0.words[route.shard(self.0.words.len())];
        // An error means that the lane has ended, and its codes with it.
        let _ended = door.send_async(Word(command)).await;
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
    let (ask_doors, asks): (Vec<_>, Vec<_>) = (0..lanes).map(|_| flume::bounded(INBOX_BATCHES)).unzip();
    let (word_doors, words): (Vec<_>, Vec<_>) = (0..lanes).map(|_| flume::bounded(INBOX_WORDS)).unzip();
    let (answer_doors, answers): (Vec<_>, Vec<_>) =
        (0..lanes).map(|_| flume::bounded(PENDING_ASKS_PER_LANE)).unzip();
    let (ban_doors, bans): (Vec<_>, Vec<_>) = (0..lanes).map(|_| flume::bounded(BAN_NEWS_BATCHES)).unzip();
    let (visit_doors, visits): (Vec<_>, Vec<_>) = (0..lanes).map(|_| flume::bounded(OPERATOR_VISITS)).unzip();
    let doors = Arc::new(Doors {
        asks: ask_doors,
        words: word_doors,
        answers: answer_doors,
        bans: ban_doors,
        visits: visit_doors,
    });
    let readiness = Readiness(Arc::new(AtomicBool::new(true)));
    let inboxes = asks.into_iter().zip(words).zip(answers).zip(bans.into_iter().zip(visits));
    let seats = inboxes.enumerate().map(|(index, (((asks, words), answers), (bans, visits)))| Seat {
        index,
        shard: Shard::new(keys.clone(), settings.clone()),
        keys: keys.clone(),
        entropy: entropy(),
        clock,
        asks,
        words,
        answers,
        bans,
        visits,
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
            let (asks, answers, bans) = (self.asks.clone(), self.answers.clone(), self.bans.clone());
            let (words, visits) = (self.words.clone(), self.visits.clone());
            let lane = Lane::new(self);
            ShardActor::create(|context| {
                context.add_stream(asks.into_stream());
                context.add_stream(words.into_stream());
                context.add_stream(answers.into_stream());
                context.add_stream(bans.into_stream());
                context.add_stream(visits.into_stream());
                ShardActor { lane: lane.clone(), _vital: lane.vital() }
            });
            actix::spawn(lane.vital().run(lane.clone().flush_each_turn()));
            actix::spawn(body(lane));
        });
        LaneThread(arbiter)
    }
}
