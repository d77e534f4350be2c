//! Connections on which no request was accepted yet: the first to be closed.
//!
//! ```text
//!   enter ──▶ unserved ─┬─ a request with a valid key and origin ──▶ served: no longer listed
//!                       ├─ `connections.idle` after it entered ──▶ told to end politely
//!                       └─ connections are scarce, a newcomer comes ──▶ one is told to end at once
//! ```
//!
//! Packets alone don't keep a connection alive here: a PING, a SETTINGS frame, half a head, or
//! refused requests. A request counts as accepted once its key and origin are valid. The result
//! doesn't matter: a check with a wrong code counts. The open pages (`/healthz`, the key set) need
//! neither key nor origin and don't count.
//!
//! Each lane closes its own connections for a newcomer: one if the lane has exactly its share of
//! all connections, two if it has more, so that other lanes get room, and none if it has less and
//! the cap is not reached.
//!
//! The network with the most listed connections on the lane, the newcomer included, makes room
//! first, with its oldest connection. So a flood from a few addresses displaces itself, and the
//! handshakes of others have the time they need. Among networks with equally many, the one with the
//! oldest connection is first. A /56 may have four times and a /48 sixteen times as many as a /64.
//! Connections of trusted proxies, which carry many peers, go last.
//!
//! Both lists are in order of arrival, and all connections have the same time, so the first entry
//! is always the next to end. Costs about 300 bytes for each listed connection (more with IPv6,
//! which has three networks), and nothing per packet.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::time::Duration;

use authepy_engine::clock::Moment;
use authepy_engine::peer::{Level, Peer, Prefix};
use tokio::sync::Notify;

use crate::limits::UNSERVED_LOOK;
use crate::metrics::Protocol;

/// Signals that a connection has to end. Its task waits for both.
#[derive(Default)]
pub(crate) struct WayOut {
    /// To make room, or because its peer is banned.
    pub(crate) at_once: Notify,
    /// After the requests in progress.
    pub(crate) politely: Notify,
    /// Whether it was told to end at once, to make room.
    is_leaving: Cell<bool>,
}

/// The unserved connections of one lane. Lives on its thread.
#[derive(Clone, Default)]
pub(super) struct Unserved(Rc<RefCell<Lists>>);

#[derive(Default)]
struct Lists {
    last: u64,
    quic: List,
    tcp: List,
}

/// The connections of one protocol, by the number that each got on arrival.
#[derive(Default)]
struct List {
    all: BTreeMap<u64, Entry>,
    by_network: HashMap<Prefix, BTreeSet<u64>>,
    /// The networks in `by_network`; the last is the next to make room.
    ranks: BTreeSet<Rank>,
    /// All connections of the lane, served ones included; and how many of these were told to make
    /// room and are not closed yet.
    open: usize,
    leaving: usize,
}

/// A network's number of connections, in sixteenths of what its width allows, and its oldest
/// connection.
type Rank = (usize, Reverse<u64>, Prefix);

struct Entry {
    since: Moment,
    peer: Option<Peer>,
    way_out: Rc<WayOut>,
}

/// One connection's entry in the list, until a request on it is accepted or it is closed.
pub(crate) struct Listing {
    unserved: Unserved,
    protocol: Protocol,
    number: u64,
    is_served: Cell<bool>,
    way_out: Rc<WayOut>,
}

/// Which connections may make room.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Candidates {
    /// TCP connections only, if file descriptors are scarce.
    Tcp,
    Both,
}

impl Unserved {
    /// Lists a connection. `peer` is `None` if the address stands for many.
    pub(super) fn enter(
        &self,
        now: Moment,
        protocol: Protocol,
        peer: Option<Peer>,
        way_out: Rc<WayOut>,
    ) -> Listing {
        let mut lists = self.0.borrow_mut();
        lists.last += 1;
        let number = lists.last;
        let list = lists.of(protocol);
        list.open += 1;
        list.insert(number, Entry { since: now, peer, way_out: way_out.clone() });
        Listing { unserved: self.clone(), protocol, number, is_served: Cell::new(false), way_out }
    }

    /// Tells the oldest connection of this network to end. False if there is none.
    pub(super) fn make_room_within(&self, network: Prefix, candidates: Candidates) -> bool {
        self.0.borrow_mut().end_first(candidates, |list| list.first_in(network))
    }

    /// Tells the connection to end that is the first to make room for a newcomer of this peer.
    /// False if there is none.
    pub(super) fn make_room(&self, peer: Option<Peer>, candidates: Candidates) -> bool {
        let mut lists = self.0.borrow_mut();
        match peer.and_then(|peer| lists.own_flood(peer, candidates)) {
            Some(network) => lists.end_first(candidates, |list| list.first_in(network)),
            None => lists.end_first(candidates, List::first),
        }
    }

