//! Runs each shard as an actix actor: its thread, its channels, and commands between lanes.
//!
//! ```text
//!   lane 0                                             lane 1
//!   ask(route) ── own shard? ── yes ──▶ call           ShardActor ◀── flume(64 batches) ◀─┐
//!        │ no                                             │ batch in, batch out           │
//!        └─▶ outbox[1] ── end of the turn, one batch ─────┼───────────────────────────────┘
//!   pending[ticket] ◀── flume(answers) ◀──────────────────┘
//! ```
//!
//! actix is used in this module only: in `seat.rs` (threads) and `shard_actor.rs` (the actor). A
//! shard is reached from its own thread only, so a `RefCell` suffices; it is never borrowed across
//! an await. A full channel refuses the whole batch at once; lanes never wait for room. The answer
//! channel can't be full: each batch of answers belongs to a batch of commands, and a lane has at
//! most [`PENDING_ASKS_PER_LANE`](crate::limits::PENDING_ASKS_PER_LANE) commands in flight.
//!
//! State has no lock. The channels between lanes have one: flume takes a mutex for each push or pop
//! of a whole batch, so two lanes contend only while both use the same channel, some dozens of
//! nanoseconds per turn.
//!
//! Ban changes of a shard go to all lanes through a separate channel (`actor/bans.rs`), and
//! operators' bans arrive through another one (`actor/operator.rs`).
//!
//! A panic inside a shard is a bug whose damage is unknown. From then on the shard answers
//! `NotReady` and reports itself through [`Readiness`], which makes the process exit. The same
//! happens if any task ends that a lane can't work without (its reader, its flusher, and tasks of
//! the transport that hold a [`Vital`]): a lane that listens and never answers is worse than one
//! that has stopped. A shard is never rebuilt in place: a new one would have lost its bans and
//! guess counts, which the other lanes rely on, whereas a restarted process visibly starts empty.

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
mod channel;
mod channels;
mod operator;
mod pending;
mod seat;
mod shard_actor;
pub use bans::BansNow;
use bans::LaneBans;
use channels::{AllLanes, Answers, CommandBatch, DeliveryReport, Incoming, LaneReceivers};
pub use channels::{Readiness, Vital};
pub use operator::Operator;
pub use pending::Answer;
use pending::PendingCommands;
pub use seat::{LaneEntropy, LaneThread, Seat, Teller, run, seats};

type ExpiredWatcher = Rc<dyn Fn(&[Expired])>;

/// Gives access to this lane's own shard and to the other lanes. Stays on its thread.
#[derive(Clone)]
pub struct Lane(Rc<Inner>);

struct Inner {
    index: usize,
    /// This lane's shard; reached by direct call from this thread only.
    shard: RefCell<Shard>,
    entropy: RefCell<LaneEntropy>,
    keys: StartKeys,
    clock: Clock,
    senders: Arc<AllLanes>,
    /// Commands that are sent at the end of this turn, per target lane.
    outboxes: RefCell<Vec<Vec<(u32, Command)>>>,
    flusher: Cell<Option<Waker>>,
    pending: Rc<RefCell<PendingCommands>>,
    /// This lane's copy of all bans.
    bans: LaneBans,
    expired: RefCell<Option<ExpiredWatcher>>,
    failed: Cell<bool>,
    readiness: Readiness,
}

impl Lane {
    /// Builds the lane of a seat, and the stream that its actor reads.
    fn seated(seat: Seat) -> (Self, LaneReceivers) {
        let lanes = seat.senders.len();
        let lane = Self(Rc::new(Inner {
            index: seat.index,
            shard: RefCell::new(seat.shard),
            entropy: RefCell::new(seat.entropy),
            keys: seat.keys,
            clock: seat.clock,
            senders: seat.senders,
            outboxes: RefCell::new((0..lanes).map(|_| Vec::new()).collect()),
            flusher: Cell::new(None),
            pending: Rc::default(),
            bans: LaneBans::new(seat.index, lanes),
            expired: RefCell::default(),
            failed: Cell::new(false),
            readiness: seat.readiness,
        }));
        (lane, seat.receivers)
    }

    /// This lane's number.
    pub fn index(&self) -> usize {
        self.0.index
    }

    /// The digest keys drawn at process start.
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

    /// A guard for a task that this lane can't work without.
    pub fn vital(&self) -> Vital {
        self.0.readiness.vital()
    }

    /// Panics inside a shard's turn, for tests; only in builds with debug assertions.
    #[cfg(debug_assertions)]
    pub fn panic_in_shard(&self) {
        #[allow(clippy::panic, reason = "the test asks for a panic")]
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

    /// How many mails of each API key were answered, as far as this lane's shard knows.
    pub fn conversions(&self) -> Vec<Conversion> {
        self.0.shard.borrow().conversions(self.now().at)
    }

    /// Gives this lane's shard new settings.
    pub fn configure(&self, settings: Settings) {
        let configured = self.with_shard(|shard, now| {
            shard.configure(settings);
            (shard.take_ban_changes(), now.at)
        });
        // A failed shard answers `NotReady` under any settings.
        let Some((ban_changes, now)) = configured else { return };
        self.announce(&ban_changes, now);
    }

    /// Whether traffic from `address` is dropped. Called for every datagram: one comparison while
    /// there are no bans, otherwise at most three probes.
    pub fn is_banned(&self, address: IpAddr) -> bool {
        self.banned_until(address).is_some()
    }

    /// As [`Lane::is_banned`], with the end of the ban.
    pub fn banned_until(&self, address: IpAddr) -> Option<Moment> {
        self.0.bans.until(address, || self.now().at)
    }

    /// A view of the bans at `now`, to test many datagrams; `None` while there are no bans. Don't
    /// await or call [`Lane::ask`] while holding it.
    pub fn bans_at(&self, now: Moment) -> Option<BansNow<'_>> {
        self.0.bans.at(now)
    }

