//! The rule: one threshold for all clients, and how it moves. It is told the time and reads no
//! clock.

use std::time::Duration;

use ahash::{HashMap, RandomState};
use authepy_engine::clock::Moment;
use authepy_engine::perimeter::api_key::KeyClass;

use super::idle::Idle;
use super::pace::{Fared, Pace, Percent, SPARE, Seen};
use super::sender::Sender;
use crate::limits::{SHED_TICK, SHED_WEIGHT_TICKS};

/// One datagram, in the unit of `load` and of the threshold.
const DATAGRAM: u32 = 256;
/// Growth of the threshold per tick while the lane is busy but keeps up.
const CREEP: Percent = 5;
/// More than one client can send in a tick: no client is above it.
const CALM: u32 = 4_096 * DATAGRAM;

#[derive(Default)]
pub(super) struct State {
    /// Senders whose connections were answered: about 90 B per sender, 9 MB if all of
    /// `connections.max` are on one lane.
    pub(super) sources: HashMap<Sender, Source>,
    pub(super) weights: RandomState,
    /// The threshold for `load` × weight; `None` while calm.
    pub(super) bound: Option<u32>,
    /// The current tick, counted from the start of the process.
    tick: u64,
    pub(super) seen: Seen,
    /// Requests in the lane's stream queues.
    pub(super) waiting: u32,
    /// Datagrams shed since the start.
    pub(super) shed: u64,
    pace: Pace,
    idle: Idle,
}

/// What is known of one address and port: its connections by class, and its rate.
#[derive(Default)]
pub(super) struct Source {
    pub(super) strangers: u32,
    pub(super) backends: u32,
    /// Datagrams of the busiest tick times [`DATAGRAM`]; decays by 1/32 per tick.
    load: u32,
    /// Datagrams in `tick`.
    sent: u32,
    tick: u64,
}

impl State {
    pub(super) fn hear(&mut self, sender: Sender, datagrams: u32) -> bool {
        let Some(bound) = self.bound else { return true };
        let Some((source, weight)) = self.stranger(sender) else {
            self.seen.others = self.seen.others.saturating_add(datagrams);
            return true;
        };
        let (before, sent) = (source.asks(weight), source.sent);
        source.send(datagrams);
        let asks = source.asks(weight);
        // `count` replaces what this sender had sent before in this tick.
        self.seen.demand.take(before, sent);
        self.seen.demand.count(asks, sent.saturating_add(datagrams));
        let is_heard = asks <= bound;
        match is_heard {
            true => self.seen.heard = self.seen.heard.saturating_add(datagrams),
            false => {
                self.seen.unheard = self.seen.unheard.saturating_add(datagrams);
                self.shed = self.shed.saturating_add(u64::from(datagrams));
            }
        }
        is_heard
    }

    pub(super) fn is_heard(&mut self, sender: Sender) -> bool {
        let Some(bound) = self.bound else { return true };
        self.stranger(sender).is_none_or(|(source, weight)| source.asks(weight) <= bound)
    }

    /// Whether the requests that wait fit into one tick.
    pub(super) fn has_time(&self) -> bool {
        self.pace.has_time_for(self.waiting)
    }

    /// A stranger and its weight in 65,536ths, 1 to 65,536; `None` for a sender that is never shed.
    fn stranger(&mut self, sender: Sender) -> Option<(&mut Source, u64)> {
        let source = self.sources.get_mut(&sender).filter(|source| source.backends == 0)?;
        source.fade(self.tick);
        // Each sender's weight changes at a tick of its own.
        let draw = self.weights.hash_one(sender);
        let turn = (self.tick + draw % SHED_WEIGHT_TICKS) / SHED_WEIGHT_TICKS;
        Some((source, 1 + (self.weights.hash_one((draw, turn)) >> 48)))
    }

    /// Ends all ticks before that of `now` and moves the threshold. `busy` is how long the lane's
    /// thread has worked since its start.
    pub(super) fn advance(&mut self, now: Moment, busy: impl FnOnce() -> Duration) {
        let tick = now.as_millis() / SHED_TICK.as_millis() as u64;
        let passed = tick.saturating_sub(self.tick);
        if passed == 0 {
            return;
        }
        self.tick = tick;
        let idle = self.idle.since(now, busy());
        let seen = std::mem::take(&mut self.seen);
        self.pace.learn(&seen, idle, passed);
        let fared = self.pace.fared(&seen, self.waiting, idle);
        self.bound = match (self.bound, fared) {
            // Counting begins; no client is above this threshold.
            (None, _) => (fared == Fared::Behind).then_some(u32::MAX),
            // Shed strangers only if the load comes from them.
            (Some(bound), Fared::Behind) if seen.is_of_strangers() => Some(self.fallen(bound, &seen)),
            (Some(bound), Fared::Between) if seen.is_of_strangers() => Some(bound),
            (Some(bound), _) => {
                let pace = if fared == Fared::Abreast { CREEP } else { idle.max(SPARE) };
                Some(grown(bound, pace, passed)).filter(|grown| *grown < CALM)
            }
        };
    }

    fn fallen(&self, bound: u32, seen: &Seen) -> u32 {
        let room = self.pace.room(self.waiting);
        // A socket that overflows loses datagrams of every client, so at least half of what was
        // read goes.
        let room = if seen.is_overflowing() { room.min(seen.heard / 2) } else { room };
        seen.demand.bound_for(room).map_or(bound, |fitting| bound.min(fitting))
    }
}

/// Weights are uniform, so the lane admits this many per cent more in each tick: as much as it had
/// time to spare.
fn grown(bound: u32, more: Percent, ticks: u64) -> u32 {
    (0..ticks.min(64)).fold(bound, |bound, _| {
        let more = u64::from(bound) * u64::from(more) / 100 + 1;
        u32::try_from(u64::from(bound) + more).unwrap_or(u32::MAX)
    })
}

impl Source {
    pub(super) fn count(&mut self, class: KeyClass) -> &mut u32 {
        match class {
            KeyClass::Secret => &mut self.backends,
            KeyClass::Restricted => &mut self.strangers,
        }
    }

    fn send(&mut self, datagrams: u32) {
        self.sent = self.sent.saturating_add(datagrams);
        self.load = self.load.max(self.sent.saturating_mul(DATAGRAM));
    }

    /// The demand that is compared with the threshold: peak rate × weight.
    fn asks(&self, weight: u64) -> u32 {
        ((u64::from(self.load) * weight) >> 16) as u32
    }

    fn fade(&mut self, tick: u64) {
        let passed = tick.saturating_sub(self.tick);
        if passed > 0 {
            (self.sent, self.tick) = (0, tick);
            // After 255 ticks any load that a socket can hold has decayed to nothing.
            self.load = (0..passed.min(255)).fold(self.load, |load, _| load - load.div_ceil(32));
        }
    }
}
