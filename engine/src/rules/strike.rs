//! Strikes: a breached peer window costs one, and enough of them cost a ban.
//!
//! ```text
//!   window (COUNT/WINDOW)                      latch                       strikes
//!
//!   request 1 … COUNT   counted
//!   request COUNT+1     refused = breached ──▶ open: closes, strike ─────▶ +1 ── reaches bans.strikes?
//!   request COUNT+2 …   refused            ──▶ closed: nothing               yes ▼
//!        ⋮                                     opens again WINDOW after       ban, strikes = 0,
//!   request n           refused            ──▶ its strike: strike ────────▶   latches stay closed
//! ```
//!
//! So one window strikes at most once in any span of its WINDOW, however hard it is hammered; a
//! client that keeps to `Retry-After` is never struck at all. A policy with several limits
//! (`["20/1m","100/1h"]`) has a latch for each; a request that breaches two at once closes both and
//! strikes once. Each network around an IPv6 peer has its own windows, latches and strikes, and it
//! is the network whose window was breached that is struck and banned: a rotating attacker in a /48
//! does not hide behind fresh /64s, and a noisy /64 alone does not take its neighbours down.

use super::limit::Limits;
use super::window::WindowLog;
use crate::clock::{Moment, Span};

/// Strikes whose times are kept: as many as ban by the default rule.
pub(crate) const RECENT: usize = 5;

/// The strikes of one network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// How many; at least one.
    pub(crate) count: u32,
    /// When the latest of them were, the latest first; the rest is worth nothing.
    pub(crate) recent: [Moment; RECENT],
}

/// Which window: the policy's place among a peer's, and the limit's place in the policy.
pub(crate) type WindowName = (u8, u8);

/// A window that has struck and may not again yet.
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
    /// When the network was struck last before its record had to make room, and its latches with
    /// it.
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

    /// Counts a strike. True if it is one too many.
    pub(crate) fn strike(&mut self, rule: Limits<'_>, now: Moment) -> bool {
        self.recent.record(rule, now);
        rule.iter().any(|window| self.recent.count(&window, now) >= window.count)
    }

    /// Strikes that count at `now`, as [`crate::tables::forgotten`] keeps them; `None` if there are
    /// none.
    pub(crate) fn kept(&self, rule: Limits<'_>, now: Moment) -> Option<Kept> {
        let count = rule.iter().map(|window| self.recent.count(&window, now)).max()?;
        let mut recent = [Moment::default(); RECENT];
        recent.iter_mut().zip(self.recent.iter_back()).for_each(|(kept, at)| *kept = at);
        (count > 0).then_some(Kept { count, recent })
    }

    /// Strikes that were kept while there was no record. What latches there were is not known; each
    /// is taken to have closed with the latest strike.
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

    /// Forgets what counts no more. True if nothing is left.
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
