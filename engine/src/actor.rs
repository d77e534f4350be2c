//! The actix skin of a shard: its thread, its inbox, and how lanes ask each other.
//!
//! ```text
//!   lane 0                                             lane 1
//!   ask(route) ── own shard? ── yes ──▶ call           ShardActor ◀── flume(64 batches) ◀─┐
//!        │ no                                             │ batch in, batch out           │
//!        └─▶ outbox[1] ── end of the turn, one batch ─────┼───────────────────────────────┘
//!   pending[ticket] ◀── flume(answers) ◀──────────────────┘
//! ```
//!
//! This is the only file that names actix. A shard is reached from its own thread only, so a `RefCell`
//! suffices and is never held across an await. A full inbox refuses the whole batch at once; nobody
//! waits for room. The answer channel can't be full: a batch of answers belongs to a batch of asks, and
//! a lane has at most [`PENDING_ASKS_PER_LANE`] of those under way.
//!
//! What a shard decides about bans goes to all lanes by a channel of its own (`actor/bans.rs`), and the
//! operator's word on bans comes by one of its own (`actor/operator.rs`).
//!
//! A panic inside a shard is a bug whose damage is unknown: the shard answers `NotReady` from then on
//! and reports itself through [`Readiness`], by which the process ends.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use actix::{Actor, Arbiter, AsyncContext, Context, StreamHandler};

use crate::clock::{Clock, Moment, Now};
use crate::entropy::Entropy;
use crate::limits::{
    BAN_NEWS_BATCHES, BATCH_ASKS, INBOX_BATCHES, INBOX_WORDS, OPERATOR_VISITS, OVERLOADED_RETRY_AFTER,
    PENDING_ASKS_PER_LANE,
};
use crate::perimeter::ban::BanEntry;
use crate::perimeter::peer::Prefix;
use crate::request::{Command, Expired, Outcome, Refusal};
use crate::route::{Route, StartKeys};
use crate::shard::{Census, Settings, Shard};
use crate::stack::wipe_stack;

mod bans;
mod operator;
mod pending;
pub use bans::BansNow;
use bans::{BanNews, LaneBans};
pub use operator::Operator;
use operator::Visit;
pub use pending::Answer;
use pending::PendingAsks;

const SWEEP_EVERY: Duration = Duration::from_millis(500);

/// Questions from one lane to one shard.
struct Asks {
    /// The lane that waits for the answers.
    from: usize,
    list: Vec<(u32, Command)>,
}

/// Something told from outside the lanes; nobody awaits the outcome.
struct Word(Command);

type Answers = Vec<(u32, Outcome)>;

/// The ways into every lane. Immutable and shared.
struct Doors {
    asks: Vec<flume::Sender<Asks>>,
    /// Not through `asks`: words of the mail must not take the places of questions.
    words: Vec<flume::Sender<Word>>,
    answers: Vec<flume::Sender<Answers>>,
    bans: Vec<flume::Sender<BanNews>>,
    visits: Vec<flume::Sender<Visit>>,
}

/// False once any shard has failed.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Whether every shard answers.
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Randomness a lane may own.
pub type LaneEntropy = Box<dyn Entropy + Send>;

/// What a lane needs to start; made on one thread, carried to another.
pub struct Seat {
    index: usize,
    shard: Shard,
    keys: StartKeys,
    entropy: LaneEntropy,
    clock: Clock,
    asks: flume::Receiver<Asks>,
    words: flume::Receiver<Word>,
    answers: flume::Receiver<Answers>,
    bans: flume::Receiver<BanNews>,
    visits: flume::Receiver<Visit>,
    doors: Arc<Doors>,
    readiness: Readiness,
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
                ShardActor { lane: lane.clone() }
            });
            actix::spawn(lane.clone().flush_each_turn());
            actix::spawn(body(lane));
        });
        LaneThread(arbiter)
    }
}

type ExpiredWatcher = Rc<dyn Fn(&[Expired])>;

/// One lane's hold on its own shard, and its way to the others. Lives and dies on its thread.
#[derive(Clone)]
pub struct Lane(Rc<Inner>);

struct Inner {
    index: usize,
    /// This lane's shard; reached by direct call from this thread only.
    shard: RefCell<Shard>,
    entropy: RefCell<LaneEntropy>,
    keys: StartKeys,
    clock: Clock,
    doors: Arc<Doors>,
    /// Asks that leave at the end of this turn, per target lane.
    outboxes: RefCell<Vec<Vec<(u32, Command)>>>,
    flusher: Cell<Option<Waker>>,
    pending: Rc<RefCell<PendingAsks>>,
    /// This lane's copy of all bans.
    bans: LaneBans,
    expired: RefCell<Option<ExpiredWatcher>>,
    failed: Cell<bool>,
    readiness: Readiness,
}

impl Lane {
    fn new(seat: Seat) -> Self {
        let lanes = seat.doors.asks.len();
        Self(Rc::new(Inner {
            index: seat.index,
            shard: RefCell::new(seat.shard),
            entropy: RefCell::new(seat.entropy),
            keys: seat.keys,
            clock: seat.clock,
            doors: seat.doors,
            outboxes: RefCell::new((0..lanes).map(|_| Vec::new()).collect()),
            flusher: Cell::new(None),
            pending: Rc::default(),
            bans: LaneBans::new(seat.index, lanes),
            expired: RefCell::default(),
            failed: Cell::new(false),
            readiness: seat.readiness,
        }))
    }

