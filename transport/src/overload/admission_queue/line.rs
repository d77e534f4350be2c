//! One line of a [`AdmissionQueue`](super::AdmissionQueue): who waits in it, and what is left of a turn's share.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// The line has no place left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// Who waits, in order of arrival. A waiter's state is whether it is still in here.
pub(super) struct Line {
    waiting: VecDeque<Waiting>,
    places: usize,
    /// Of a turn.
    share: i64,
    /// What is left of this turn's share. Below zero: owed by requests that turned out to be many.
    left: i64,
    next_serial: u64,
}

struct Waiting {
    /// Rises along the line.
    serial: u64,
    waker: Option<Waker>,
}

impl Line {
    pub(super) fn new(places: usize, share: u32) -> Self {
        let share = i64::from(share);
        Self { waiting: VecDeque::new(), places, share, left: share, next_serial: 0 }
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.left <= 0 && self.waiting.len() >= self.places
    }

    pub(super) fn is_used_up(&self) -> bool {
        self.left <= 0
    }

    /// `None`: passed. While a share is left nobody waits, so nobody is overtaken.
    pub(super) fn arrive(this: &RefCell<Self>) -> Result<Option<Place<'_>>, Full> {
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
        Ok(Some(Place { line: this, serial }))
    }

    pub(super) fn take(&mut self, more: u32) {
        self.left = self.left.saturating_sub(i64::from(more));
    }

    /// Begins a turn of this share and lets as many waiters through. True if none of it is left.
    pub(super) fn turn(&mut self, share: u32) -> bool {
        self.share = i64::from(share);
        self.left = self.left.saturating_add(self.share).min(self.share);
        self.let_through();
        self.is_used_up()
    }

    /// Leaves no more than this of the turn that has begun.
    pub(super) fn cut(&mut self, share: u32) {
        self.share = self.share.min(i64::from(share));
        self.left = self.left.min(self.share);
    }

    /// Whoever was let through had no use for it: the next one has.
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

    /// Waits on with this waker. Ready if the waiter has been let through.
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

/// A place in a line; ready once let through, given back when dropped.
pub(crate) struct Place<'a> {
    line: &'a RefCell<Line>,
    serial: u64,
}

impl Future for Place<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.line.borrow_mut().poll(self.serial, context.waker())
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.line.borrow_mut().leave(self.serial);
    }
}
