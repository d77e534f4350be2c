//! Exact sliding windows: never more than COUNT events in *any* span of WINDOW.
//!
//! One log of timestamps serves all limits of a policy. An event is allowed if, for each limit, the
//! COUNT-th latest event is at least WINDOW old. Counters per fixed interval would be smaller but
//! let up to twice the count through at an interval boundary. A policy that refuses an event does
//! not count it.

use super::limit::{Limits, Window};
use super::log::Log;
use crate::clock::{Moment, Span};
use crate::request::{Quota, Quotas};

/// The events one policy has counted for one key. Owned by the record of that key.
#[derive(Clone, Debug, Default)]
pub(crate) struct WindowLog(Log<Moment>);

impl WindowLog {
    /// Whether one more event is allowed at `now`; if not, the shortest sufficient wait.
    pub(crate) fn permits(&self, limits: Limits<'_>, now: Moment) -> Result<(), Span> {
        let wait = limits.iter().filter_map(|limit| self.wait(&limit, now)).max();
        wait.map_or(Ok(()), Err)
    }

    pub(crate) fn wait(&self, window: &Window, now: Moment) -> Option<Span> {
        window.wait(&self.0, now)
    }

    /// Counts an event, and drops events that no limit counts any more.
    pub(crate) fn record(&mut self, limits: Limits<'_>, now: Moment) {
        let deepest = limits.deepest();
        if deepest == 0 {
            return;
        }
        self.prune(limits, now);
        self.0.drop_oldest((self.0.len() + 1).saturating_sub(deepest));
        self.0.push(now);
    }

    /// Like [`WindowLog::record`], without allocating: if needed, drops the oldest event.
    pub(crate) fn record_in_place(&mut self, limits: Limits<'_>, now: Moment) {
        let deepest = limits.deepest();
        if deepest > 0 {
            self.prune(limits, now);
            self.0.drop_oldest((self.0.len() + 1).saturating_sub(deepest));
            self.0.push_in_place(now);
        }
    }

    /// The events, the latest first.
    pub(crate) fn iter_back(&self) -> impl Iterator<Item = Moment> {
        self.0.iter_back().copied()
    }

    /// Takes back the newest event that was counted at `at` or before.
    pub(crate) fn take_back(&mut self, at: Moment) {
        self.0.remove_latest(|event| *event <= at);
    }

    /// Drops what is outside the longest window. True if nothing is left.
    pub(crate) fn prune(&mut self, limits: Limits<'_>, now: Moment) -> bool {
        if !self.0.is_empty() {
            self.0.drop_before(limits.longest(), now);
        }
        self.0.is_empty()
    }

    /// Prefetches the log; see [`crate::shard::touch`].
    pub(crate) fn touch(&self) -> u64 {
        self.0.touch()
    }

    /// Whether nothing is remembered.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// When the latest event will have left the longest window.
    pub(crate) fn empty_at(&self, limits: Limits<'_>) -> Option<Moment> {
        self.0.latest().map(|event| event.plus(limits.longest()))
    }

    /// How many events lie in the window that ends now.
    pub(crate) fn count(&self, window: &Window, now: Moment) -> u32 {
        u32::try_from(self.0.count_within(window.span, now)).unwrap_or(u32::MAX)
    }

