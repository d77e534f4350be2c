//! A lane's capacity per tick, learnt from what it did.

use super::demand::Demand;

/// Requests that may arrive in a tick in excess of those begun: a burst is no overload.
const BURST: u32 = 16;
/// More requests than a lane begins in a tick.
const ABLE_MAX: u32 = 1 << 20;

/// A share of a tick.
pub(super) type Percent = u32;
/// A lane that is idle for at least this share of a tick can take more. The runtime's work between
/// two tasks counts as idle.
pub(super) const SPARE: Percent = 20;

/// What happened in one tick.
#[derive(Default)]
pub(super) struct Seen {
    /// Requests that entered a stream queue, that left it to be served, and that left it because
    /// they were cancelled or the lane has no time.
    pub(super) entered: u32,
    pub(super) begun: u32,
    pub(super) given_up: u32,
    /// Datagrams of strangers that were read, that were shed, and datagrams of all others.
    pub(super) heard: u32,
    pub(super) unheard: u32,
    pub(super) others: u32,
    pub(super) demand: Demand,
    /// A socket had more to read for a whole tick.
    pub(super) is_full: bool,
}

/// How a lane fared in a tick.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fared {
    /// More requests arrived than it began, and more wait than it can do in a tick and a half; or
    /// its socket is full.
    Behind,
    /// Busy, and requests wait.
    Between,
    /// Busy, and almost nothing waits: it keeps up with what it reads, perhaps working for others
    /// than strangers.
    Abreast,
    /// It was idle for at least [`SPARE`].
    AtEase,
}

/// The capacity of one lane.
#[derive(Default)]
pub(super) struct Pace {
    /// Exponential moving average (α = ¼) of the requests it can begin per tick.
    able: u32,
    /// Datagrams read, and requests to be served that they brought: sums that decay by ¼ per tick.
    /// A datagram of a phone with many waiting requests brings a dozen, an acknowledgement none.
    heard: u32,
    brought: u32,
}

impl Seen {
    /// Whether strangers are what the lane is busy with.
    pub(super) fn is_of_strangers(&self) -> bool {
        self.heard > 0 && self.heard >= self.others
    }

    /// Whether reading less would empty a full socket. It would not if most of what fills it is
    /// shed already.
    pub(super) fn is_overflowing(&self) -> bool {
        self.is_full && self.heard >= self.unheard
    }
}

impl Pace {
    /// How the lane fared in the tick, with this many requests waiting now.
    pub(super) fn fared(&self, seen: &Seen, waiting: u32, idle: Percent) -> Fared {
        let is_crowded = seen.entered > seen.begun + seen.begun / 16 + BURST;
        let much = seen.begun.max(self.able + self.able / 2);
        match idle {
            _ if seen.is_overflowing() => Fared::Behind,
            SPARE.. if waiting <= self.able => Fared::AtEase,
            ..SPARE if is_crowded && waiting > much => Fared::Behind,
            _ if waiting <= seen.begun / 2 => Fared::Abreast,
            _ => Fared::Between,
        }
    }

    /// Whether this many waiting requests fit into one tick.
    pub(super) fn has_time_for(&self, waiting: u32) -> bool {
        waiting <= self.able
    }

    /// Updates the averages with what this many ticks brought.
    pub(super) fn learn(&mut self, seen: &Seen, idle: Percent, ticks: u64) {
        // Requests begun, extrapolated to a tick without idle time. A tick that was nearly all idle
        // tells nothing about that.
        if idle <= 90 {
            let able = u64::from(seen.begun) * 100 / (u64::from(100 - idle) * ticks.max(1));
            let able = u32::try_from(able).map_or(ABLE_MAX, |able| able.min(ABLE_MAX));
            self.able = if self.able == 0 { able } else { self.able - self.able / 4 + able / 4 };
        }
        // Datagrams are not counted while calm.
        if seen.heard > 0 {
            // Requests that were given up may have entered in an earlier tick.
            let brought = seen.entered - seen.given_up.min(seen.entered / 2);
            self.heard = (self.heard - self.heard / 4).saturating_add(seen.heard);
            self.brought = (self.brought - self.brought / 4).saturating_add(brought);
        }
    }

    /// Datagrams to admit per tick so that time remains for the requests that wait: (capacity −
    /// reserve) × datagrams per request, where the reserve is ⅛ of the waiting requests, at least ⅛
    /// and at most ½ of the capacity.
    pub(super) fn room(&self, waiting: u32) -> u32 {
        let requests = self.able - (waiting / 8).clamp(self.able / 8, self.able / 2);
        let heard = u64::from(self.heard.max(1)) * u64::from(requests);
        u32::try_from(heard / u64::from(self.brought.max(1))).unwrap_or(u32::MAX)
    }
}
