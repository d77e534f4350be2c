//! Time as an argument. The engine never reads a clock: the caller passes the time.
//!
//! Lifetimes, windows and bans use [`Moment`], which only grows; a jump of the wall clock can
//! neither revive a code nor lift a limit. The wall time in [`Now`] is for display, for receipts,
//! and for the stored dates of API keys; no other decision uses it.

use std::time::Duration;

/// A point on the monotonic clock, in milliseconds since the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The moment `millis` milliseconds after the start.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the start.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The moment `span` later; saturates instead of wrapping.
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    /// The time elapsed since `earlier`; zero if it is in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// A duration in the unit of moments, so that adding one, which rules do about thirty times per
/// request, is an integer addition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span(u64);

impl Moment {
    /// The moment `span` later; saturates instead of wrapping.
    pub(crate) fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// The time until `then`; `None` if it has passed.
    pub(crate) fn until(self, then: Self) -> Option<Span> {
        (then > self).then(|| Span(then.0 - self.0))
    }
}

impl Span {
    pub(crate) const fn of(span: Duration) -> Self {
        Self(millis(span))
    }

    /// In seconds, rounded up, saturating.
    pub(crate) fn whole_seconds(self) -> u32 {
        u32::try_from(self.0.div_ceil(1_000)).unwrap_or(u32::MAX)
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        Self::from_millis(span.0)
    }
}

/// The current time, as told by the caller: one reading of both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// The monotonic reading; every decision uses this one.
    pub at: Moment,
    /// Milliseconds since the Unix epoch: printed, signed, and compared with the dates of API keys.
    pub unix_ms: u64,
}

impl Now {
    /// The wall time of a later moment, in milliseconds since the Unix epoch.
    pub fn unix_ms_at(&self, moment: Moment) -> u64 {
        self.unix_ms.saturating_add(millis(moment.since(self.at)))
    }
}

/// Reads both clocks. Each lane is given one.
pub type Clock = fn() -> Now;

/// Not `as_millis`, which computes in 128 bits.
const fn millis(span: Duration) -> u64 {
    span.as_secs().saturating_mul(1_000).saturating_add(span.subsec_millis() as u64)
}

/// Whole seconds, rounded up, so that a `Retry-After` is never too short.
pub fn whole_seconds_up(span: Duration) -> u64 {
    span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0))
}
