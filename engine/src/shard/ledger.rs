//! The guess ledger: what an inbox remembers of wrong codes, and what it does about them.
//!
//! ```text
//!   wrong code ──▶ counted once for each live code it was compared with, for 24 h
//!                        │
//!   counted ≥ 20 (`limits.recipient.guess`) ──▶ new codes have at least  8 digits
//!   counted ≥ 40                            ──▶ new codes have at least 10 digits
//! ```
//!
//! Nobody is locked out: the owner types two or four digits more. The count goes over all verifications,
//! keys, peers and resends of the inbox and survives their end.
//!
//! # The chance of a guess
//!
//! A code of n digits is hit by one comparison with chance 10⁻ⁿ, and meets at most *attempts* = 5 of
//! them, as a verification's tries are shared by all its codes. So what counts is how many six-digit codes
//! an attacker can have mailed to one inbox, from however many peers and keys.
//!
//! In any 24 hours, let *s* be the moment the last six-digit code is drawn. The ledger then holds at most
//! 19 comparisons of the 24 hours before *s*, or the code would have had eight digits. After *s*, six-digit
//! codes are compared only while they live, and with `limits.recipient.issue` = 5/10m no more than 5 of
//! them do (a life is at most 10 minutes): 5 × 5 comparisons. Together:
//!
//! | | six digits | eight digits | chance |
//! |---|---|---|---|
//! | many peers, any 24 h | 19 + 25 | 15 codes × 5 | 44·10⁻⁶ + 75·10⁻⁸ < **4.5·10⁻⁵** |
//! | one peer, each day of many (5 mails, `limits.recipient_peer.issue` = 5/1d) | 25 | – | **2.5·10⁻⁵** |
//! | one peer, the worst 24 h out of them (3 codes from just before, 3 at the very end) | 19 + 15 | – | 3.4·10⁻⁵ |
//!
//! The middle row is a rate: over *k* days one peer gets at most 5·*k* + 3 codes. `tests/guesses.rs` plays
//! both attackers for virtual weeks and counts. With the window switched off (`limits.recipient.issue` =
//! `off`) up to 16 verifications live at once, and the first row becomes 19 + 16 × 3 × 5 = 259: the ledger
//! alone holds the day below 2.6·10⁻⁴.

use super::window::{Limits, WindowLog};
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

    /// How many digits a new code must have at least.
    pub(super) fn least_digits(&self, limits: Limits<'_>, now: Moment) -> u8 {
        let spent =
            |factor| limits.times(factor).iter().any(|limit| self.0.count(limit.window, now) >= limit.count);
        match () {
            () if spent(2) => CODE_DIGITS_GUESSED_TWICE,
            () if spent(1) => CODE_DIGITS_GUESSED,
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
