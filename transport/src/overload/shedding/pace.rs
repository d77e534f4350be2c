//! What a lane can do in a tick, learnt from what it did.

use super::demand::Demand;

/// Requests that may come in a tick above those that begin: bursts are no overload.
const BURST: u32 = 16;
/// More requests than a lane begins in a tick.
const ABLE_MAX: u32 = 1 << 20;

/// Of a tick.
pub(super) type Percent = u32;
/// A lane with so much of a tick to spare can do more. What its runtime takes between two tasks counts as spared.
pub(super) const SPARE: Percent = 20;

/// What one tick has brought.
#[derive(Default)]
pub(super) struct Seen {
    /// Requests that came into an stream_queue, that left it to be served, and that left it as nobody waits for them or
    /// the lane has no time.
    pub(super) entered: u32,
    pub(super) begun: u32,
    pub(super) given_up: u32,
    /// Datagrams of strangers that were heard, that were not, and of all others.
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
    /// More came than it began, and more waits than it can do in a tick and a half; or its socket is full.
    Behind,
    /// Busy, and something waits.
    Between,
    /// Busy, and next to nothing waits: it does what it hears, perhaps for others than strangers.
    Abreast,
    /// It had time to spare.
    AtEase,
}

/// Of one lane.
#[derive(Default)]
pub(super) struct Pace {
    /// Requests that it can begin in a tick, a tick counting a quarter.
    able: u32,
    /// Datagrams heard and requests to be served that they brought, each tick counting three quarters of the next: one
    /// of a phone with many requests waiting brings a dozen, an acknowledgement none.
    heard: u32,
    brought: u32,
}

impl Seen {
    /// Whether it is strangers that the lane is busy with.
    pub(super) fn is_of_strangers(&self) -> bool {
        self.heard > 0 && self.heard >= self.others
    }

    /// To hear less would not empty a socket that is full of what nobody hears.
    pub(super) fn is_overflowing(&self) -> bool {
        self.is_full && self.heard >= self.unheard
    }
}

impl Pace {
    /// How a lane fared that has so many requests waiting now.
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

    /// Whether no more waits than it can begin in a tick.
    pub(super) fn has_time_for(&self, waiting: u32) -> bool {
        waiting <= self.able
    }

    /// From what so many ticks brought.
    pub(super) fn learn(&mut self, seen: &Seen, idle: Percent, ticks: u64) {
        // What it would have done without a pause. One that was nearly all pause says nothing about that.
        if idle <= 90 {
            let able = u64::from(seen.begun) * 100 / (u64::from(100 - idle) * ticks.max(1));
            let able = u32::try_from(able).map_or(ABLE_MAX, |able| able.min(ABLE_MAX));
            self.able = if self.able == 0 { able } else { self.able - self.able / 4 + able / 4 };
        }
        // While calm, nobody counts datagrams.
        if seen.heard > 0 {
            // Those given up may have come earlier.
            let brought = seen.entered - seen.given_up.min(seen.entered / 2);
            self.heard = (self.heard - self.heard / 4).saturating_add(seen.heard);
            self.brought = (self.brought - self.brought / 4).saturating_add(brought);
        }
    }

    /// Datagrams that leave it some time for what waits.
    pub(super) fn room(&self, waiting: u32) -> u32 {
        let requests = self.able - (waiting / 8).clamp(self.able / 8, self.able / 2);
        let heard = u64::from(self.heard.max(1)) * u64::from(requests);
        u32::try_from(heard / u64::from(self.brought.max(1))).unwrap_or(u32::MAX)
    }
}
