//! The guess ledger: counts the wrong codes of an inbox, and lengthens new codes in response.
//!
//! ```text
//!   wrong code ──▶ counted once per live code it was compared with, for 24 h
//!                        │
//!   counted ≥ 20 (`limits.recipient.guess`) ──▶ new codes have at least  8 digits
//!   counted ≥ 40                            ──▶ new codes have at least 10 digits
//!
//!   counted + open + 5 > 20 + 5             ──▶ this code has at least   8 digits
//!             │      └ a verification's attempts, which the new code may see
//!             └ comparisons that live codes below 8 digits may still see
//! ```
//!
//! Nobody is locked out: the inbox's owner types two or four digits more. The count covers all
//! verifications, projects, keys, peers and resends of the inbox and survives their end.
//!
//! The last rule looks ahead and applies even before any wrong code: otherwise an attacker could
//! request many codes before the first guess, and use them all against one budget. The five mails
//! that one project may send to an inbox in ten minutes stay at six digits; the sixth live code, of
//! another project, has eight.
//!
//! # The chance of a guess
//!
//! One comparison hits a code of n digits with probability 10⁻ⁿ, and a code sees at most *attempts*
//! = 5 comparisons, since all codes of a verification share its attempts. So what counts is how
//! many comparisons codes of six digits can see, from any number of projects, peers and keys.
//!
//! In any 24 hours, let *s* be the moment the last six-digit code is drawn. Before *s*, the 24
//! hours hold at most what the ledger holds at *s*. After it, only six-digit codes drawn by *s* are
//! compared, while they live: the comparisons open at *s*, and 5 for the new code. The sum is at
//! most 25, otherwise the code would have had eight digits. If no six-digit code is drawn in the 24
//! hours, those still live were drawn before, and the same sum bounds their comparisons.
//!
//! Codes of eight digits are bounded by the mails of all projects, `limits.recipient_all.issue` =
//! 15/10m, 30/1d: 30 in the 24 hours, and 15 that were drawn in the ten minutes before and are
//! still live.
//!
//! | attacker | six digits | eight digits | probability |
//! |---|---|---|---|
//! | any projects, any peers, any 24 h | 25 | 45 codes × 5 | 25·10⁻⁶ + 225·10⁻⁸ = 2.73·10⁻⁵ < **3·10⁻⁵** |
//! | one project, any peers | 25 | 15 codes × 5 | 25·10⁻⁶ + 75·10⁻⁸ |
//! | one peer, one project (`limits.recipient_peer.issue` = 3/10m, 5/1d) | 25 | 8 codes × 5 | 25·10⁻⁶ + 40·10⁻⁸ |
//!
//! `tests/rules/guesses.rs` simulates the attackers for weeks of virtual time and counts. With the
//! mail windows turned off, six digits still see no more than the same 25; codes of eight digits
//! are then bounded by the live verifications an inbox may hold.

use super::limit::{Limits, Window};
use super::window::WindowLog;
use crate::clock::Moment;
use crate::limits::{CODE_DIGITS_GUESSED, CODE_DIGITS_GUESSED_TWICE, CODE_DIGITS_MIN};

/// Wrong codes compared. Owned by the inbox's record.
#[derive(Debug, Default)]
pub(crate) struct GuessLedger(WindowLog);

impl GuessLedger {
    /// Counts a wrong code that was compared with `compared` live ones.
    pub(crate) fn count(&mut self, compared: u8, limits: Limits<'_>, now: Moment) {
        for _ in 0..compared {
            self.0.record(limits.times(2), now);
        }
    }

    /// How many digits a new code must have at least, while `open` comparisons may still be made
    /// with live codes. The new code's attempts appear on both sides of the last rule above and
    /// cancel out.
    pub(crate) fn least_digits(&self, open: u32, limits: Limits<'_>, now: Moment) -> u8 {
        let wrong = |window: &Window| self.0.count(window, now);
        let spent = |factor| limits.times(factor).iter().any(|window| wrong(&window) >= window.count);
        let foreseen = || limits.iter().any(|window| wrong(&window).saturating_add(open) > window.count);
        match () {
            () if spent(2) => CODE_DIGITS_GUESSED_TWICE,
            () if spent(1) || foreseen() => CODE_DIGITS_GUESSED,
            () => CODE_DIGITS_MIN,
        }
    }

    pub(crate) fn prune(&mut self, limits: Limits<'_>, now: Moment) {
        self.0.prune(limits, now);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn empty_at(&self, limits: Limits<'_>) -> Option<Moment> {
        self.0.empty_at(limits)
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
    use crate::rules::limit::Windows;

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
