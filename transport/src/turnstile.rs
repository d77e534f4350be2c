//! Lines in front of the shards: what secret keys ask and what restricted keys ask wait apart.
//!
//! ```text
//!   a stream of a connection that has shown no secret key
//!      └─ at most 16 a turn; a connection waits with all of them at once ─▶ read its newest's head, admit
//!
//!                     ┌─ share of this turn left ────────────────────────────▶ parse ─▶ shard ─▶ reply
//!   admitted, ────────┤
//!   its body arrived  ├─ else a place in its class's line ─┐                     ▲
//!                     │    secret      4,096 places        ├─ next turn: secret ─┤ at most 64
//!                     │    restricted  1,024 places        ┘    then restricted ─┘ at most  8
//!                     └─ no place: 503 `overloaded`, at once
//! ```
//!
//! A *turn* is one round of the lane's runtime: its sockets were looked at once, and what became ready
//! was run. Whatever hundreds of restricted requests are ready, only [`RESTRICTED_PER_TURN`] of them are
//! worked on before the lane looks at its sockets again, so that a backend's request is read, found ready
//! and let through meanwhile.
//!
//! A flood queues where its work is first ready: as hundreds of streams whose heads nobody has read, each
//! a task of its own, with a backend's one among them. So the lane also reads at most
//! [`STRANGER_HEADS_PER_TURN`] heads a turn from connections that have not shown a secret key, one
//! connection after the other. Whoever floods with wrong keys or origins waits there too, and a
//! connection's streams wait at its own place (`connection/anteroom.rs`), as many as its stream limit lets be.
//!
//! What has been read has to be answered, so while a turn's worth of restricted requests waits behind its head, only
//! [`STRANGER_HEADS_BEHIND`] more are read a turn: in an overload the wait is where it costs least, in front of the
//! head, and ends there for whoever cancels (`connection/anteroom.rs`). Some heads are read all the same, since those
//! who fill the restricted line need not be strangers.
//!
//! What each class may rely on:
//! - **Secret**: between two looks at the sockets the lane works on at most [`RESTRICTED_PER_TURN`]
//!   restricted requests, and a line of restricted requests is never in front of a secret one.
//! - **Restricted**: place *k* of the line is served within ⌈k ÷ [`RESTRICTED_PER_TURN`]⌉ turns however
//!   busy secret keys are, because they too have a share ([`SECRET_PER_TURN`]).
//! - Neither share is lost: while only one class asks, it gets turn after turn, as fast as the lane turns.
//!
//! The gate stands behind the body's arrival, not before it: else thousands of requests could be let
//! through with their heads and then all be finished in one burst. A request that finds its line full
//! before its body has come is refused without waiting for it.
//!
//! No lock. A line's memory grows to the most that ever waited. Who finds some of the share left only counts; who takes the
//! last of it wakes the task that begins turns, which sleeps whenever there is nothing to hand out.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use authepy_engine::perimeter::api_key::KeyClass;

use crate::limits::{
    RESTRICTED_PER_TURN, RESTRICTED_PLACES, SECRET_PER_TURN, SECRET_PLACES, STRANGER_HEADS_BEHIND,
    STRANGER_HEADS_PER_TURN,
};

/// The lines of one lane. Lives on its thread.
pub(crate) struct Turnstile {
    /// Connections that have shown no secret key, each with one stream.
    strangers: RefCell<Line>,
    secret: RefCell<Line>,
    restricted: RefCell<Line>,
    /// Wakes [`Turnstile::run`] while it sleeps.
    sleeping: Cell<Option<Waker>>,
}

