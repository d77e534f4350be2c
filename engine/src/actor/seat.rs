//! What a lane consists of before it runs: its shard, its channels, its thread.

use std::sync::Arc;

use actix::{Actor, Arbiter, AsyncContext};

use super::Lane;
use super::channels::{AllLanes, DeliveryReport, LaneReceivers, Readiness, channels};
use super::operator::Operator;
use super::shard_actor::ShardActor;
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::request::Command;
use crate::route::{Route, StartKeys};
use crate::settings::Settings;
use crate::shard::Shard;

/// A lane's source of randomness.
pub type LaneEntropy = Box<dyn Entropy + Send>;

/// Everything a lane needs to start; built on one thread, moved to another.
pub struct Seat {
    pub(super) index: usize,
    pub(super) shard: Shard,
    pub(super) keys: StartKeys,
    pub(super) entropy: LaneEntropy,
    pub(super) clock: Clock,
    pub(super) receivers: LaneReceivers,
    pub(super) senders: Arc<AllLanes>,
    pub(super) readiness: Readiness,
}

/// Sends commands to shards from outside the lanes (the delivery runtime). May wait; lanes never
/// do.
#[derive(Clone)]
pub struct Teller(Arc<AllLanes>);

impl Teller {
    /// Sends a command whose outcome nobody awaits. Waits for room.
    pub async fn tell(&self, route: Route, command: Command) {
        let sender = &self.0[route.shard(self.0.len())].reports;
        // An error means that the lane has ended, and its codes with it.
        let _ended = sender.send(DeliveryReport(command)).await;
    }

    /// The operator's access to the shards. `keys` are those the seats were made with.
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
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..lanes).map(|_| channels()).unzip();
    let senders: Arc<AllLanes> = senders.into();
    let readiness = Readiness::ready();
    let seats = receivers.into_iter().enumerate().map(|(index, receivers)| Seat {
        index,
        shard: Shard::new(keys.clone(), settings.clone()),
        keys: keys.clone(),
        entropy: entropy(),
        clock,
        receivers,
        senders: senders.clone(),
        readiness: readiness.clone(),
    });
    (seats.collect(), Teller(senders.clone()), readiness)
}

/// Runs `main` on this thread as the actix system that the lanes belong to.
pub fn run<T>(main: impl Future<Output = T>) -> T {
    actix::System::new().block_on(main)
}

/// A running lane's thread.
pub struct LaneThread(Arbiter);

impl LaneThread {
    /// Ends the lane and drops everything it still holds.
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
            let (lane, receivers) = Lane::seated(self);
            ShardActor::create(|context| {
                context.add_stream(receivers);
                ShardActor { lane: lane.clone(), _vital: lane.vital() }
            });
            actix::spawn(lane.vital().run(lane.clone().flush_each_turn()));
            actix::spawn(body(lane));
        });
        LaneThread(arbiter)
    }
}
