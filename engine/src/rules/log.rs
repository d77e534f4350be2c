//! The events that a window remembers, in order of time.
//!
//! Most logs never hold more than one event (an inbox with one mail, a peer with one request), so
//! one event needs no heap memory; from two on there is a ring buffer.

use std::collections::VecDeque;

use crate::clock::{Moment, Span};

/// Worst-case overhead of a heap block: its header and its rounding.
pub(crate) const BLOCK_BYTES: usize = 24;

/// Something that happened at a moment.
pub(crate) trait Stamped: Copy {
    fn at(&self) -> Moment;
}

impl Stamped for Moment {
    fn at(&self) -> Moment {
        *self
    }
}

/// Events, oldest first. Owned by a record.
#[allow(clippy::box_collection, reason = "inline, a ring would enlarge every log, and most have none")]
#[derive(Clone, Debug, Default)]
pub(crate) enum Log<E> {
    #[default]
    Empty,
    One(E),
    Many(Box<VecDeque<E>>),
}

impl<E: Stamped> Log<E> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::One(_) => 1,
            Self::Many(ring) => ring.len(),
        }
    }

    pub(crate) fn get(&self, at: usize) -> Option<&E> {
        match self {
            Self::One(event) if at == 0 => Some(event),
            Self::Many(ring) => ring.get(at),
            _ => None,
        }
    }

    pub(crate) fn latest(&self) -> Option<&E> {
        self.get(self.len().checked_sub(1)?)
    }

    /// The latest first.
    pub(crate) fn iter_back(&self) -> impl Iterator<Item = &E> {
        (0..self.len()).rev().filter_map(|at| self.get(at))
    }

    pub(crate) fn push(&mut self, event: E) {
        match self {
            Self::Empty => *self = Self::One(event),
            Self::One(first) => *self = Self::Many(Box::new(VecDeque::from([*first, event]))),
            Self::Many(ring) => {
                if ring.len() == ring.capacity() {
                    // Doubling would round a log of ten up to sixteen; logs are many and short.
                    ring.reserve_exact((ring.len() / 2).clamp(2, 256));
                }
                ring.push_back(event);
            }
        }
    }

    /// Like [`Log::push`], without allocating: drops the oldest events that leave no room for the
    /// new one.
    pub(crate) fn push_in_place(&mut self, event: E) {
        match self {
            Self::Empty | Self::One(_) => *self = Self::One(event),
            Self::Many(ring) => {
                if ring.len() == ring.capacity() {
                    ring.pop_front();
                }
                ring.push_back(event);
            }
        }
    }

    pub(crate) fn drop_oldest(&mut self, surplus: usize) {
        if surplus == 0 {
            return;
        }
        match self {
            Self::Many(ring) if surplus < ring.len() => drop(ring.drain(..surplus)),
            _ => *self = Self::Empty,
        }
    }

    /// Drops events that are at least `span` old.
    pub(crate) fn drop_before(&mut self, span: Span, now: Moment) {
        if !self.is_empty() {
            self.drop_oldest(self.len() - self.count_within(span, now));
        }
    }

    /// Whether nothing is remembered, the common case.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Prefetches the log itself, without its heap memory; see [`crate::shard::touch`].
    pub(crate) fn touch(&self) -> u64 {
        u64::from(matches!(self, Self::Empty))
    }

    /// How many events are less than `span` old.
    pub(crate) fn count_within(&self, span: Span, now: Moment) -> usize {
        let is_old = |event: &E| event.at().plus(span) <= now;
        match self {
            Self::Empty => 0,
            Self::One(event) => usize::from(!is_old(event)),
            Self::Many(ring) => ring.len() - ring.partition_point(is_old),
        }
    }

    pub(crate) fn remove_latest(&mut self, is_meant: impl Fn(&E) -> bool) {
        match self {
            Self::One(event) if is_meant(event) => *self = Self::Empty,
            Self::Many(ring) => {
                if let Some(at) = ring.iter().rposition(is_meant) {
                    ring.remove(at);
                }
            }
            _ => {}
        }
    }

    /// Bytes besides the record.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Many(ring) => size_of::<VecDeque<E>>() + ring.capacity() * size_of::<E>() + 2 * BLOCK_BYTES,
            _ => 0,
        }
    }
}