/// The class's line has no place left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Turnstile {
    pub(crate) fn new() -> Self {
        Self::with(
            Line::new(SECRET_PLACES, SECRET_PER_TURN),
            Line::new(RESTRICTED_PLACES, RESTRICTED_PER_TURN),
        )
    }

    fn with(secret: Line, restricted: Line) -> Self {
        Self {
            // As many places as the lane has connections: each waits once, with all its streams.
            strangers: RefCell::new(Line::new(usize::MAX, STRANGER_HEADS_PER_TURN)),
            secret: RefCell::new(secret),
            restricted: RefCell::new(restricted),
            sleeping: Cell::new(None),
        }
    }

    /// Whether a request of this class would be refused now.
    pub(crate) fn is_full(&self, class: KeyClass) -> bool {
        self.line(class).borrow().is_full()
    }

    /// Lets one request through: at once, in a later turn, or not at all.
    pub(crate) async fn pass(&self, class: KeyClass) -> Result<(), Full> {
        if let Some(place) = self.arrive(self.line(class))? {
            place.await;
        }
        Ok(())
    }

    /// For a connection that has shown no secret key and wants to read one more head: its place in the line,
    /// or `None` if it need not wait.
    pub(crate) fn arrive_stranger(&self) -> Option<Place<'_>> {
        // The line has a place for each connection, so it is never full.
        self.arrive(&self.strangers).ok().flatten()
    }

    /// Hands a turn on that a stranger had no use for.
    pub(crate) fn pass_on_stranger(&self) {
        self.strangers.borrow_mut().pass_on();
    }

    /// Charges what a request that passed turned out to be: so many requests more. The line owes them to
    /// the turns to come.
    pub(crate) fn charge(&self, class: KeyClass, more: usize) {
        self.line(class).borrow_mut().take(u32::try_from(more).unwrap_or(u32::MAX));
        self.wake_if_used_up(self.line(class));
    }

    /// Begins a turn whenever a share has been used up. To be run beside the lane's other tasks.
    pub(crate) async fn run(&self) {
        loop {
            poll_fn(|context| self.sleep(context)).await;
            loop {
                // Comes back once the runtime has looked at its sockets: that is what makes it a turn.
                tokio::task::yield_now().await;
                if !self.turn() {
                    break;
                }
            }
        }
    }

    /// `None`: passed. Otherwise a place to wait in.
    fn arrive<'a>(&self, line: &'a RefCell<Line>) -> Result<Option<Place<'a>>, Full> {
        let serial = line.borrow_mut().arrive()?;
        self.wake_if_used_up(line);
        Ok(serial.map(|serial| Place { line, serial }))
    }

    /// Hands out all shares, secret keys' first. True if another turn has to follow.
    fn turn(&self) -> bool {
        // Each has its turn, so no lazy `any` here.
        let used_up = [&self.secret, &self.restricted].map(|line| line.borrow_mut().turn());
        let is_behind = self.restricted.borrow().waiting.len() >= RESTRICTED_PER_TURN as usize;
        let heads = if is_behind { STRANGER_HEADS_BEHIND } else { STRANGER_HEADS_PER_TURN };
        used_up.contains(&true) | self.strangers.borrow_mut().turn_of(i64::from(heads))
    }

    fn sleep(&self, context: &Context<'_>) -> Poll<()> {
        if [&self.secret, &self.restricted, &self.strangers].iter().any(|line| line.borrow().is_used_up()) {
            return Poll::Ready(());
        }
        self.sleeping.set(Some(context.waker().clone()));
        Poll::Pending
    }

    fn wake_if_used_up(&self, line: &RefCell<Line>) {
        if line.borrow().is_used_up()
            && let Some(sleeper) = self.sleeping.take()
        {
            sleeper.wake();
        }
    }

    fn line(&self, class: KeyClass) -> &RefCell<Line> {
        match class {
            KeyClass::Secret => &self.secret,
            KeyClass::Restricted => &self.restricted,
        }
    }
}

/// Who waits, in order of arrival. A waiter's state is whether it is still in here.
struct Line {
    waiting: VecDeque<Waiting>,
    places: usize,
    per_turn: i64,
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
    fn new(places: usize, per_turn: u32) -> Self {
        let per_turn = i64::from(per_turn);
        Self { waiting: VecDeque::new(), places, per_turn, left: per_turn, next_serial: 0 }
    }

    fn is_full(&self) -> bool {
        self.left <= 0 && self.waiting.len() >= self.places
    }

    fn is_used_up(&self) -> bool {
        self.left <= 0
    }

    /// `None`: passed. While a share is left nobody waits, so nobody is overtaken.
    fn arrive(&mut self) -> Result<Option<u64>, Full> {
        if self.left > 0 {
            self.left -= 1;
            return Ok(None);
        }
        if self.is_full() {
            return Err(Full);
        }
        let serial = self.next_serial;
        self.next_serial += 1;
        self.waiting.push_back(Waiting { serial, waker: None });
        Ok(Some(serial))
    }

    fn take(&mut self, more: u32) {
        self.left = self.left.saturating_sub(i64::from(more));
    }

    /// Renews the share and lets as many waiters through. True if none of it is left.
    fn turn(&mut self) -> bool {
        self.turn_of(self.per_turn)
    }

    /// The same with another share.
    fn turn_of(&mut self, share: i64) -> bool {
        self.left = self.left.saturating_add(share).min(share);
        self.let_through();
        self.is_used_up()
    }

    /// Whoever was let through had no use for it: the next one has.
    fn pass_on(&mut self) {
        self.left = self.left.saturating_add(1).min(self.per_turn);
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

#[cfg(test)]
mod tests;