    /// What each limit has left.
    pub(crate) fn quotas(&self, limits: Limits<'_>, now: Moment) -> Quotas {
        let quota = |window: Window| {
            let used = self.count(&window, now);
            let oldest = self.0.len().checked_sub(used.max(1) as usize).and_then(|nth| self.0.get(nth));
            let reset = || oldest.and_then(|oldest| window.wait_after(*oldest, now));
            let reset = self.wait(&window, now).or_else(reset).unwrap_or_default();
            Quota {
                count: window.count,
                window_seconds: window.seconds,
                remaining: window.count.saturating_sub(used),
                reset_seconds: reset.whole_seconds(),
            }
        };
        limits.iter().map(quota).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::limits::Limit;
    use crate::rules::limit::{NEVER, Windows};
    use crate::testing::Seeded;

    fn limit(count: u32, seconds: u64) -> Limit {
        Limit { count, window: Duration::from_secs(seconds) }
    }

    #[test]
    fn no_span_of_the_window_ever_holds_more_than_the_count() {
        for seed in 0..200 {
            let mut random = Seeded::new(seed);
            let list = vec![
                limit(1 + random.below(6) as u32, 1 + random.below(20)),
                limit(1 + random.below(12) as u32, 1 + random.below(90)),
            ];
            let windows = Windows::from(&list[..]);
            let limits = windows.limits();
            let (mut log, mut allowed, mut now) = (WindowLog::default(), Vec::new(), 0);
            for _ in 0..500 {
                now += random.below(4_000);
                let at = Moment::from_millis(now);
                match log.permits(limits, at) {
                    Ok(()) => {
                        log.record(limits, at);
                        allowed.push(now);
                    }
                    Err(wait) => {
                        // Waiting that long is enough, and a millisecond less is not.
                        let then = at.plus(wait);
                        assert!(log.permits(limits, then).is_ok());
                        assert!(log.permits(limits, Moment::from_millis(then.as_millis() - 1)).is_err());
                    }
                }
                for limit in &list {
                    let span = limit.window.as_millis() as u64;
                    let seen = allowed.iter().filter(|&&t| now - t < span).count();
                    assert!(seen <= limit.count as usize, "seed {seed}");
                }
            }
        }
    }

    #[test]
    fn a_quota_says_what_is_left_and_when_more_will_be() {
        let list = [limit(2, 10), limit(3, 60)];
        let windows = Windows::from(&list[..]);
        let limits = windows.limits();
        let mut log = WindowLog::default();
        let left = |log: &WindowLog, second: u64| {
            let quotas = log.quotas(limits, Moment::from_millis(second * 1_000));
            quotas.as_slice().iter().map(|q| (q.remaining, q.reset_seconds)).collect::<Vec<_>>()
        };
        assert_eq!(left(&log, 0), [(2, 0), (3, 0)]);
        log.record(limits, Moment::from_millis(0));
        log.record(limits, Moment::from_millis(4_500));
        assert_eq!(left(&log, 5), [(0, 5), (1, 55)]);
        assert_eq!(left(&log, 10), [(1, 5), (1, 50)]);
        assert_eq!(left(&log, 70), [(2, 0), (3, 0)]);
    }

    #[test]
    fn a_limit_of_zero_denies_all_and_no_limit_denies_nothing() {
        let (zero, none) = (Windows::from(&[limit(0, 60)][..]), Windows::default());
        let log = WindowLog::default();
        assert_eq!(log.permits(zero.limits(), Moment::default()), Err(NEVER));
        assert_eq!(log.permits(none.limits(), Moment::default()), Ok(()));
    }

    #[test]
    fn counts_at_the_edge_of_numbers_saturate() {
        let list = [Limit { count: u32::MAX, window: Duration::MAX }];
        let windows = Windows::from(&list[..]);
        let limits = windows.limits().times(16).times(u32::MAX);
        let mut log = WindowLog::default();
        log.record(limits, Moment::from_millis(u64::MAX));
        assert_eq!(log.permits(limits, Moment::from_millis(u64::MAX)), Ok(()));
        assert_eq!(log.quotas(limits, Moment::default()).as_slice()[0].remaining, u32::MAX - 1);
    }

    #[test]
    fn a_log_never_holds_more_than_the_deepest_count() {
        let windows = Windows::from(&[limit(3, 1_000), limit(5, 10_000)][..]);
        let mut log = WindowLog::default();
        for n in 0..100 {
            log.record(windows.limits(), Moment::from_millis(n));
        }
        assert_eq!(log.len(), 5);
    }

    #[test]
    fn what_is_behind_the_longest_window_is_forgotten_with_its_memory() {
        let windows = Windows::from(&[limit(9, 1), limit(9, 60)][..]);
        let mut log = WindowLog::default();
        for n in 0..9 {
            log.record(windows.limits(), Moment::from_millis(n));
        }
        let full = log.heap_bytes();
        assert!(full >= 9 * size_of::<Moment>());
        assert!(!log.prune(windows.limits(), Moment::from_millis(60_007)));
        assert_eq!(log.len(), 1);
        assert!(log.prune(windows.limits(), Moment::from_millis(60_008)));
        assert!(log.heap_bytes() < full);
    }

    #[test]
    fn a_log_that_may_not_grow_forgets_its_oldest_events() {
        let windows = Windows::from(&[limit(9, 60)][..]);
        let mut log = WindowLog::default();
        for n in 0..3 {
            log.record_in_place(windows.limits(), Moment::from_millis(n));
        }
        assert_eq!(
            (log.len(), log.heap_bytes(), log.iter_back().next()),
            (1, 0, Some(Moment::from_millis(2)))
        );
        for n in 3..6 {
            log.record(windows.limits(), Moment::from_millis(n));
        }
        let full = log.heap_bytes();
        for n in 6..100 {
            log.record_in_place(windows.limits(), Moment::from_millis(n));
            assert!(log.heap_bytes() == full && log.len() >= 4 && log.len() <= 9);
        }
        assert_eq!(log.iter_back().next(), Some(Moment::from_millis(99)));
    }

    #[test]
    fn what_is_taken_back_was_never_counted() {
        let windows = Windows::from(&[limit(1, 60)][..]);
        let mut log = WindowLog::default();
        log.record(windows.limits(), Moment::from_millis(7));
        log.take_back(Moment::from_millis(6));
        assert!(log.permits(windows.limits(), Moment::from_millis(9)).is_err());
        log.take_back(Moment::from_millis(8));
        assert!(log.permits(windows.limits(), Moment::from_millis(9)).is_ok());
    }
}
