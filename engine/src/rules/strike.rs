//! Strikes: each breach of a peer's window costs one, and enough strikes cause a ban.
//!
//! ```text
//!   window (COUNT/WINDOW)                      latch                       strikes
//!
//!   request 1 … COUNT   counted
//!   request COUNT+1     refused = breached ──▶ open: closes, strike ─────▶ +1 ── reaches bans.strikes?
//!   request COUNT+2 …   refused            ──▶ closed: nothing               yes ▼
//!        ⋮                                     opens again WINDOW after       ban, strikes = 0,
//!   request n           refused            ──▶ open again: strike ────────▶   latches stay closed
//! ```
//!
//! So one window strikes at most once in any span of its WINDOW, no matter how many requests exceed
//! it; a client that respects `Retry-After` is never struck. A policy with several limits
//! (`["20/1m","100/1h"]`) has a latch for each; a request that breaches two at once closes both and
//! strikes once. Each network around an IPv6 peer has its own windows, latches and strikes, and the
//! network whose window was breached is the one struck and banned: an attacker rotating within a
//! /48 can't hide behind fresh /64s, and one noisy /64 does not affect its neighbours.

use super::limit::Limits;
use super::window::WindowLog;
use crate::clock::{Moment, Span};

/// Strikes whose times are kept: as many as cause a ban under the default rule.
pub(crate) const RECENT: usize = 5;

/// The strikes of one evicted network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// How many; at least one.
    pub(crate) count: u32,
    /// The times of the latest strikes, the latest first; unused entries have no meaning.
    pub(crate) recent: [Moment; RECENT],
}

/// Names a window: the policy's index among a peer's, and the limit's index in the policy.
pub(crate) type WindowName = (u8, u8);

/// A window that has struck and may not strike again before `opens`.
#[derive(Clone, Copy, Debug)]
struct Latch {
    of: WindowName,
    opens: Moment,
}

/// The strikes of one network. Owned by its record; few networks ever have any.
#[derive(Debug, Default)]
pub(crate) struct Strikes {
    recent: WindowLog,
    latches: Vec<Latch>,
    /// The time of the last strike before the record was evicted, which lost its latches.
    struck_before: Option<Moment>,
}

impl Strikes {
    /// Closes the latch of a breached window. True if it was open.
    pub(crate) fn latch(&mut self, of: WindowName, span: Span, now: Moment) -> bool {
        self.latches.retain(|latch| latch.opens > now);
        let may_be_closed = self.struck_before.is_some_and(|struck| struck.plus(span) > now);
        if may_be_closed || self.latches.iter().any(|latch| latch.of == of) {
            return false;
        }
        self.latches.push(Latch { of, opens: now.plus(span) });
        true
    }

    /// Counts a strike. True if it causes a ban.
    pub(crate) fn strike(&mut self, rule: Limits<'_>, now: Moment) -> bool {
        self.recent.record(rule, now);
        rule.iter().any(|window| self.recent.count(&window, now) >= window.count)
    }

    /// The strikes that count at `now`, for [`crate::tables::forgotten`]; `None` if there are none.
    pub(crate) fn kept(&self, rule: Limits<'_>, now: Moment) -> Option<Kept> {
        let count = rule.iter().map(|window| self.recent.count(&window, now)).max()?;
        let mut recent = [Moment::default(); RECENT];
        recent.iter_mut().zip(self.recent.iter_back()).for_each(|(kept, at)| *kept = at);
        (count > 0).then_some(Kept { count, recent })
    }

    /// Restores strikes that were kept without a record. The latches are unknown; each is taken to
    /// have closed with the latest strike.
    pub(crate) fn restored(kept: &Kept, rule: Limits<'_>) -> Self {
        let mut strikes = Self { struck_before: Some(kept.recent[0]), ..Self::default() };
        for nth in (0..(kept.count as usize).min(rule.deepest())).rev() {
            strikes.recent.record(rule, kept.recent[nth.min(RECENT - 1)]);
        }
        strikes
    }

    pub(crate) fn clear(&mut self) {
        self.recent = WindowLog::default();
    }

    /// Drops what no longer counts. True if nothing is left.
    pub(crate) fn prune(&mut self, rule: Limits<'_>, now: Moment) -> bool {
        self.latches.retain(|latch| latch.opens > now);
        self.recent.prune(rule, now) && self.latches.is_empty()
    }

    /// When nothing will be left.
    pub(crate) fn empty_at(&self, rule: Limits<'_>) -> Option<Moment> {
        self.latches.iter().map(|latch| latch.opens).chain(self.recent.empty_at(rule)).max()
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.latches.capacity() * size_of::<Latch>() + self.recent.heap_bytes()
    }
}
