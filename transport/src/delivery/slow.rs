//! Detects slow providers, so that the next mail goes to the next provider instead.
//!
//! A breaker opens for a provider that fails. A provider that takes 15 s for every mail never
//! fails, but would occupy all sends while the next provider is idle.

use std::collections::VecDeque;
use std::time::Duration;

use authepy_engine::clock::Moment;

/// A send older than this is slow: relays that delay the greeting of a new client do so within it.
pub(super) const SLOW_AFTER: Duration = Duration::from_secs(5);
/// A provider is slow if 1/4 of all allowed sends are slow ones there.
const SLOW_PART: usize = 4;

/// Start times of the sends in progress at one provider, oldest first. Bounded by the sends in
/// progress. Owned by the courier.
#[derive(Default)]
pub(super) struct Flights(VecDeque<Moment>);

impl Flights {
    pub(super) fn begin(&mut self, now: Moment) {
        self.0.push_back(now);
    }

    pub(super) fn end(&mut self, began: Moment) {
        if let Some(at) = self.0.iter().position(|moment| *moment == began) {
            self.0.remove(at);
        }
    }

    /// Whether the provider is slow; `most` is the number of sends allowed at a time.
    pub(super) fn are_slow(&self, most: usize, now: Moment) -> bool {
        let slow = (most / SLOW_PART).max(1);
        self.0.get(slow - 1).is_some_and(|began| now.since(*began) >= SLOW_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_all_sends_for_five_seconds_is_slow() {
        let at = Moment::from_millis;
        let mut flights = Flights::default();
        (0..11).for_each(|n| flights.begin(at(n)));
        assert!(!flights.are_slow(48, at(60_000)), "a few are no sign");
        flights.begin(at(100));
        assert!(!flights.are_slow(48, at(5_099)) && flights.are_slow(48, at(5_100)));
        flights.end(at(3));
        assert!(!flights.are_slow(48, at(60_000)), "one ended");
        (0..12).for_each(|n| flights.end(at(n)));
        flights.end(at(100));
        assert!(flights.0.is_empty());
    }
}
