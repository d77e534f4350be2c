//! Whom a lane that can't keep up does not hear for a while.
//!
//! A datagram that QUIC reads costs a lane some 20 µs, whatever becomes of it; one dropped before that, 1.4. At ten
//! times what a lane can do the reading alone is more than it can do, and a request that is given up in the end has
//! cost nearly as much as one that is served. So the lane does not hear some phones at all, that the others are
//! served whole. A phone that hears nothing sends less and less (RFC 9002, 6.2 and 7).
//!
//! ```text
//!            a tick behind            another            behind: it falls to what the lane can do
//!   calm ─────────────────▶ counting ─────────▶ shedding ─┤ time to spare: it grows by as much
//!    ▲                          │ not behind        │     │ none, and next to nothing waits: it grows by a little
//!    └──────────────────────────┴───────────────────┘     └ none, and something waits: it stays
//!                                  nobody has asked for more than the bound
//! ```
//!
//! What the lane can do is learnt from what it did and how long it took ([`Pace`](pace::Pace), [`Idle`](idle::Idle));
//! which bound brings so much, from what came in the tick that ends, heard or not ([`Demand`](demand::Demand)). So a
//! tenfold wave is met within two ticks, and not by steps whose effect shows only when the next ones have been
//! taken. A bound that swings is dear: whoever is heard again brings all that he has given up meanwhile.
//!
//! There is one bound for all: what a phone sent in its busiest tick of late, times its lot, must not exceed it. The lot
//! is drawn evenly between 0 and 1 for each phone anew every `SHED_LOT_TICKS`. So whoever asks for less than the bound
//! is always heard, whoever asks for ten times as much for a tenth of the time, and on average all have the same:
//! a flood from a few addresses silences these, a wave of thousands silences some of them.
//!
//! A phone is an address and a port here, not a peer: many phones share an address, and how many connections a peer may
//! have, with its /56 and /48, is bounded before ([`crate::net::accept`]).
//!
//! Only who is known as a stranger can be shed: connections that were answered once and have shown no secret key.
//! Backends, whoever shares their address, trusted proxies and newcomers are always heard. And if those are what
//! a lane is busy with, it does not silence the others for them.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use authepy_engine::clock::Moment;
use authepy_engine::perimeter::api_key::KeyClass;

mod demand;
mod idle;
mod pace;
mod rule;
mod sender;
use rule::State;
use sender::Sender;

/// One lane's. Lives on its thread.
#[derive(Default)]
pub(crate) struct Shedding(RefCell<State>);

impl Shedding {
    /// A connection of this class comes from this address, for as long as the result lives.
    pub(crate) fn know(self: &Rc<Self>, address: SocketAddr, class: KeyClass) -> Known {
        let sender = Sender::from(address);
        *self.0.borrow_mut().sources.entry(sender).or_default().count(class) += 1;
        Known { shedding: self.clone(), sender, class }
    }

    /// The time; whether a socket had more to read for a whole tick; how much came of banned peers; and how long
    /// this thread has worked since its start. True if the lane must listen to [`Shedding::hear`].
    pub(crate) fn look(
        &self,
        now: Moment,
        is_full: bool,
        banned: usize,
        busy: impl FnOnce() -> Duration,
    ) -> bool {
        let mut state = self.0.borrow_mut();
        state.advance(now, busy);
        state.seen.is_full |= is_full;
        state.seen.others = state.seen.others.saturating_add(u32::try_from(banned).unwrap_or(u32::MAX));
        state.bound.is_some()
    }

    /// Whether datagrams that just came from there are read.
    pub(crate) fn hear(&self, address: SocketAddr, datagrams: usize) -> bool {
        let datagrams = u32::try_from(datagrams).unwrap_or(u32::MAX);
        self.0.borrow_mut().hear(address.into(), datagrams)
    }

    /// Datagrams that were not heard, since the start.
    pub(crate) fn shed(&self) -> u64 {
        self.0.borrow().shed
    }

    /// A request came into an stream_queue.
    pub(crate) fn entered(&self) {
        let mut state = self.0.borrow_mut();
        state.waiting += 1;
        state.seen.entered += 1;
    }

    /// One left it, to be served or not.
    pub(crate) fn left(&self, is_served: bool) {
        let mut state = self.0.borrow_mut();
        state.waiting = state.waiting.saturating_sub(1);
        match is_served {
            true => state.seen.begun += 1,
            false => state.seen.given_up += 1,
        }
    }
}

/// A connection's entry among the known; forgotten when dropped.
pub(crate) struct Known {
    shedding: Rc<Shedding>,
    sender: Sender,
    class: KeyClass,
}

impl Known {
    pub(crate) fn is(&self, address: SocketAddr, class: KeyClass) -> bool {
        (self.sender, self.class) == (address.into(), class)
    }

    /// Whether the connection is heard at present, or the lane has time for what it has said all the same.
    pub(crate) fn is_served(&self) -> bool {
        let mut state = self.shedding.0.borrow_mut();
        state.has_time() || state.is_heard(self.sender)
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        let sources = &mut self.shedding.0.borrow_mut().sources;
        if let Some(source) = sources.get_mut(&self.sender) {
            *source.count(self.class) -= 1;
            if source.strangers + source.backends == 0 {
                sources.remove(&self.sender);
            }
        }
    }
}

#[cfg(test)]
mod tests;
