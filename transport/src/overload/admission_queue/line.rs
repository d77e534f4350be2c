//! One line of an [`AdmissionQueue`](super::AdmissionQueue): the requests that wait in it, and the
//! rest of the turn's share.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// The line has no place left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// The waiters in order of arrival. A waiter has been let through when it is no longer in here.
pub(super) struct Line {
    waiting: VecDeque<Waiting>,
    places: usize,
    /// Requests per turn.
    share: i64,
    /// The rest of this turn's share. Negative: owed by requests that held several
    /// ([`AdmissionQueue::charge`](super::AdmissionQueue::charge)).
    left: i64,
    next_serial: u64,
}

struct Waiting {
    /// Increases along the line.
    serial: u64,
    waker: Option<Waker>,
}

impl Line {
    pub(super) fn new(places: usize, share: u32) -> Self {
        let share = i64::from(share);
        Self { waiting: VecDeque::new(), places, share, left: share, next_serial: 0 }
    }

    /// The number of waiters.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.left <= 0 && self.waiting.len() >= self.places
    }

    pub(super) fn is_used_up(&self) -> bool {
        self.left <= 0
    }

    /// `None`: passed. Nobody waits while some share is left, so no one is overtaken.
    pub(super) fn arrive(this: &RefCell<Self>) -> Result<Option<Ticket<'_>>, Full> {
        let mut line = this.borrow_mut();
        if line.left > 0 {
            line.left -= 1;
            return Ok(None);
        }
        if line.is_full() {
            return Err(Full);
        }
        let serial = line.next_serial;
        line.next_serial += 1;
        line.waiting.push_back(Waiting { serial, waker: None });
        Ok(Some(Ticket { line: this, serial }))
    }

    pub(super) fn take(&mut self, more: u32) {
        self.left = self.left.saturating_sub(i64::from(more));
    }

    /// Begins a turn with this share and lets as many waiters through. True if the share is used
    /// up.
    pub(super) fn turn(&mut self, share: u32) -> bool {
        self.share = i64::from(share);
        self.left = self.left.saturating_add(self.share).min(self.share);
        self.let_through();
        self.is_used_up()
    }

    /// Cuts the share of the current turn to at most this.
    pub(super) fn cut(&mut self, share: u32) {
        self.share = self.share.min(i64::from(share));
        self.left = self.left.min(self.share);
    }

    /// Returns a turn that its waiter had no use for, and lets the next one through.
    pub(super) fn pass_on(&mut self) {
        self.left = self.left.saturating_add(1).min(self.share);
        self.let_through();
    }

    fn let_through(&mut self) {
        while self.left > 0
            && let Some(first) = self.waiting.pop_front()
        {
            self.left -= 1;
            if let Some(waker) = first.waker {
                waker.wake();
            }
        }
    }

    /// Registers this waker. Ready if the waiter has been let through.
    fn poll(&mut self, serial: u64, waker: &Waker) -> Poll<()> {
        let Some(at) = self.find(serial) else { return Poll::Ready(()) };
        match &mut self.waiting[at].waker {
            Some(known) if known.will_wake(waker) => {}
            stale => *stale = Some(waker.clone()),
        }
        Poll::Pending
    }

    fn leave(&mut self, serial: u64) {
        if let Some(at) = self.find(serial) {
            self.waiting.remove(at);
        }
    }

    fn find(&self, serial: u64) -> Option<usize> {
        self.waiting.binary_search_by_key(&serial, |waiting| waiting.serial).ok()
    }
}

/// A place in a line: a future that is ready once let through. Dropping it gives the place up.
pub(crate) struct Ticket<'a> {
    line: &'a RefCell<Line>,
    serial: u64,
}

impl Future for Ticket<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.line.borrow_mut().poll(self.serial, context.waker())
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.line.borrow_mut().leave(self.serial);
    }
}
