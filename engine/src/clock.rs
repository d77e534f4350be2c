//! Time as an argument. The engine never asks what time it is: whoever calls it says so.
//!
//! Lifetimes, windows and bans run on [`Moment`], which only ever grows; a wall clock that jumps
//! can neither revive a code nor lift a limit. The wall time in [`Now`] is for the eyes of people,
//! for receipts, and for the dates of API keys, which stand in the store; no other decision reads
//! it.

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

    /// How long ago `earlier` was; zero if it lies in the future.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// A length of time as moments are counted: what rules do with it some thirty times a request is an
/// addition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span(u64);

impl Moment {
    /// The moment `span` later; saturates instead of wrapping.
    pub(crate) fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// How long it is until then; `None` if that is over.
    pub(crate) fn until(self, then: Moment) -> Option<Span> {
        (then > self).then(|| Span(then.0 - self.0))
    }
}

impl Span {
    pub(crate) const fn of(span: Duration) -> Self {
        Self(millis(span))
    }

    /// Rounded up, and no more than fit in.
    pub(crate) fn whole_seconds(self) -> u32 {
        u32::try_from(self.0.div_ceil(1_000)).unwrap_or(u32::MAX)
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        Self::from_millis(span.0)
    }
}

/// The present, as told by the caller: one reading of both clocks.
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

/// Reads both clocks. The engine is handed one and calls it once per batch.
pub type Clock = fn() -> Now;

/// Not `as_millis`, which counts in 128 bits.
const fn millis(span: Duration) -> u64 {
    span.as_secs().saturating_mul(1_000).saturating_add(span.subsec_millis() as u64)
}

/// Whole seconds, rounded up: what a `Retry-After` may promise without lying.
pub fn whole_seconds_up(span: Duration) -> u64 {
    span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0))
}
