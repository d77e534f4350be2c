//! Commands in flight to other lanes: a slab of places, each waiting for one outcome.
//!
//! A ticket is reused only after its answer has arrived, so a late answer can't reach the wrong
//! caller.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::limits::PENDING_ASKS_PER_LANE;
use crate::request::Outcome;

enum Pending {
    Free,
    Waiting(Option<Waker>),
    /// Boxed, so that the outcome is wiped when it is freed. A place is reused, and the bytes of an
    /// inline outcome would survive as padding of its later states.
    Done(Box<Outcome>),
    /// The caller dropped the future; the answer frees the place.
    Abandoned,
}

/// The commands one lane awaits. Owned by the lane.
#[derive(Default)]
pub(super) struct PendingCommands {
    places: Vec<Pending>,
    free: Vec<u32>,
}

impl PendingCommands {
    /// A ticket for one more command; `None` at the bound.
    pub(super) fn open(&mut self) -> Option<u32> {
        if let Some(ticket) = self.free.pop() {
            self.places[ticket as usize] = Pending::Waiting(None);
            return Some(ticket);
        }
        (self.places.len() < PENDING_ASKS_PER_LANE).then(|| {
            self.places.push(Pending::Waiting(None));
            (self.places.len() - 1) as u32
        })
    }

    pub(super) fn settle(&mut self, ticket: u32, outcome: Outcome) {
        let Some(place) = self.places.get_mut(ticket as usize) else { return };
        match std::mem::replace(place, Pending::Done(Box::new(outcome))) {
            Pending::Waiting(Some(waker)) => waker.wake(),
            Pending::Waiting(None) => {}
            Pending::Abandoned | Pending::Free | Pending::Done(_) => self.release(ticket),
        }
    }

    fn release(&mut self, ticket: u32) {
        self.places[ticket as usize] = Pending::Free;
        self.free.push(ticket);
    }

    fn poll(&mut self, ticket: u32, waker: &Waker) -> Poll<Outcome> {
        let place = &mut self.places[ticket as usize];
        match std::mem::replace(place, Pending::Waiting(Some(waker.clone()))) {
            Pending::Done(outcome) => {
                self.release(ticket);
                Poll::Ready(*outcome)
            }
            _ => Poll::Pending,
        }
    }

    fn abandon(&mut self, ticket: u32) {
        match self.places[ticket as usize] {
            Pending::Done(_) => self.release(ticket),
            _ => self.places[ticket as usize] = Pending::Abandoned,
        }
    }
}

/// The future of one command's outcome. Ready at once if the shard is this lane's own.
pub struct Answer(State);

enum State {
    Ready(Option<Outcome>),
    Waiting(Rc<RefCell<PendingCommands>>, u32),
}

impl Answer {
    pub(super) fn ready(outcome: Outcome) -> Self {
        Self(State::Ready(Some(outcome)))
    }

    pub(super) fn waiting(pending: Rc<RefCell<PendingCommands>>, ticket: u32) -> Self {
        Self(State::Waiting(pending, ticket))
    }
}

impl Future for Answer {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let answered = match &mut self.0 {
            State::Ready(outcome) => outcome.take().map_or(Poll::Pending, Poll::Ready),
            State::Waiting(pending, ticket) => pending.borrow_mut().poll(*ticket, context.waker()),
        };
        if answered.is_ready() {
            self.0 = State::Ready(None);
        }
        answered
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let State::Waiting(pending, ticket) = &self.0 {
            pending.borrow_mut().abandon(*ticket);
        }
    }
}
