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
//! No other module of the engine names actix; here `seat.rs` does (threads) and `shard_actor.rs` (what an actor
//! reads). A shard is reached from its own thread only, so a `RefCell` suffices; it is never held across an await. A
//! full channel refuses the whole batch at once; nobody waits for room. The channel of answers can't be full: a batch
//! of answers belongs to a batch of asks, and a lane has at most [`PENDING_ASKS_PER_LANE`](crate::limits::PENDING_ASKS_PER_LANE) of those under way.
//!
//! State has no lock. The channels between lanes have one: flume holds a mutex for each push or pop of a whole batch,
//! so two lanes wait for each other only while both touch the same channel, some dozens of nanoseconds a turn.
//!
//! What a shard decides about bans goes to all lanes by a channel of its own (`actor/bans.rs`), and the
//! operator's word on bans comes by one of its own (`actor/operator.rs`).
//!
//! A panic inside a shard is a bug whose damage is unknown: the shard answers `NotReady` from then on
//! and reports itself through [`Readiness`], by which the process ends. So does the end of anything else that
//! a lane does not work without (its inbox, its flusher; of the transport what holds a [`Vital`]): a lane that
//! listens and never answers is worse than one that is gone. Nothing is rebuilt in place: a new shard would
//! know no ban and no guess that the others count on, and a process that starts anew at least says so.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

use crate::clock::{Clock, Moment, Now};
use crate::limits::{BATCH_ASKS, OVERLOADED_RETRY_AFTER};
use crate::peer::Prefix;
use crate::perimeter::ban::{BanChange, BanEntry};
use crate::request::{Command, Conversion, Expired, Outcome, Refusal};
use crate::route::{Route, StartKeys};
use crate::settings::Settings;
use crate::shard::{Census, Shard};

mod bans;
mod doors;
mod inbox;
mod operator;
mod pending;
mod seat;
mod shard_actor;
pub use bans::BansNow;
use bans::LaneBans;
use doors::{Answers, Asks, Doors, Inboxes, Post, Word};
pub use doors::{Readiness, Vital};
pub use operator::Operator;
pub use pending::Answer;
use pending::PendingAsks;
pub use seat::{LaneEntropy, LaneThread, Seat, Teller, run, seats};

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
    /// The lane of a seat, and what its actor reads.
    fn seated(seat: Seat) -> (Self, Inboxes) {
        let lanes = seat.doors.len();
        let lane = Self(Rc::new(Inner {
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
        }));
        (lane, seat.inboxes)
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

    /// What a task holds that this lane does not work without.
    pub fn vital(&self) -> Vital {
        self.0.readiness.vital()
    }

    /// A panic in the middle of a shard's turn, for tests; no optimised build has it.
    #[cfg(debug_assertions)]
    pub fn panic_in_shard(&self) {
        #[allow(clippy::panic, reason = "it is what was asked for")]
        let _failed = self.with_shard::<()>(|_, _| panic!("eve@example.com"));
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

    /// What became of API keys' mails, as far as this lane's shard knows.
    pub fn conversions(&self) -> Vec<Conversion> {
        self.0.shard.borrow().conversions(self.now().at)
    }

    /// Gives this lane's shard other settings.
    pub fn configure(&self, settings: Settings) {
        let configured = self.with_shard(|shard, now| {
            shard.configure(settings);
            (shard.take_ban_changes(), now.at)
        });
        // A shard that has failed answers `NotReady` under any settings.
        let Some((ban_changes, now)) = configured else { return };
        self.announce(&ban_changes, now);
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
    pub fn bans_at(&self, now: Moment) -> Option<BansNow<'_>> {
        self.0.bans.at(now)
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
        let owner = self.0.keys.prefix_route(prefix).shard(self.0.doors.len());
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
        let target = route.shard(self.0.doors.len());
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
        self.announce(&ban_changes, now);
        outcome
    }

    /// Has all lanes hear of what this lane's shard decided about bans.
    fn announce(&self, ban_changes: &[BanChange], now: Moment) {
        if !ban_changes.is_empty() {
            self.0.bans.announce(ban_changes, now);
            self.wake_flusher();
        }
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
            self.0.readiness.fail();
        }
        worked.ok()
    }

    /// Sends every outbox once per turn of the lane: the waker puts this task behind those that run now.
    async fn flush_each_turn(self) {
        poll_fn(|context| {
            for target in 0..self.0.doors.len() {
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
        if let Err(refused) = self.0.doors[target].asks.try_send(batch) {
            let mut pending = self.0.pending.borrow_mut();
            for (ticket, _) in refused.into_inner().list {
                pending.settle(ticket, overloaded());
            }
        }
    }
}

impl Lane {
    /// In a frame of its own, so that its caller can wipe it.
    #[inline(never)]
    fn receive(&self, post: Post) {
        match post {
            Post::Visit(visit) => self.admit(visit),
            Post::Bans(news) => self.0.bans.learn(&news, &self.0.keys, self.now().at),
            Post::Answers(answers) => self.settle(answers),
            Post::Word(Word(command)) => {
                let _nobody_waits = self.decide(command);
            }
            Post::Asks(asks) => self.answer(asks),
        }
    }

    /// Decides a batch, and sends its outcomes back as one.
    fn answer(&self, asks: Asks) {
        // A shard that has failed says so to each of them.
        let _failed = self.with_shard(|shard, _| shard.touch(asks.list.iter().map(|(_, command)| command)));
        let answers: Answers =
            asks.list.into_iter().map(|(ticket, command)| (ticket, self.decide(command))).collect();
        // Never full (see the module's doc); an ended lane has nobody left to answer.
        let _ended = self.0.doors[asks.from].answers.try_send(answers);
    }

    fn settle(&self, answers: Answers) {
        let mut pending = self.0.pending.borrow_mut();
        for (ticket, outcome) in answers {
            pending.settle(ticket, outcome);
        }
    }

    /// Tells a lane what it does not know yet about this shard's bans. What its channel does not take
    /// now is told in a later turn.
    fn tell_bans(&self, target: usize) {
        let all = || self.with_shard(|shard, now| shard.bans(now.at)).unwrap_or_default();
        self.0.bans.tell(target, all, |news| match self.0.doors[target].bans.try_send(news) {
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
