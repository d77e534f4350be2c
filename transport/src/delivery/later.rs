//! Mails that wait for a retry, ordered by due time. Bounded by the queue's places, which they
//! still hold.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use authepy_engine::clock::Moment;

use super::queue::Queued;

/// A mail and the time of its retry.
pub(super) struct Later {
    pub(super) due: Moment,
    pub(super) mail: Queued,
}

/// See the module documentation. Owned by the courier's loop.
#[derive(Default)]
pub(super) struct Waiting(BinaryHeap<Later>);

impl Waiting {
    pub(super) fn extend(&mut self, later: Option<Later>) {
        self.0.extend(later);
    }

    /// Returns a mail that is due.
    pub(super) fn pop_due(&mut self, now: Moment) -> Option<Queued> {
        (self.next_due()? <= now).then(|| self.0.pop())?.map(|later| later.mail)
    }

    pub(super) fn pop(&mut self) -> Option<Queued> {
        self.0.pop().map(|later| later.mail)
    }

    pub(super) fn next_due(&self) -> Option<Moment> {
        self.0.peek().map(|later| later.due)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Ord for Later {
    /// Reversed, so that the heap's maximum is due first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.due.cmp(&self.due)
    }
}

impl PartialOrd for Later {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Later {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Later {}
