//! Lines in front of the shards: what secret keys ask and what restricted keys ask wait apart.
//!
//! ```text
//!   a stream of a connection that has shown no secret key
//!      └─ at most 32 a turn; a connection waits with all of them at once ─▶ read its newest's head, admit
//!
//!                     ┌─ share of this turn left ────────────────────────────▶ parse ─▶ shard ─▶ reply
//!   admitted, ────────┤
//!   its body arrived  ├─ else a place in its class's line ─┐                     ▲
//!                     │    secret      4,096 places        ├─ next turn: secret ─┤ at most 64 ┐ 256 while the
//!                     │    restricted  1,024 places        ┘    then restricted ─┘ at most 16 ┘ other is not about
//!                     └─ no place: 503 `overloaded`, at once
//! ```
//!
//! A *turn* is one round of the lane's runtime: its sockets were looked at once, and what became ready
//! was run. The first request after a read of a socket begins one; where somebody waits and nothing is read, a task
//! does, once the runtime has looked. Whatever hundreds of restricted requests are ready, only a share of them is
//! worked on before the lane looks at its sockets again, so that a backend's request is read, found ready and let
//! through meanwhile.
//!
//! A small share is dear: answers that leave together share a datagram and a call, and a turn has costs of its own. So
//! it is small only while the other class is *about*: it has asked within the last [`ABOUT_TURNS`] turns. Whoever comes
//! back cuts what is left of the other's share at once.
//!
//! A flood queues where its work is first ready: as hundreds of streams whose heads nobody has read, each
//! a task of its own, with a backend's one among them. So the lane also reads at most two heads a turn for each
//! restricted request of the share from connections that have not shown a secret key, one
//! connection after the other. Whoever floods with wrong keys or origins waits there too, and a
//! connection's streams wait at its own place (`connection/stream_queue.rs`), as many as its stream limit lets be.
//!
//! What has been read has to be answered, so while a turn's worth of restricted requests waits behind its head, only
//! half as many heads as leave that line are read: in an overload the wait is where it costs least, in front of the
//! head, and ends there for whoever cancels (`connection/stream_queue.rs`). Some heads are read all the same, since those
//! who fill the restricted line need not be strangers.
//!
//! What each class may rely on:
//! - **Secret**: between two looks at the sockets the lane works on at most [`RESTRICTED_PER_TURN`]
//!   restricted requests, and a line of restricted requests is never in front of a secret one. The first one after
//!   a while meets a turn of [`RESTRICTED_ALONE_PER_TURN`].
//! - **Restricted**: place *k* of the line is served within ⌈k ÷ [`RESTRICTED_PER_TURN`]⌉ turns however
//!   busy secret keys are, because they too have a share ([`SECRET_PER_TURN`]).
//! - Neither share is lost: while only one class asks, it gets turn after turn, as fast as the lane turns.
//!
//! The gate stands behind the body's arrival, not before it: else thousands of requests could be let
//! through with their heads and then all be finished in one burst. A request that finds its line full
//! before its body has come is refused without waiting for it.
//!
//! It lives on one thread, without a lock. A line's memory grows to the most that ever waited. Who finds some of the share left only counts; who takes the
//! last of it wakes the task that begins turns, which sleeps whenever there is nothing to hand out.

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
pub(crate) use line::{Full, Place};

/// The lines of one lane. Lives on its thread.
pub(crate) struct AdmissionQueue {
    /// Connections that have shown no secret key, each with one stream.
    strangers: RefCell<Line>,
    secret: Class,
    restricted: Class,
    /// Wakes [`AdmissionQueue::run`] while it sleeps.
    sleeping: Cell<Option<Waker>>,
    /// Whether a socket was read since the last turn began.
    has_looked: Cell<bool>,
    /// Turns so far, counted around.
    turns: Cell<u32>,
}

/// Requests of one class of keys.
struct Class {
    line: RefCell<Line>,
    share: Share,
    /// Turns left for which it counts as about.
    about: Cell<u32>,
}

/// Requests a turn, while the other class is about and while it is not.
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

    /// Its share of a turn beside that class.
    fn share_beside(&self, other: &Self) -> u32 {
        if other.is_about() { self.share.beside } else { self.share.alone }
    }
}

/// Heads of strangers read in a turn in which so many restricted requests are worked on: twice as many, so that
/// their line fills, and refuses, only when two thousand of them come at once, and what is refused after its head
/// does not use up the rest.
fn heads(restricted: u32) -> u32 {
    restricted.saturating_mul(2)
}

/// The same while a turn's worth of restricted requests waits: half of what leaves their line, so that it grows
/// short again.
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
            // As many places as the lane has connections: each waits once, with all its streams.
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

    /// Lets one request through: at once, in a later turn, or not at all.
    pub(crate) async fn pass(&self, class: KeyClass) -> Result<(), Full> {
        self.appears(class);
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
                let turns = self.turns.get();
                // Comes back once the runtime has looked at its sockets: that is what makes it a turn. Behind all that
                // this look has woken, though, so one of these may have begun the turn already.
                tokio::task::yield_now().await;
                if self.turns.get() == turns && !self.turn() {
                    break;
                }
            }
        }
    }

    /// The class has asked. If it was not about, what is left of the other's share becomes small at once.
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
    fn arrive<'a>(&self, line: &'a RefCell<Line>) -> Result<Option<Place<'a>>, Full> {
        if self.has_looked.get() {
            self.turn();
        }
        let place = Line::arrive(line)?;
        self.wake_if_used_up(line);
        Ok(place)
    }

    /// Hands out all shares, secret keys' first. True if another turn has to follow.
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
