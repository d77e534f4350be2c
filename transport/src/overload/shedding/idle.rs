//! The share of time in which a lane was idle.

use std::time::Duration;

use authepy_engine::clock::Moment;

use super::pace::Percent;

/// The values at the previous measurement.
#[derive(Default)]
pub(super) struct Idle {
    at: Moment,
    busy: Duration,
}

impl Idle {
    /// The idle share of the time since the previous call. Time in which other processes use the
    /// core does not count as idle.
    pub(super) fn since(&mut self, now: Moment, busy: Duration) -> Percent {
        let (passed, worked) = (now.since(self.at), busy.saturating_sub(self.busy));
        (self.at, self.busy) = (now, busy);
        let worked = worked.as_micros() * 100 / passed.as_micros().max(1);
        100 - Percent::try_from(worked).unwrap_or(100).min(100)
    }
}
