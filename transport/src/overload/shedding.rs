//! Load shedding: which clients' datagrams an overloaded lane drops unread.
//!
//! A datagram that QUIC processes costs a lane about 20 µs, whatever comes of it; one dropped
//! before QUIC costs 1.4 µs. At ten times a lane's capacity, reading alone takes more than the
//! whole capacity, and a request that is given up in the end has cost nearly as much as one that is
//! served. So the lane drops everything from some clients and serves the others completely. A
//! client that gets no answers sends less and less (RFC 9002, 6.2 and 7).
//!
//! ```text
//!            a tick behind            another            behind: the threshold falls to the lane's capacity
//!   calm ─────────────────▶ counting ─────────▶ shedding ─┤ idle time: it grows by the idle share
//!    ▲                          │ not behind        │     │ busy, almost nothing waits: it grows by 5 %
//!    └──────────────────────────┴───────────────────┘     └ busy, requests wait: it stays
//!                      the threshold exceeds what any client can send
//! ```
//!
//! The lane's capacity is learnt from the requests it began and the time they took
//! ([`Pace`](pace::Pace), [`Idle`](idle::Idle)). The threshold that admits that much is computed
//! from all datagrams of the tick that ends, shed or not ([`Demand`](demand::Demand)). So a tenfold
//! wave is met within two ticks, without a control loop of small steps whose effect shows late. A
//! threshold that oscillates is expensive: a client that gets through again resends everything it
//! has given up in the meantime.
//!
//! One threshold (`bound`) applies to every client: its peak rate times a random weight in (0, 1].
//! Clients above it are shed. The peak rate is the number of datagrams in the client's busiest
//! tick; it decays by 1/32 per tick. Weights are uniform, and each client gets a new one every
//! [`SHED_WEIGHT_TICKS`](crate::limits::SHED_WEIGHT_TICKS). So a client below the threshold is
//! never shed, a client at ten times the threshold is served for a tenth of the time, and on
//! average all are served the same amount: a flood from a few addresses sheds itself, and of a wave
//! of thousands of clients some are shed.
//!
//! A client here is an address and a port, not a peer: many phones share an address, and
//! [`crate::net::accept`] already bounds how many connections a peer, its /56 and its /48 may have.
//!
//! Only *strangers* can be shed: connections that were answered at least once and have shown no
//! secret key. Backends, clients that share an address and port with one, trusted proxies and new
//! connections are never shed. If these are what the lane is busy with, it does not shed strangers
//! for it.

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

/// The load shedding of one lane. Lives on its thread.
#[derive(Default)]
pub(crate) struct Shedding(RefCell<State>);

impl Shedding {
    /// Registers a connection of this class from this address, for as long as the result lives.
    pub(crate) fn know(self: &Rc<Self>, address: SocketAddr, class: KeyClass) -> Known {
        let sender = Sender::from(address);
        *self.0.borrow_mut().sources.entry(sender).or_default().count(class) += 1;
        Known { shedding: self.clone(), sender, class }
    }

    /// Advances to `now`. `is_full`: a socket had more to read for a whole tick. `banned`:
    /// datagrams that came from banned peers. `busy`: how long this thread has worked since its
    /// start. Returns true if the lane must call [`Shedding::hear`] for each datagram.
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

    /// Counts datagrams that just came from this address. Returns whether to read them.
    pub(crate) fn hear(&self, address: SocketAddr, datagrams: usize) -> bool {
        let datagrams = u32::try_from(datagrams).unwrap_or(u32::MAX);
        self.0.borrow_mut().hear(address.into(), datagrams)
    }

    /// Datagrams shed since the start.
    pub(crate) fn shed(&self) -> u64 {
        self.0.borrow().shed
    }

    /// A request entered a stream queue.
    pub(crate) fn entered(&self) {
        let mut state = self.0.borrow_mut();
        state.waiting += 1;
        state.seen.entered += 1;
    }

    /// A request left a stream queue, to be served or not.
    pub(crate) fn left(&self, is_served: bool) {
        let mut state = self.0.borrow_mut();
        state.waiting = state.waiting.saturating_sub(1);
        match is_served {
            true => state.seen.begun += 1,
            false => state.seen.given_up += 1,
        }
    }
}

/// A connection's registration; removed when dropped.
pub(crate) struct Known {
    shedding: Rc<Shedding>,
    sender: Sender,
    class: KeyClass,
}

impl Known {
    pub(crate) fn is(&self, address: SocketAddr, class: KeyClass) -> bool {
        (self.sender, self.class) == (address.into(), class)
    }

    /// Whether the connection's datagrams are read at present, or the lane has time for its
    /// requests anyway.
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