    /// The lane's connections that stay, and those that were told to make room and are not closed
    /// yet.
    pub(super) fn staying_and_leaving(&self, candidates: Candidates) -> (usize, usize) {
        let lists = self.0.borrow();
        let quic =
            if candidates == Candidates::Both { (lists.quic.open, lists.quic.leaving) } else { (0, 0) };
        let (open, leaving) = (quic.0 + lists.tcp.open, quic.1 + lists.tcp.leaving);
        (open.saturating_sub(leaving), leaving)
    }

    /// Tells connections that are older than `span` to end. Returns the time until the next call.
    pub(super) fn expire(&self, now: Moment, span: Duration) -> Duration {
        let mut lists = self.0.borrow_mut();
        let mut next = span;
        for protocol in [Protocol::Quic, Protocol::Tcp] {
            let list = lists.of(protocol);
            while let Some((&number, entry)) = list.all.first_key_value() {
                let age = now.since(entry.since);
                if age < span {
                    next = next.min(span - age);
                    break;
                }
                if let Some(entry) = list.remove(number) {
                    entry.way_out.politely.notify_one();
                }
            }
        }
        next.max(UNSERVED_LOOK)
    }
}

impl Lists {
    fn of(&mut self, protocol: Protocol) -> &mut List {
        match protocol {
            Protocol::Quic => &mut self.quic,
            Protocol::Tcp => &mut self.tcp,
        }
    }

    /// Ends the candidate of the two lists that ranks higher.
    fn end_first(
        &mut self,
        candidates: Candidates,
        first: impl Fn(&List) -> Option<(usize, Reverse<u64>)>,
    ) -> bool {
        let quic = if candidates == Candidates::Both { first(&self.quic) } else { None };
        let (protocol, number) = match (quic, first(&self.tcp)) {
            (Some(quic), tcp) if tcp.is_none_or(|tcp| quic > tcp) => (Protocol::Quic, quic.1.0),
            (_, Some(tcp)) => (Protocol::Tcp, tcp.1.0),
            (_, None) => return false,
        };
        let list = self.of(protocol);
        let Some(entry) = list.remove(number) else { return false };
        list.leaving += 1;
        entry.way_out.is_leaving.set(true);
        entry.way_out.at_once.notify_one();
        true
    }

    /// The newcomer's network, if it already has listed connections and would rank first with one
    /// more.
    fn own_flood(&self, peer: Peer, candidates: Candidates) -> Option<Prefix> {
        let lists = [&self.tcp, &self.quic];
        let lists = &lists[..if candidates == Candidates::Both { 2 } else { 1 }];
        let most = lists.iter().filter_map(|list| list.first()).map(|(load, _)| load).max()?;
        peer.prefixes().find(|&network| {
            let has = |list: &&List| list.by_network.get(&network).map_or(0, BTreeSet::len);
            let has: usize = lists.iter().map(has).sum();
            has > 0 && load(network, has + 1) > most
        })
    }
}

impl List {
    fn insert(&mut self, number: u64, entry: Entry) {
        for network in entry.peer.iter().flat_map(|peer| peer.prefixes()) {
            self.change(network, |numbers| numbers.insert(number));
        }
        self.all.insert(number, entry);
    }

    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.all.remove(&number)?;
        for network in entry.peer.iter().flat_map(|peer| peer.prefixes()) {
            self.change(network, |numbers| numbers.remove(&number));
        }
        Some(entry)
    }

    fn change(&mut self, network: Prefix, change: impl FnOnce(&mut BTreeSet<u64>) -> bool) {
        let numbers = self.by_network.entry(network).or_default();
        if let Some(rank) = rank(network, numbers) {
            self.ranks.remove(&rank);
        }
        change(numbers);
        match rank(network, numbers) {
            Some(rank) => self.ranks.insert(rank),
            None => self.by_network.remove(&network).is_some(),
        };
    }

    /// The first to make room: the oldest of the network with the most, or else the oldest without
    /// a network.
    fn first(&self) -> Option<(usize, Reverse<u64>)> {
        let ranked = self.ranks.last().map(|(load, oldest, _)| (*load, *oldest));
        ranked.or_else(|| self.all.first_key_value().map(|(number, _)| (0, Reverse(*number))))
    }

    fn first_in(&self, network: Prefix) -> Option<(usize, Reverse<u64>)> {
        Some((0, Reverse(*self.by_network.get(&network)?.first()?)))
    }
}

/// `None` for a network without connections.
fn rank(network: Prefix, numbers: &BTreeSet<u64>) -> Option<Rank> {
    Some((load(network, numbers.len()), Reverse(*numbers.first()?), network))
}

fn load(network: Prefix, connections: usize) -> usize {
    let widest = Level::V6Net48.factor() as usize;
    connections * widest / network.level().factor() as usize
}

impl Listing {
    /// A request on the connection was accepted.
    pub(crate) fn served(&self) {
        if !self.is_served.replace(true) {
            self.unserved.0.borrow_mut().of(self.protocol).remove(self.number);
        }
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        self.served();
        let mut lists = self.unserved.0.borrow_mut();
        let list = lists.of(self.protocol);
        list.open -= 1;
        list.leaving -= usize::from(self.way_out.is_leaving.get());
    }
}

#[cfg(test)]
mod tests;
