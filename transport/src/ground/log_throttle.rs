//! A line of the log that others can cause: told once in a while, with how often it happened.

use authepy_engine::clock::Moment;

use crate::limits;

/// How often something happened, and when that was last told.
#[derive(Default)]
pub(crate) struct LogThrottle {
    count: u64,
    told: Option<Moment>,
}

impl LogThrottle {
    /// It happened once more. Returns how often so far if it is time to tell.
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
