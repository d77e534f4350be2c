//! How much of its time a lane had nothing to do.

use std::time::Duration;

use authepy_engine::clock::Moment;

use super::pace::Percent;

/// As it was when it was last asked.
#[derive(Default)]
pub(super) struct Idle {
    at: Moment,
    busy: Duration,
}

impl Idle {
    /// Of the time since it was last asked. A core that others use as well is not idle meanwhile.
    pub(super) fn since(&mut self, now: Moment, busy: Duration) -> Percent {
        let (passed, worked) = (now.since(self.at), busy.saturating_sub(self.busy));
        (self.at, self.busy) = (now, busy);
        let worked = worked.as_micros() * 100 / passed.as_micros().max(1);
        100 - Percent::try_from(worked).unwrap_or(100).min(100)
    }
}