    /// This lane's number.
    pub fn index(&self) -> usize {
        self.0.index
    }

    /// The keys of this process life.
    pub fn keys(&self) -> &StartKeys {
        &self.0.keys
    }

    /// Reads the clocks.
    pub fn now(&self) -> Now {
        (self.0.clock)()
    }

    /// Runs `draw` with this lane's randomness.
    pub fn with_entropy<T>(&self, draw: impl FnOnce(&mut LaneEntropy) -> T) -> T {
        draw(&mut self.0.entropy.borrow_mut())
    }

    /// Live verifications and inbox records of this lane's shard.
    pub fn population(&self) -> (usize, usize) {
        let shard = self.0.shard.borrow();
        (shard.live(), shard.inboxes())
    }

    /// What this lane's shard holds.
    pub fn census(&self) -> Census {
        self.0.shard.borrow().census()
    }

    /// Gives this lane's shard other settings.
    pub fn configure(&self, settings: Settings) {
        // A shard that has failed answers `NotReady` under any settings.
        let _failed = self.with_shard(|shard, _| shard.configure(settings));
    }

    /// Whether nobody at `address` is to be listened to. Asked for every datagram: one comparison while
    /// there are no bans, else at most three probes.
    pub fn is_banned(&self, address: IpAddr) -> bool {
        self.banned_until(address).is_some()
    }

    /// As [`Lane::is_banned`], with the end of the ban.
    pub fn banned_until(&self, address: IpAddr) -> Option<Moment> {
        self.0.bans.until(address, || self.now().at)
    }

    /// The bans in this instant, to hold many datagrams against; `None` while there are none. Nothing may be
    /// awaited, and the lane not be asked, while it is held.
    pub fn bans_now(&self) -> Option<BansNow<'_>> {
        self.0.bans.at(|| self.now().at)
    }

    /// What this lane knows of exactly this network, whether its ban holds or has just ended.
    pub fn ban_of(&self, prefix: Prefix) -> Option<BanEntry> {
        self.0.bans.entry(prefix)
    }

    /// How many bans this lane knows of, of all shards: to half a second, those that hold.
    pub fn ban_count(&self) -> usize {
        self.0.bans.len()
    }

    /// All bans that hold, of all shards, as far as this lane has heard. For the operator.
    pub fn bans(&self) -> Vec<BanEntry> {
        self.0.bans.list(self.now().at)
    }

    /// The ban of exactly this network, if this lane's shard is the one that owns it.
    pub fn own_ban(&self, prefix: &Prefix) -> Option<BanEntry> {
        let owner = self.0.keys.prefix_route(prefix).shard(self.0.doors.asks.len());
        if owner == self.0.index { self.0.bans.entry(*prefix) } else { None }
    }

    /// Has `watcher` called on this thread with each network whose ban begins, so that its live
    /// connections can be closed. It must not await; it may ask this lane anything.
    pub fn on_ban(&self, watcher: impl Fn(Prefix) + 'static) {
        self.0.bans.watch(Rc::new(watcher));
    }

    /// Has `watcher` called on this thread with the verifications of this shard that ended by their time,
    /// soon after they did. It must not await.
    pub fn on_expired(&self, watcher: impl Fn(&[Expired]) + 'static) {
        self.0.expired.replace(Some(Rc::new(watcher)));
        self.tell_expired();
    }

    fn tell_expired(&self) {
        // Copied, so that the watcher may ask this lane anything.
        let watcher = self.0.expired.borrow().clone();
        if let Some(watcher) = watcher
            && let Some(ended) = self.with_shard(|shard, _| shard.take_expired())
            && !ended.is_empty()
        {
            watcher(&ended);
        }
    }

    /// Has `watcher` called on this thread whenever this lane's bans have changed, in the same turn and after
    /// [`Lane::on_ban`]; with `true` if somebody may be heard sooner than before (lifted, shortened, ended).
    /// It must not await; it may ask this lane anything.
    pub fn on_bans_changed(&self, watcher: impl Fn(bool) + 'static) {
        self.0.bans.watch_changes(Rc::new(watcher));
    }

    /// Asks the shard at `route`: a call if it is this lane's, else part of this turn's batch.
    pub fn ask(&self, route: Route, command: Command) -> Answer {
        let target = route.shard(self.0.doors.asks.len());
        if target == self.0.index {
            return Answer::ready(self.decide(command));
        }
        let Some(ticket) = self.0.pending.borrow_mut().open() else {
            return Answer::ready(overloaded());
        };
        let full = {
            let mut outboxes = self.0.outboxes.borrow_mut();
            outboxes[target].push((ticket, command));
            outboxes[target].len() >= BATCH_ASKS
        };
        if full {
            self.flush(target);
        } else {
            self.wake_flusher();
        }
        Answer::waiting(self.0.pending.clone(), ticket)
    }

    fn decide(&self, command: Command) -> Outcome {
        let decision = self.with_shard(|shard, now| {
            let mut entropy = self.0.entropy.borrow_mut();
            (shard.handle(now, command, &mut *entropy), shard.take_ban_changes(), now.at)
        });
        let Some((outcome, ban_changes, now)) = decision else {
            return Outcome::Refused(not_ready());
        };
        if !ban_changes.is_empty() {
            self.0.bans.announce(&ban_changes, now);
            self.wake_flusher();
        }
        outcome
    }

    fn wake_flusher(&self) {
        if let Some(flusher) = self.0.flusher.take() {
            flusher.wake();
        }
    }

    /// Runs `work` on this lane's shard. `None` if it panicked, now or before.
    fn with_shard<T>(&self, work: impl FnOnce(&mut Shard, Now) -> T) -> Option<T> {
        if self.0.failed.get() {
            return None;
        }
        let worked = catch_unwind(AssertUnwindSafe(|| work(&mut self.0.shard.borrow_mut(), self.now())));
        if worked.is_err() {
            self.0.failed.set(true);
            self.0.readiness.0.store(false, Ordering::Relaxed);
        }
        worked.ok()
    }

    /// Sends every outbox once per turn of the lane: the waker puts this task behind those that run now.
    async fn flush_each_turn(self) {
        poll_fn(|context| {
            for target in 0..self.0.doors.asks.len() {
                self.flush(target);
                self.tell_bans(target);
            }
            self.0.flusher.set(Some(context.waker().clone()));
            Poll::<()>::Pending
        })
        .await;
    }

    fn flush(&self, target: usize) {
        let list = std::mem::take(&mut self.0.outboxes.borrow_mut()[target]);
        if list.is_empty() {
            return;
        }
        let batch = Asks { from: self.0.index, list };
        if let Err(refused) = self.0.doors.asks[target].try_send(batch) {
            let mut pending = self.0.pending.borrow_mut();
            for (ticket, _) in refused.into_inner().list {
                pending.settle(ticket, overloaded());
            }
        }
    }
}

