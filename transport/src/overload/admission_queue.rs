//! Queues in front of the shards: requests of secret keys and of restricted keys wait in separate
//! lines.
//!
//! ```text
//!   a stream of a connection that has shown no secret key (a stranger)
//!      └─ at most 32 a turn; each connection waits once ─▶ read the head of its newest stream, admit
//!
//!                     ┌─ share of this turn left ────────────────────────────▶ parse ─▶ shard ─▶ reply
//!   admitted, ────────┤
//!   its body arrived  ├─ else a place in its class's line ─┐                     ▲
//!                     │    secret      4,096 places        ├─ next turn: secret ─┤ at most 64 ┐ 256 while
//!                     │    restricted  1,024 places        ┘    then restricted ─┘ at most 16 ┘ alone
//!                     └─ no place: 503 `overloaded`, immediately
//! ```
//!
//! A *turn* is one round of the lane's runtime: it reads its sockets once and runs what became
//! ready. The first request after a read of a socket begins a turn. If requests wait and nothing is
//! read, a task begins one after the runtime has polled its sockets. Even if hundreds of restricted
//! requests are ready, only a share of them is processed before the lane reads its sockets again,
//! so that a backend's request is read and let through in between.
//!
//! A small share is expensive: answers sent together share a datagram and a system call, and each
//! turn has a fixed cost. So the share is small only while the other class is *active*, which means
//! that it made a request within the last [`ABOUT_TURNS`] turns. When it becomes active again, the
//! rest of the current share is cut at once.
//!
//! A flood queues at the first place where it causes work: as hundreds of streams whose heads are
//! unread, each a task of its own, with a backend's one among them. So the lane also limits the
//! heads that it reads from strangers: at most two per turn for each restricted request of the
//! share, one connection after the other. Floods with wrong keys or origins wait there too. A
//! connection's streams wait in its own queue (`quic/stream_queue.rs`), which the stream limit
//! bounds.
//!
//! A request whose head was read must be answered. So while a turn's worth of restricted requests
//! waits, the lane reads only half as many heads as requests leave that line. Under overload,
//! requests then wait where it is cheapest, with their head unread, and a cancelled one ends there
//! (`quic/stream_queue.rs`). Some heads are always read, because the requests that fill the
//! restricted line may come from connections that are not strangers.
//!
//! What each class can rely on:
//! - **Secret**: between two reads of the sockets the lane processes at most
//!   [`RESTRICTED_PER_TURN`] restricted requests, and no line of restricted requests is ever in
//!   front of a secret one. The first secret request after a pause meets a turn of
//!   [`RESTRICTED_ALONE_PER_TURN`].
//! - **Restricted**: the request at place *k* of the line is served within ⌈k ÷
//!   [`RESTRICTED_PER_TURN`]⌉ turns, however busy secret keys are, because those have a share too
//!   ([`SECRET_PER_TURN`]).
//! - No share is wasted: while only one class makes requests, it gets one turn after the other, as
//!   fast as the lane turns.
//!
//! Requests pass the queue after their body has arrived, not before: otherwise thousands of
//! requests could pass with their heads and then all be completed in one burst. A request that
//! finds its line full before its body has arrived is refused without waiting for the body.
//!
//! It lives on one thread, without a lock. The memory of a line grows to the most requests that
//! ever waited. A request that finds part of the share left only decrements a counter; the one that
//! takes the last part wakes the task that begins turns, which sleeps while there is nothing to
//! hand out.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use authepy_engine::perimeter::api_key::KeyClass;

use crate::limits::{
    ABOUT_TURNS, RESTRICTED_ALONE_PER_TURN, RESTRICTED_PER_TURN, RESTRICTED_PLACES, SECRET_ALONE_PER_TURN,
    SECRET_PER_TURN, SECRET_PLACES,
};

mod line;
use line::Line;
pub(crate) use line::{Full, Ticket};

/// The lines of one lane. Lives on its thread.
pub(crate) struct AdmissionQueue {
    /// Connections that have shown no secret key, one place each.
    strangers: RefCell<Line>,
    secret: Class,
    restricted: Class,
    /// Wakes [`AdmissionQueue::run`] while it sleeps.
    sleeping: Cell<Option<Waker>>,
    /// Whether a socket was read since the last turn began.
    has_looked: Cell<bool>,
    /// Turns so far, wrapping.
    turns: Cell<u32>,
}

/// Requests of one class of keys.
struct Class {
    line: RefCell<Line>,
    share: Share,
    /// Number of turns for which the class still counts as active.
    about: Cell<u32>,
}

/// Requests per turn, while the other class is active and while it is not.
#[derive(Clone, Copy)]
struct Share {
    beside: u32,
    alone: u32,
}

impl Class {
    fn new(places: usize, share: Share) -> Self {
        Self { line: RefCell::new(Line::new(places, share.alone)), share, about: Cell::new(0) }
    }

    fn is_about(&self) -> bool {
        self.about.get() > 0
    }

    /// This class's share of a turn, given whether the other class is active.
    fn share_beside(&self, other: &Self) -> u32 {
        if other.is_about() { self.share.beside } else { self.share.alone }
    }
}

