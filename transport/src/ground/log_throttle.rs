//! Throttles a log line that remote parties can cause: written at most once per interval, with a
//! count.

use authepy_engine::clock::Moment;

use crate::limits;

/// Count of an event, and when it was last logged.
#[derive(Default)]
pub(crate) struct LogThrottle {
    count: u64,
    told: Option<Moment>,
}

impl LogThrottle {
    /// Counts the event. Returns the count so far if it is time to log it.
    pub(crate) fn tell(&mut self, now: Moment) -> Option<u64> {
        self.count += 1;
        if self.told.is_some_and(|told| now.since(told) < limits::TOLD_EVERY) {
            return None;
        }
        self.told = Some(now);
        Some(self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_faults_is_one_line_a_minute() {
        let mut told = LogThrottle::default();
        let lines = (0..130_000).filter_map(|ms| told.tell(Moment::from_millis(ms)));
        assert_eq!(lines.collect::<Vec<_>>(), [1, 60_001, 120_001]);
    }
}