impl Lane {
    /// Tells a lane what it does not know yet about this shard's bans. What its channel does not take
    /// now is told in a later turn.
    fn tell_bans(&self, target: usize) {
        let all = || self.with_shard(|shard, now| shard.bans(now.at)).unwrap_or_default();
        self.0.bans.tell(target, all, |news| match self.0.doors.bans[target].try_send(news) {
            Err(flume::TrySendError::Full(news)) => Err(news),
            // A lane that has ended needs no bans.
            Ok(()) | Err(flume::TrySendError::Disconnected(_)) => Ok(()),
        });
    }
}

fn not_ready() -> Refusal {
    Refusal::NotReady { retry_after: OVERLOADED_RETRY_AFTER }
}

fn overloaded() -> Outcome {
    Outcome::Refused(Refusal::Overloaded { retry_after: OVERLOADED_RETRY_AFTER })
}

struct ShardActor {
    lane: Lane,
}

impl Actor for ShardActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(SWEEP_EVERY, |actor, context| actor.sweep(context));
    }
}

impl ShardActor {
    /// Sweeps a bounded number of records; the rest after whoever waits has been served.
    fn sweep(&mut self, context: &mut Context<Self>) {
        // A lane whose channel was full hears the rest of the news now.
        self.lane.wake_flusher();
        let swept = self.lane.with_shard(|shard, now| (shard.sweep(now.at), now.at));
        let Some((is_more, now)) = swept else { return };
        // Outside: who watches the bans, or what expired, may ask the shard.
        self.lane.0.bans.sweep(now);
        self.lane.tell_expired();
        wipe_stack();
        if is_more {
            context.run_later(Duration::from_millis(1), |actor, context| actor.sweep(context));
        }
    }
}

impl StreamHandler<Asks> for ShardActor {
    fn handle(&mut self, asks: Asks, _: &mut Self::Context) {
        let answers: Answers =
            asks.list.into_iter().map(|(ticket, command)| (ticket, self.lane.decide(command))).collect();
        // Never full (see the module's doc); an ended lane has nobody left to answer.
        let _ended = self.lane.0.doors.answers[asks.from].try_send(answers);
    }
}

impl StreamHandler<Word> for ShardActor {
    fn handle(&mut self, Word(command): Word, _: &mut Self::Context) {
        let _nobody_waits = self.lane.decide(command);
    }
}

impl StreamHandler<BanNews> for ShardActor {
    fn handle(&mut self, news: BanNews, _: &mut Self::Context) {
        self.lane.0.bans.learn(&news, &self.lane.0.keys, self.lane.now().at);
    }
}

impl StreamHandler<Visit> for ShardActor {
    fn handle(&mut self, visit: Visit, _: &mut Self::Context) {
        self.lane.receive(visit);
    }
}

impl StreamHandler<Answers> for ShardActor {
    fn handle(&mut self, answers: Answers, _: &mut Self::Context) {
        let mut pending = self.lane.0.pending.borrow_mut();
        for (ticket, outcome) in answers {
            pending.settle(ticket, outcome);
        }
    }
}
