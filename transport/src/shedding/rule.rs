//! The rule itself: one bound for all, and how it moves. Told the tick, it reads no clock.

use std::net::SocketAddr;

use ahash::{HashMap, RandomState};
use authepy_engine::perimeter::api_key::KeyClass;

use crate::limits::SHED_LOT_TICKS;

/// One datagram, in the units that loads are counted in.
const DATAGRAM: u32 = 256;
/// More than one phone can send in a tick: nobody is above it.
const CALM: u32 = 4_096 * DATAGRAM;
/// Requests that may come in a tick above those that begin: bursts are no overload.
const BURST: u32 = 16;

#[derive(Default)]
pub(super) struct State {
    /// Connections that were answered: some 90 B for each address, 9 MB were all of `connections.max` on one lane.
    pub(super) sources: HashMap<SocketAddr, Source>,
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
}

/// What one tick has brought.
#[derive(Default)]
pub(super) struct Seen {
    /// Requests that came into an anteroom, and that left it to be served.
    pub(super) entered: u32,
    pub(super) begun: u32,
    /// Datagrams of strangers that were heard, and of all others.
    heard: u32,
    pub(super) others: u32,
    /// The most that a stranger's load times his lot was.
    highest: u32,
    /// A socket had more to read for a whole tick.
    pub(super) is_full: bool,
}

/// Who sends from one address and port.
#[derive(Default)]
pub(super) struct Source {
    pub(super) strangers: u32,
    pub(super) backends: u32,
    /// Of the busiest tick of late; fades by a 32nd a tick.
    load: u32,
    /// In `tick`.
    sent: u32,
    tick: u64,
}

impl State {
    pub(super) fn hear(&mut self, address: SocketAddr, datagrams: u32) -> bool {
        let Some(bound) = self.bound else { return true };
        let Some(asked) = self.asked(address, datagrams) else {
            self.seen.others = self.seen.others.saturating_add(datagrams);
            return true;
        };
        self.seen.highest = self.seen.highest.max(asked);
        let is_heard = asked <= bound;
        match is_heard {
            true => self.seen.heard = self.seen.heard.saturating_add(datagrams),
            false => self.shed = self.shed.saturating_add(u64::from(datagrams)),
        }
        is_heard
    }

    pub(super) fn is_heard(&mut self, address: SocketAddr) -> bool {
        let Some(bound) = self.bound else { return true };
        self.asked(address, 0).is_none_or(|asked| asked <= bound)
    }

    /// A stranger's load times his lot, these datagrams included; `None` for whoever is always heard.
    fn asked(&mut self, address: SocketAddr, datagrams: u32) -> Option<u32> {
        let source = self.sources.get_mut(&address).filter(|source| source.backends == 0)?;
        source.fade(self.tick);
        source.sent = source.sent.saturating_add(datagrams.saturating_mul(DATAGRAM));
        source.load = source.load.max(source.sent);
        // In 65,536ths. Everybody's changes at another moment.
        let draw = self.lots.hash_one(address);
        let turn = (self.tick + draw % SHED_LOT_TICKS) / SHED_LOT_TICKS;
        let lot = 1 + (self.lots.hash_one((draw, turn)) >> 48);
        Some(((u64::from(source.load) * lot) >> 16) as u32)
    }

    /// Ends all ticks before this one.
    pub(super) fn advance(&mut self, tick: u64) {
        let passed = tick.saturating_sub(self.tick);
        if passed == 0 {
            return;
        }
        self.tick = tick;
        let seen = std::mem::take(&mut self.seen);
        let is_crowded = seen.entered > seen.begun + seen.begun / 16 + BURST;
        let is_behind = seen.is_full || is_crowded && self.waiting > seen.begun;
        let is_at_ease = !seen.is_full && self.waiting <= seen.begun / 2;
        // Not to hear them must help.
        let are_strangers = seen.heard > 0 && seen.heard >= seen.others;
        self.bound = match self.bound {
            // Counting begins: nobody is above it.
            None => is_behind.then_some(u32::MAX),
            Some(bound) if is_behind && are_strangers => {
                let bound = bound.min(seen.highest);
                // A socket that overflows loses what anybody sends.
                let part = if seen.is_full { 2 } else { 4 };
                Some((bound - bound.div_ceil(part)).max(1))
            }
            Some(bound) if is_behind || is_at_ease => {
                let steps = u32::try_from(passed).unwrap_or(u32::MAX).min(64);
                let grown = (0..steps).fold(bound, |bound, _| bound.saturating_add(bound / 4 + 1));
                (grown < CALM).then_some(grown)
            }
            Some(bound) => Some(bound),
        };
    }
}

impl Source {
    pub(super) fn count(&mut self, class: KeyClass) -> &mut u32 {
        match class {
            KeyClass::Secret => &mut self.backends,
            KeyClass::Restricted => &mut self.strangers,
        }
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
