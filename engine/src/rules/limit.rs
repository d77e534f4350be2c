//! Limits: as configured, and in the form that records use.

use super::log::{Log, Stamped};
use crate::clock::{Moment, Span, whole_seconds_up};
use crate::limits::{Limit, NEVER_RETRY_AFTER};

/// The wait for a limit of zero.
pub(crate) const NEVER: Span = Span::of(NEVER_RETRY_AFTER);

/// One limit of one key, in the units of the tables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) count: u32,
    pub(crate) span: Span,
    /// The span as reported in answers, rounded up.
    pub(crate) seconds: u32,
}

impl Window {
    /// How long until `events` leave room for one more; `None` if there is room now.
    pub(crate) fn wait<E: Stamped>(&self, events: &Log<E>, now: Moment) -> Option<Span> {
        let nth_latest = match self.count {
            0 => return Some(NEVER),
            count => events.get(events.len().checked_sub(count as usize)?)?,
        };
        self.wait_after(nth_latest.at(), now)
    }

    /// How long until an event at `nth_latest` has left the window; `None` if it already has.
    pub(crate) fn wait_after(&self, nth_latest: Moment, now: Moment) -> Option<Span> {
        now.until(nth_latest.plus(self.span))
    }
}

/// The limits of one policy, with values derived from them. Part of [`crate::rules::Rules`].
#[derive(Debug, Default)]
pub(crate) struct Windows {
    list: Box<[Window]>,
    longest: Span,
    deepest: u32,
}

impl From<&[Limit]> for Windows {
    fn from(limits: &[Limit]) -> Self {
        let window = |limit: &Limit| Window {
            count: limit.count,
            span: Span::of(limit.window),
            seconds: u32::try_from(whole_seconds_up(limit.window)).unwrap_or(u32::MAX),
        };
        let list: Box<[Window]> = limits.iter().map(window).collect();
        let longest = list.iter().map(|window| window.span).max().unwrap_or_default();
        let deepest = list.iter().map(|window| window.count).max().unwrap_or_default();
        Self { list, longest, deepest }
    }
}

impl Windows {
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn limits(&self) -> Limits<'_> {
        Limits { of: self, factor: 1 }
    }
}

/// The limits of one policy for one key: a wider network has a multiple of the counts.
#[derive(Clone, Copy)]
pub(crate) struct Limits<'a> {
    of: &'a Windows,
    factor: u32,
}

impl<'a> Limits<'a> {
    pub(crate) fn times(self, factor: u32) -> Self {
        Self { factor: self.factor.saturating_mul(factor), ..self }
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Window> + 'a {
        let factor = self.factor;
        self.of
            .list
            .iter()
            .map(move |window| Window { count: window.count.saturating_mul(factor), ..*window })
    }

    /// The number of events a log has to remember.
    pub(crate) fn deepest(self) -> usize {
        self.of.deepest.saturating_mul(self.factor) as usize
    }

    /// The time for which a log has to remember them.
    pub(crate) fn longest(self) -> Span {
        self.of.longest
    }
}
