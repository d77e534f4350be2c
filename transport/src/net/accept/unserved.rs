//! Connections on which no request was accepted yet: the first to go.
//!
//! ```text
//!   enter ──▶ unserved ─┬─ a request came past key and origin ──▶ served: no longer listed
//!                       ├─ `connections.idle` after it entered ──▶ told to end politely
//!                       └─ places are few, a newcomer comes ──▶ one of them is told to end at once
//! ```
//!
//! Packets alone keep no connection here: a PING, a SETTINGS frame, half a head, requests that are refused. A request
//! counts as accepted once its key and its origin are. What becomes of it later does not matter: a wrong code is one.
//! The open pages (`/healthz`, the key set) need neither and don't count.
//!
//! Each lane ends its own: one for a newcomer when the lane has its share of all connections, two when it has more, so
//! that others have room, and none when it has less and there are places left.
//!
//! The network with the most of these on the lane, the newcomer counted, makes room first, and of its connections the oldest: a flood from a
//! few addresses displaces itself, and the handshakes of others have the time they need. Of networks with equally many,
//! the one with the oldest connection is first. A /56 may have four times and a /48 sixteen times as many as a /64.
//! Connections of trusted proxies, which carry everybody, go last.
//!
//! Both lists are in the order in which connections came, and all have the same time, so the first is always the
//! next one to end. Costs some 300 bytes for each connection listed (more with IPv6, which has three networks), and
//! nothing for a packet.

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

/// How a connection hears that it has to end. Its task waits for both.
#[derive(Default)]
pub(crate) struct WayOut {
    /// To make room, or because its peer is banned.
    pub(crate) at_once: Notify,
    /// With the requests that are under way.
    pub(crate) politely: Notify,
    /// Whether it was told to end at once, to make room.
    is_leaving: Cell<bool>,
}

/// One lane's. Lives on its thread.
#[derive(Clone, Default)]
pub(super) struct Unserved(Rc<RefCell<Lists>>);

#[derive(Default)]
struct Lists {
    last: u64,
    quic: List,
    tcp: List,
}

/// Those of one protocol, by the number each got when it came.
#[derive(Default)]
struct List {
    all: BTreeMap<u64, Entry>,
    by_network: HashMap<Prefix, BTreeSet<u64>>,
    /// The networks in `by_network`; the last is the next to make room.
    ranks: BTreeSet<Rank>,
    /// Connections of the lane, those in use included and those without that were told to make room: soon to be gone.
    open: usize,
    leaving: usize,
}

/// How many connections a network has, in sixteenths of what its width allows; and how old the oldest is.
type Rank = (usize, Reverse<u64>, Prefix);

struct Entry {
    since: Moment,
    peer: Option<Peer>,
    way_out: Rc<WayOut>,
}

/// One connection's line in the list, until a request on it is accepted or it is gone.
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
    /// TCP connections only, as it is descriptors that are few.
    Tcp,
    Both,
}

impl Unserved {
    /// No peer where the address stands for many.
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

    /// Tells the oldest in this network to end. False if there is none.
    pub(super) fn make_room_within(&self, network: Prefix, candidates: Candidates) -> bool {
        self.0.borrow_mut().end_first(candidates, |list| list.first_in(network))
    }

    /// Tells the one to end that makes room first for a newcomer of this peer. False if there is none.
    pub(super) fn make_room(&self, peer: Option<Peer>, candidates: Candidates) -> bool {
        let mut lists = self.0.borrow_mut();
        match peer.and_then(|peer| lists.own_flood(peer, candidates)) {
            Some(network) => lists.end_first(candidates, |list| list.first_in(network)),
            None => lists.end_first(candidates, List::first),
        }
    }

    /// How many connections the lane has and keeps, and how many of it were told to make room and are still there.
    pub(super) fn staying_and_leaving(&self, candidates: Candidates) -> (usize, usize) {
        let lists = self.0.borrow();
        let quic =
            if candidates == Candidates::Both { (lists.quic.open, lists.quic.leaving) } else { (0, 0) };
        let (open, leaving) = (quic.0 + lists.tcp.open, quic.1 + lists.tcp.leaving);
        (open.saturating_sub(leaving), leaving)
    }

    /// Tells those to end that came before this span. Returns when to look again.
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

    /// Of both lists' candidates the one that ranks higher.
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

    /// The network of a newcomer that would have the most with it, if it has any yet.
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

    /// Which makes room first: the oldest of the network with the most, else the oldest that has no network.
    fn first(&self) -> Option<(usize, Reverse<u64>)> {
        let ranked = self.ranks.last().map(|(load, oldest, _)| (*load, *oldest));
        ranked.or_else(|| self.all.first_key_value().map(|(number, _)| (0, Reverse(*number))))
    }

    fn first_in(&self, network: Prefix) -> Option<(usize, Reverse<u64>)> {
        Some((0, Reverse(*self.by_network.get(&network)?.first()?)))
    }
}

/// `None` for a network that has none.
fn rank(network: Prefix, numbers: &BTreeSet<u64>) -> Option<Rank> {
    Some((load(network, numbers.len()), Reverse(*numbers.first()?), network))
}

fn load(network: Prefix, connections: usize) -> usize {
    let widest = Level::V6Net48.factor() as usize;
    connections * widest / network.level().factor() as usize
}

impl Listing {
    /// A request on it was accepted.
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
