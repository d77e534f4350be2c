//! The guess ledger: what an inbox remembers of wrong codes, and what it does about them.
//!
//! ```text
//!   wrong code ──▶ counted once for each live code it was compared with, for 24 h
//!                        │
//!   counted ≥ 20 (`limits.recipient.guess`) ──▶ new codes have at least  8 digits
//!   counted ≥ 40                            ──▶ new codes have at least 10 digits
//!
//!   counted ≥ 5 and counted + open ≥ 20 + 5 ──▶ this code has at least   8 digits
//!             └ a verification's tries   └ comparisons that live codes below 8 digits may still see
//! ```
//!
//! Nobody is locked out: the owner types two or four digits more. The count goes over all verifications,
//! keys, peers and resends of the inbox and survives their end.
//!
//! The last line looks ahead. Somebody who is one guess short of the budget could otherwise have three or five
//! more codes mailed before he uses any, and meet the budget with all of them in hand. An inbox of fewer than
//! 5 wrong codes never feels it, nor one whose owner asks for one code after the other; as long as codes are
//! tried as they come, the budget is met first.
//!
//! # The chance of a guess
//!
//! A code of n digits is hit by one comparison with chance 10⁻ⁿ, and meets at most *attempts* = 5 of
//! them, as a verification's tries are shared by all its codes. So what counts is how many comparisons
//! codes of six digits can see, from however many peers and keys.
//!
//! In any 24 hours, let *s* be the moment the last six-digit code is drawn. Before *s* the 24 hours hold at
//! most what the ledger holds at *s*; after it, six-digit codes are compared only while those live that were
//! drawn by then: what was open at *s*, and 5 for the new one. Either the ledger holds 5 or more; then
//! ledger and open are 24 at most, or the code would have had eight digits. Or it holds at most 4; then open
//! are at most 20, as a life is 10 minutes at most and `limits.recipient.issue` = 5/10m allows no more than
//! 4 codes beside the new one in that time. Either way:
//!
//! | | six digits | eight digits | chance |
//! |---|---|---|---|
//! | many peers, any 24 h (10 mails, and 5 from just before) | 24 + 5 | 15 codes × 5 | 29·10⁻⁶ + 75·10⁻⁸ < **3·10⁻⁵** |
//! | one peer, any 24 h (5 mails, `limits.recipient_peer.issue` = 5/1d, and 3) | 24 + 5 | 8 codes × 5 | 29·10⁻⁶ + 40·10⁻⁸ < **3·10⁻⁵** |
//! | one peer, each day of many | 25 | – | 2.5·10⁻⁵ |
//!
//! `tests/guesses.rs` plays both attackers for virtual weeks and counts. With the window switched off
//! (`limits.recipient.issue` = `off`) up to 16 verifications of 3 codes live at once before the fifth wrong
//! guess, and the first row becomes 4 + 16 × 3 × 5 = 244: the ledger alone holds six digits below 2.5·10⁻⁴.

use super::limit::{Limits, Window};
use super::window::WindowLog;
use crate::clock::Moment;
use crate::limits::{CODE_DIGITS_GUESSED, CODE_DIGITS_GUESSED_TWICE, CODE_DIGITS_MIN};

/// Wrong codes compared. Owned by the inbox's record.
#[derive(Debug, Default)]
pub(super) struct GuessLedger(WindowLog);

impl GuessLedger {
    /// Counts a wrong code that was compared with `compared` live ones.
    pub(super) fn count(&mut self, compared: u8, limits: Limits<'_>, now: Moment) {
        for _ in 0..compared {
            self.0.record(limits.times(2), now);
        }
    }

    /// How many digits a new code of `attempts` tries must have at least, while `open` comparisons may still
    /// be made with live ones.
    pub(super) fn least_digits(&self, open: u32, attempts: u8, limits: Limits<'_>, now: Moment) -> u8 {
        let (attempts, wrong) = (u32::from(attempts), |window: &Window| self.0.count(window, now));
        let spent = |factor| limits.times(factor).iter().any(|window| wrong(&window) >= window.count);
        let foreseen = || {
            limits.iter().any(|window| {
                let wrong = wrong(&window);
                wrong >= attempts && wrong.saturating_add(open) >= window.count.saturating_add(attempts)
            })
        };
        match () {
            () if spent(2) => CODE_DIGITS_GUESSED_TWICE,
            () if spent(1) || foreseen() => CODE_DIGITS_GUESSED,
            () => CODE_DIGITS_MIN,
        }
    }

    pub(super) fn prune(&mut self, limits: Limits<'_>, now: Moment) {
        self.0.prune(limits, now);
    }

    pub(super) fn empty_at(&self, limits: Limits<'_>) -> Option<Moment> {
        self.0.empty_at(limits)
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::shard::Limit;
    use crate::shard::limit::Windows;

    #[test]
    fn a_day_later_wrong_codes_are_forgotten_with_their_memory() {
        let windows = Windows::from(&[Limit { count: 20, window: Duration::from_secs(86_400) }][..]);
        let limits = windows.limits();
        let mut ledger = GuessLedger::default();
        ledger.count(9, limits, Moment::default());
        let full = ledger.heap_bytes();
        assert!(full >= 9 * size_of::<Moment>());
        ledger.prune(limits, Moment::from_millis(86_399_999));
        assert_eq!(ledger.heap_bytes(), full);
        ledger.prune(limits, Moment::from_millis(86_400_000));
        assert!(ledger.heap_bytes() < full);
    }
}
