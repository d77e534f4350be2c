//! Estimates when a full queue will have a free place.
//!
//! A place becomes free when a mail has left. The estimate is
//!
//! ```text
//!   max(longest pause between departures in the last minute, time since the last departure)
//!     × projects with waiting mails
//! ```
//!
//! because projects take turns. So callers of a working relay are told to come back soon; while a
//! relay is stuck, the delay grows with the time since the last departure. Before the first mail
//! has left there is nothing to measure, and the estimate is at least [`DELIVERY_RETRY_AFTER`].

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use authepy_engine::clock::Moment;
use authepy_engine::limits::{CODE_LIFETIME_MAX, DELIVERY_RETRY_AFTER};

/// How long the longest pause counts.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Smallest estimate: the unit of `Retry-After`.
const LEAST: Duration = Duration::from_secs(1);

/// See the module documentation. Lanes read it, the delivery thread writes it; values are
/// milliseconds of [`Moment`].
#[derive(Default)]
pub(super) struct Pace {
    /// When the last mail left, or when the first mail arrived in an empty queue.
    last: AtomicU64,
    /// Whether a mail has left since then.
    moves: AtomicBool,
    longest: AtomicU64,
    longest_at: AtomicU64,
}

impl Pace {
    /// Starts measuring: a mail arrived in an empty queue.
    pub(super) fn begin(&self, now: Moment) {
        self.last.store(now.as_millis(), Ordering::Relaxed);
        self.moves.store(false, Ordering::Relaxed);
    }

    /// Records a departure. Only the delivery thread calls this.
    pub(super) fn left(&self, now: Moment) {
        let pause = now.since(self.moment(&self.last));
        self.last.store(now.as_millis(), Ordering::Relaxed);
        self.moves.store(true, Ordering::Relaxed);
        let is_old = now.since(self.moment(&self.longest_at)) >= REMEMBERED;
        if is_old || pause >= self.longest() {
            self.longest.store(pause.as_millis() as u64, Ordering::Relaxed);
            self.longest_at.store(now.as_millis(), Ordering::Relaxed);
        }
    }

    /// Estimated wait for a place while mails of `projects` projects wait.
    pub(super) fn wait(&self, now: Moment, projects: usize) -> Duration {
        let pause = self.longest().max(now.since(self.moment(&self.last)));
        let turns = u32::try_from(projects).unwrap_or(u32::MAX).max(1);
        let least = if self.moves.load(Ordering::Relaxed) { LEAST } else { DELIVERY_RETRY_AFTER };
        pause.saturating_mul(turns).clamp(least, CODE_LIFETIME_MAX)
    }

    fn longest(&self) -> Duration {
        Duration::from_millis(self.longest.load(Ordering::Relaxed))
    }

    fn moment(&self, cell: &AtomicU64) -> Moment {
        Moment::from_millis(cell.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(seconds * 1_000)
    }

    #[test]
    fn a_relay_that_moves_brings_callers_back_soon() {
        let pace = Pace::default();
        pace.begin(at(1_000));
        for second in 1_001..1_010 {
            pace.left(at(second));
        }
        assert_eq!(pace.wait(at(1_009), 1), Duration::from_secs(1));
        assert_eq!(pace.wait(at(1_009), 3), Duration::from_secs(3), "three projects take turns");
        pace.left(at(1_016));
        pace.left(at(1_016));
        assert_eq!(pace.wait(at(1_016), 1), Duration::from_secs(7), "it pauses, it seems");
        for second in 1_017..1_080 {
            pace.left(at(second));
        }
        assert_eq!(pace.wait(at(1_080), 1), Duration::from_secs(1), "not any more");
    }

    #[test]
    fn one_that_stands_still_keeps_them_away_for_longer_and_longer() {
        let pace = Pace::default();
        pace.begin(at(5_000)); // idle hours before it don't count
        let waits = [1, 10, 40, 2_000].map(|passed| pace.wait(at(5_000 + passed), 1).as_secs());
        assert_eq!(waits, [5, 10, 40, 600]);
    }
}
