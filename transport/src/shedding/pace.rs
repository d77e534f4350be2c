//! What a lane can do in a tick, learnt from what it did.

use super::demand::Demand;

/// Requests that may come in a tick above those that begin: bursts are no overload.
const BURST: u32 = 16;
/// More requests than a lane begins in a tick.
const ABLE_MAX: u32 = 1 << 20;

/// What one tick has brought.
#[derive(Default)]
pub(super) struct Seen {
    /// Requests that came into an anteroom, that left it to be served, and that left it as nobody waits for them or
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
    /// More came than it began, and more waits; or its socket is full.
    Behind,
    Between,
    /// Next to nothing waits.
    AtEase,
}

/// Of one lane.
#[derive(Default)]
pub(super) struct Pace {
    /// Requests that it can begin in a tick, as far as it has been seen.
    able: u32,
    /// Datagrams heard and requests to be served that they brought, each tick counting three quarters of the next: one of a
    /// phone with many requests waiting brings a dozen, an acknowledgement none.
    heard: u32,
    brought: u32,
}

impl Seen {
    /// With so many requests waiting now.
    pub(super) fn fared(&self, waiting: u32) -> Fared {
        let is_crowded = self.entered > self.begun + self.begun / 16 + BURST;
        match waiting {
            _ if self.is_overflowing() => Fared::Behind,
            _ if is_crowded && waiting > self.begun => Fared::Behind,
            _ if waiting <= self.begun / 2 => Fared::AtEase,
            _ => Fared::Between,
        }
    }

    /// To hear less would not empty a socket that is full of what nobody hears.
    pub(super) fn is_overflowing(&self) -> bool {
        self.is_full && self.heard >= self.unheard
    }

    /// Whether it is strangers that the lane is busy with.
    pub(super) fn is_of_strangers(&self) -> bool {
        self.heard > 0 && self.heard >= self.others
    }
}

impl Pace {
    pub(super) fn able(&self) -> u32 {
        self.able
    }

    /// One bad tick says little: a core that is taken away for a moment looks like one that is slow.
    pub(super) fn learn(&mut self, seen: &Seen, waiting: u32) {
        let quarter = self.able / 4;
        self.able = match waiting > seen.begun / 2 {
            true => seen.begun.max(self.able - quarter),
            // It had nothing more to do. If it had as much as ever, it may be able to do more.
            false if seen.begun > self.able - quarter => seen.begun.max(self.able + quarter),
            false => self.able,
        };
        self.able = self.able.clamp(1, ABLE_MAX);
        self.heard = (self.heard - self.heard / 4).saturating_add(seen.heard);
        let brought = seen.entered.saturating_sub(seen.given_up);
        self.brought = (self.brought - self.brought / 4).saturating_add(brought);
    }

    /// Datagrams that bring a little more than it can do.
    pub(super) fn room_at_ease(&self) -> u32 {
        self.datagrams(self.able + self.able / 4)
    }

    /// Datagrams that leave it some time for what waits.
    pub(super) fn room_behind(&self, waiting: u32) -> u32 {
        self.datagrams(self.able - (waiting / 8).clamp(self.able / 8, self.able / 2))
    }

    fn datagrams(&self, requests: u32) -> u32 {
        let heard = u64::from(self.heard.max(1)) * u64::from(requests);
        u32::try_from(heard / u64::from(self.brought.max(1))).unwrap_or(u32::MAX)
    }

    /// Whether it did less than half of what it can.
    pub(super) fn was_idle(&self, seen: &Seen) -> bool {
        seen.begun < self.able / 2
    }
}