    /// What this lane knows about exactly this network, whether its ban is in force or has just
    /// ended.
    pub fn ban_of(&self, prefix: Prefix) -> Option<BanEntry> {
        self.0.bans.entry(prefix)
    }

    /// How many bans of all shards this lane knows. Bans that have ended are counted for up to half
    /// a second.
    pub fn ban_count(&self) -> usize {
        self.0.bans.len()
    }

    /// All bans in force, of all shards, as far as they have reached this lane. For operators.
    pub fn bans(&self) -> Vec<BanEntry> {
        self.0.bans.list(self.now().at)
    }

    /// The ban of exactly this network, if this lane's shard is the one that owns it.
    pub fn own_ban(&self, prefix: &Prefix) -> Option<BanEntry> {
        let owner = self.0.keys.prefix_route(prefix).shard(self.0.senders.len());
        if owner == self.0.index { self.0.bans.entry(*prefix) } else { None }
    }

    /// Registers `watcher`, which is called on this thread with each network whose ban begins, so
    /// that its live connections can be closed. It must not await; it may call any method of this
    /// lane.
    pub fn on_ban(&self, watcher: impl Fn(Prefix) + 'static) {
        self.0.bans.watch(Rc::new(watcher));
    }

    /// Registers `watcher`, which is called on this thread with the verifications of this shard
    /// that have expired, soon after they did. It must not await.
    pub fn on_expired(&self, watcher: impl Fn(&[Expired]) + 'static) {
        self.0.expired.replace(Some(Rc::new(watcher)));
        self.tell_expired();
    }

    fn tell_expired(&self) {
        // Cloned, so that the watcher may call any method of this lane.
        let watcher = self.0.expired.borrow().clone();
        if let Some(watcher) = watcher
            && let Some(ended) = self.with_shard(|shard, _| shard.take_expired())
            && !ended.is_empty()
        {
            watcher(&ended);
        }
    }

    /// Registers `watcher`, which is called on this thread whenever this lane's bans have changed,
    /// in the same turn and after [`Lane::on_ban`]. Its argument is `true` if a network may be
    /// admitted sooner than before (ban lifted, shortened or ended). It must not await; it may call
    /// any method of this lane.
    pub fn on_bans_changed(&self, watcher: impl Fn(bool) + 'static) {
        self.0.bans.watch_changes(Rc::new(watcher));
    }

    /// Sends `command` to the shard at `route`: a direct call if it is this lane's shard, otherwise
    /// part of this turn's batch.
    pub fn ask(&self, route: Route, command: Command) -> Answer {
        let target = route.shard(self.0.senders.len());
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

    /// Publishes the ban changes of this lane's shard to all lanes.
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

    /// Runs `work` on this lane's shard. `None` if the shard panicked, now or before.
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

    /// Sends every outbox once per turn of the lane: waking this task queues it behind the tasks
    /// that are ready now.
    async fn flush_each_turn(self) {
        poll_fn(|context| {
            for target in 0..self.0.senders.len() {
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
        let batch = CommandBatch { from: self.0.index, list };
        if let Err(refused) = self.0.senders[target].asks.try_send(batch) {
            let mut pending = self.0.pending.borrow_mut();
            for (ticket, _) in refused.into_inner().list {
                pending.settle(ticket, overloaded());
            }
        }
    }
}

impl Lane {
    /// In a stack frame of its own, so that the caller can wipe it.
    #[inline(never)]
    fn receive(&self, post: Incoming) {
        match post {
            Incoming::Visit(visit) => self.admit(visit),
            Incoming::Bans(news) => self.0.bans.learn(&news, &self.0.keys, self.now().at),
            Incoming::Answers(answers) => self.settle(answers),
            Incoming::DeliveryReport(DeliveryReport(command)) => {
                let _nobody_waits = self.decide(command);
            }
            Incoming::CommandBatch(asks) => self.answer(asks),
        }
    }

    /// Decides a batch, and sends its outcomes back as one batch.
    fn answer(&self, asks: CommandBatch) {
        // A failed shard answers `NotReady` to each command below.
        let _failed = self.with_shard(|shard, _| shard.touch(asks.list.iter().map(|(_, command)| command)));
        let answers: Answers =
            asks.list.into_iter().map(|(ticket, command)| (ticket, self.decide(command))).collect();
        // Never full (see the module doc); if the lane has ended, nobody awaits the answers.
        let _ended = self.0.senders[asks.from].answers.try_send(answers);
    }

    fn settle(&self, answers: Answers) {
        let mut pending = self.0.pending.borrow_mut();
        for (ticket, outcome) in answers {
            pending.settle(ticket, outcome);
        }
    }

    /// Sends a lane the changes of this shard's bans that it does not have yet. What does not fit
    /// into its channel now is sent in a later turn.
    fn tell_bans(&self, target: usize) {
        let all = || self.with_shard(|shard, now| shard.bans(now.at)).unwrap_or_default();
        self.0.bans.tell(target, all, |news| match self.0.senders[target].bans.try_send(news) {
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
