//! The rule itself: one bound for all, and how it moves. Told the tick, it reads no clock.

use std::time::Duration;

use ahash::{HashMap, RandomState};
use authepy_engine::clock::Moment;
use authepy_engine::perimeter::api_key::KeyClass;

use super::idle::Idle;
use super::pace::{Fared, Pace, Percent, SPARE, Seen};
use super::sender::Sender;
use crate::limits::{SHED_LOT_TICKS, SHED_TICK};

/// One datagram, in the units that loads are counted in.
const DATAGRAM: u32 = 256;
/// What a lane that is busy hears more in the next tick, if it has done all that it heard.
const CREEP: Percent = 5;
/// More than one phone can send in a tick: nobody is above it.
const CALM: u32 = 4_096 * DATAGRAM;

#[derive(Default)]
pub(super) struct State {
    /// Connections that were answered: some 90 B for each address, 9 MB were all of `connections.max` on one lane.
    pub(super) sources: HashMap<Sender, Source>,
    pub(super) lots: RandomState,
    /// The most that a phone's load times its lot may be; `None`: calm.
    pub(super) bound: Option<u32>,
    /// The tick under way, counted from the process's start.
    tick: u64,
    pub(super) seen: Seen,
    /// Requests in the lane's anterooms.
    pub(super) waiting: u32,
    /// Datagrams that were not heard, since the start.
    pub(super) shed: u64,
    pace: Pace,
    idle: Idle,
}

/// Who sends from one address and port.
#[derive(Default)]
pub(super) struct Source {
    pub(super) strangers: u32,
    pub(super) backends: u32,
    /// Of the busiest tick of late; fades by a 32nd a tick.
    load: u32,
    /// Datagrams in `tick`.
    sent: u32,
    tick: u64,
}

impl State {
    pub(super) fn hear(&mut self, sender: Sender, datagrams: u32) -> bool {
        let Some(bound) = self.bound else { return true };
        let Some((source, lot)) = self.stranger(sender) else {
            self.seen.others = self.seen.others.saturating_add(datagrams);
            return true;
        };
        let (before, sent) = (source.asks(lot), source.sent);
        source.send(datagrams);
        let asks = source.asks(lot);
        // What it sent before in this tick is a part of what it asks for now.
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
        self.stranger(sender).is_none_or(|(source, lot)| source.asks(lot) <= bound)
    }

    /// Whether no more waits than the lane can begin in a tick.
    pub(super) fn has_time(&self) -> bool {
        self.pace.has_time_for(self.waiting)
    }

    /// A stranger and his lot, in 65,536ths; `None` for whoever is always heard.
    fn stranger(&mut self, sender: Sender) -> Option<(&mut Source, u64)> {
        let source = self.sources.get_mut(&sender).filter(|source| source.backends == 0)?;
        source.fade(self.tick);
        // Everybody's changes at another moment.
        let draw = self.lots.hash_one(sender);
        let turn = (self.tick + draw % SHED_LOT_TICKS) / SHED_LOT_TICKS;
        Some((source, 1 + (self.lots.hash_one((draw, turn)) >> 48)))
    }

    /// Ends all ticks before that of `now`. `busy` is how long the lane's thread has worked since its start.
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
            // Counting begins: nobody is above it.
            (None, _) => (fared == Fared::Behind).then_some(u32::MAX),
            // Not to hear them must help.
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
        // A socket that overflows loses what anybody sends.
        let room = if seen.is_overflowing() { room.min(seen.heard / 2) } else { room };
        seen.demand.bound_for(room).map_or(bound, |fitting| bound.min(fitting))
    }
}

/// The lots being even, the lane hears so much more, each tick: as much as it had time to spare.
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

    /// What the bound is for.
    fn asks(&self, lot: u64) -> u32 {
        ((u64::from(self.load) * lot) >> 16) as u32
    }

    fn fade(&mut self, tick: u64) {
        let passed = tick.saturating_sub(self.tick);
        if passed > 0 {
            (self.sent, self.tick) = (0, tick);
            // After 255 ticks nothing that a socket can have held is left.
            self.load = (0..passed.min(255)).fold(self.load, |load, _| load - load.div_ceil(32));
        }
    }
}