/// Heads of strangers to read in a turn that processes this many restricted requests: twice as
/// many, so that their line fills, and refuses, only when about two thousand arrive at once, and so
/// that requests refused after their head don't use up the share.
fn heads(restricted: u32) -> u32 {
    restricted.saturating_mul(2)
}

/// The same while a turn's worth of restricted requests waits: half of what leaves their line, so
/// that the line gets shorter.
fn heads_behind(restricted: u32) -> u32 {
    (restricted / 2).max(1)
}

impl AdmissionQueue {
    pub(crate) fn new() -> Self {
        let secret = Share { beside: SECRET_PER_TURN, alone: SECRET_ALONE_PER_TURN };
        let restricted = Share { beside: RESTRICTED_PER_TURN, alone: RESTRICTED_ALONE_PER_TURN };
        Self::with(Class::new(SECRET_PLACES, secret), Class::new(RESTRICTED_PLACES, restricted))
    }

    fn with(secret: Class, restricted: Class) -> Self {
        Self {
            // A place for each connection of the lane, which waits once for all its streams.
            strangers: RefCell::new(Line::new(usize::MAX, heads(restricted.share.alone))),
            secret,
            restricted,
            sleeping: Cell::new(None),
            has_looked: Cell::new(false),
            turns: Cell::new(0),
        }
    }

    /// The lane has read a socket.
    pub(crate) fn look(&self) {
        self.has_looked.set(true);
    }

    /// Whether a request of this class would be refused now.
    pub(crate) fn is_full(&self, class: KeyClass) -> bool {
        self.line(class).borrow().is_full()
    }

    /// Lets one request pass: at once, in a later turn, or not at all.
    pub(crate) async fn pass(&self, class: KeyClass) -> Result<(), Full> {
        self.appears(class);
        if let Some(place) = self.arrive(self.line(class))? {
            place.await;
        }
        Ok(())
    }

    /// Asks to read one more head, for a connection that has shown no secret key. Returns its place
    /// in the line, or `None` if it need not wait.
    pub(crate) fn arrive_stranger(&self) -> Option<Ticket<'_>> {
        // The line has a place for each connection, so it is never full.
        self.arrive(&self.strangers).ok().flatten()
    }

    /// Passes on a turn that a stranger had no use for.
    pub(crate) fn pass_on_stranger(&self) {
        self.strangers.borrow_mut().pass_on();
    }

    /// Charges `more` additional requests to one that passed and turned out to hold several. The
    /// line pays them back from the turns to come.
    pub(crate) fn charge(&self, class: KeyClass, more: usize) {
        self.line(class).borrow_mut().take(u32::try_from(more).unwrap_or(u32::MAX));
        self.wake_if_used_up(self.line(class));
    }

    /// Begins a turn whenever a share has been used up. Runs beside the lane's other tasks.
    pub(crate) async fn run(&self) {
        loop {
            poll_fn(|context| self.sleep(context)).await;
            loop {
                let turns = self.turns.get();
                // Resumes after the runtime has polled its sockets, which is what makes it a turn.
                // But it resumes after all tasks that this poll woke, so one of these may have
                // begun the turn already.
                tokio::task::yield_now().await;
                if self.turns.get() == turns && !self.turn() {
                    break;
                }
            }
        }
    }

    /// A request of this class arrived. If the class was not active, the rest of the other class's
    /// share is cut at once.
    fn appears(&self, class: KeyClass) {
        let (own, other) = match class {
            KeyClass::Secret => (&self.secret, &self.restricted),
            KeyClass::Restricted => (&self.restricted, &self.secret),
        };
        if own.about.replace(ABOUT_TURNS) > 0 {
            return;
        }
        other.line.borrow_mut().cut(other.share.beside);
        if class == KeyClass::Secret {
            self.strangers.borrow_mut().cut(heads(other.share.beside));
        }
    }

    /// `None`: passed. Otherwise a place to wait in.
    fn arrive<'a>(&self, line: &'a RefCell<Line>) -> Result<Option<Ticket<'a>>, Full> {
        if self.has_looked.get() {
            self.turn();
        }
        let place = Line::arrive(line)?;
        self.wake_if_used_up(line);
        Ok(place)
    }

    /// Hands out all shares, first to secret keys. Returns true if another turn must follow.
    fn turn(&self) -> bool {
        self.has_looked.set(false);
        self.turns.set(self.turns.get().wrapping_add(1));
        let share = self.restricted.share_beside(&self.secret);
        let secret = self.secret.line.borrow_mut().turn(self.secret.share_beside(&self.restricted));
        let restricted = self.restricted.line.borrow_mut().turn(share);
        let is_behind = self.restricted.line.borrow().waiting() >= share as usize;
        let heads = if is_behind { heads_behind(share) } else { heads(share) };
        let strangers = self.strangers.borrow_mut().turn(heads);
        for class in [&self.secret, &self.restricted] {
            class.about.set(class.about.get().saturating_sub(1));
        }
        secret || restricted || strangers
    }

    fn sleep(&self, context: &Context<'_>) -> Poll<()> {
        let lines = [&self.secret.line, &self.restricted.line, &self.strangers];
        if lines.iter().any(|line| line.borrow().is_used_up()) {
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
            KeyClass::Secret => &self.secret.line,
            KeyClass::Restricted => &self.restricted.line,
        }
    }
}

#[cfg(test)]
mod tests;
