//! Exact sliding windows: never more than COUNT events in *any* span of WINDOW.
//!
//! One log of moments serves all limits of a policy. An event is allowed if, for each limit, the
//! COUNT-th latest event is at least WINDOW old. Counters per fixed interval would be smaller and let
//! twice the count through at the seam.

use std::time::Duration;

use crate::clock::Moment;
use crate::limits::NEVER_RETRY_AFTER;

/// At most `count` events in any span of `window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Events allowed; zero denies all.
    pub count: u32,
    /// The span.
    pub window: Duration,
}

/// The events one policy has counted for one key, oldest first. Owned by the record of that key.
#[derive(Clone, Debug, Default)]
pub(super) struct WindowLog {
    events: Vec<Moment>,
}

impl WindowLog {
    /// Whether one more event is allowed at `now`; if not, the earliest wait after which it is.
    pub(super) fn permits(&self, limits: &[Limit], now: Moment) -> Result<(), Duration> {
        let wait = limits.iter().filter_map(|limit| self.wait(limit, now)).max();
        wait.map_or(Ok(()), Err)
    }

    /// Counts an event. Events that no limit can see any more are forgotten in the same step.
    pub(super) fn record(&mut self, limits: &[Limit], now: Moment) {
        let deepest = limits.iter().map(|limit| limit.count as usize).max().unwrap_or(0);
        if deepest == 0 {
            return;
        }
        self.prune(limits, now);
        let surplus = (self.events.len() + 1).saturating_sub(deepest);
        self.events.drain(..surplus);
        if self.events.len() == self.events.capacity() {
            // Doubling would round a log of five up to eight; logs are many and short.
            self.events.reserve_exact(self.events.len().clamp(1, 16));
        }
        self.events.push(now);
    }

    /// Forgets what lies behind the longest window. True if nothing is left.
    pub(super) fn prune(&mut self, limits: &[Limit], now: Moment) -> bool {
        let longest = limits.iter().map(|limit| limit.window).max().unwrap_or_default();
        let dead = self.events.partition_point(|&event| now.since(event) >= longest);
        self.events.drain(..dead);
        self.events.is_empty()
    }

    /// When the latest event will have left the longest window.
    pub(super) fn empty_at(&self, limits: &[Limit]) -> Option<Moment> {
        let longest = limits.iter().map(|limit| limit.window).max()?;
        self.events.last().map(|event| event.after(longest))
    }

    fn wait(&self, limit: &Limit, now: Moment) -> Option<Duration> {
        if limit.count == 0 {
            return Some(NEVER_RETRY_AFTER);
        }
        let nth_latest = self.events.len().checked_sub(limit.count as usize)?;
        let free_at = self.events[nth_latest].after(limit.window);
        (free_at > now).then(|| free_at.since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Seeded;

    fn limit(count: u32, seconds: u64) -> Limit {
        Limit { count, window: Duration::from_secs(seconds) }
    }

    #[test]
    fn no_span_of_the_window_ever_holds_more_than_the_count() {
        for seed in 0..200 {
            let mut random = Seeded::new(seed);
            let limits = [
                limit(1 + random.below(6) as u32, 1 + random.below(20)),
                limit(1 + random.below(12) as u32, 1 + random.below(90)),
            ];
            let (mut log, mut allowed, mut now) = (WindowLog::default(), Vec::new(), 0);
            for _ in 0..500 {
                now += random.below(4_000);
                let at = Moment::from_millis(now);
                match log.permits(&limits, at) {
                    Ok(()) => {
                        log.record(&limits, at);
                        allowed.push(now);
                    }
                    Err(wait) => {
                        // Waiting that long is enough, and a millisecond less is not.
                        let then = at.after(wait);
                        assert!(log.permits(&limits, then).is_ok());
                        assert!(log.permits(&limits, Moment::from_millis(then.as_millis() - 1)).is_err());
                    }
                }
                for limit in &limits {
                    let span = limit.window.as_millis() as u64;
                    let seen = allowed.iter().filter(|&&t| now - t < span).count();
                    assert!(seen <= limit.count as usize, "seed {seed}");
                }
            }
        }
    }

    #[test]
    fn a_limit_of_zero_denies_all_and_no_limit_denies_nothing() {
        let log = WindowLog::default();
        assert_eq!(log.permits(&[limit(0, 60)], Moment::default()), Err(NEVER_RETRY_AFTER));
        assert_eq!(log.permits(&[], Moment::default()), Ok(()));
    }

    #[test]
    fn a_log_never_holds_more_than_the_deepest_count() {
        let limits = [limit(3, 1_000), limit(5, 10_000)];
        let mut log = WindowLog::default();
        for n in 0..100 {
            log.record(&limits, Moment::from_millis(n));
        }
        assert_eq!(log.events.len(), 5);
    }
}
