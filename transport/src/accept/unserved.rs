//! Connections on which no request was accepted yet: the first to go.
//!
//! ```text
//!   enter ──▶ unserved ─┬─ a request came past key and origin ──▶ served: no longer listed
//!                       ├─ `connections.idle` after it entered ──▶ told to end politely
//!                       └─ places are few, a newcomer comes ──▶ told to end at once, the oldest first
//! ```
//!
//! Packets alone keep no connection here: a PING, a SETTINGS frame, half a head, requests that are refused. A request
//! counts as accepted once its key and its origin are. What becomes of it later does not matter: a wrong code is one.
//! The open pages (`/healthz`, the key set) need neither and don't count.
//!
//! Whom a newcomer displaces is decided by his own peer first. If his peer has more than a few of these on the lane
//! ([`UNSERVED_FEW`]), it displaces its own oldest; so a flood from a few addresses displaces itself, and the
//! handshakes of others have the time they need. Otherwise the oldest of all goes.
//!
//! Both lists are in the order in which connections came, and all have the same time, so the first is always the
//! next one to go. Costs some 200 bytes for each connection listed (three times that with IPv6, which has three
//! networks), and nothing for a packet.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::time::Duration;

use authepy_engine::clock::Moment;
use authepy_engine::perimeter::peer::{Peer, Prefix};
use tokio::sync::Notify;

use crate::limits::{UNSERVED_FEW, UNSERVED_LOOK};
use crate::observe::Protocol;

/// How a connection hears that it has to end. Its task waits for both.
#[derive(Default)]
pub(crate) struct WayOut {
    /// To make room, or because its peer is banned.
    pub(crate) at_once: Notify,
    /// With the requests that are under way.
    pub(crate) politely: Notify,
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
}

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
        lists.of(protocol).insert(number, Entry { since: now, peer, way_out });
        Listing { unserved: self.clone(), protocol, number, is_served: Cell::new(false) }
    }

    /// Tells the oldest in this network to end. False if there is none.
    pub(super) fn make_room_within(&self, network: Prefix) -> bool {
        self.0.borrow_mut().end_oldest(Candidates::Both, Some(network))
    }

    /// Tells the oldest of all to end, or of `peer` where it has more than a few. False if there is none.
    pub(super) fn make_room(&self, peer: Option<Peer>, candidates: Candidates) -> bool {
        let mut lists = self.0.borrow_mut();
        let own = peer.and_then(|peer| peer.prefixes().find(|&network| lists.has_many(candidates, network)));
        lists.end_oldest(candidates, own)
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

    fn has_many(&self, candidates: Candidates, network: Prefix) -> bool {
        let count = |list: &List| list.by_network.get(&network).map_or(0, BTreeSet::len);
        let quic = if candidates == Candidates::Both { count(&self.quic) } else { 0 };
        quic + count(&self.tcp) >= UNSERVED_FEW * network.level().factor() as usize
    }

    fn end_oldest(&mut self, candidates: Candidates, network: Option<Prefix>) -> bool {
        let quic = if candidates == Candidates::Both { self.quic.oldest(network) } else { None };
        let tcp = self.tcp.oldest(network);
        // The one with the lesser number came first.
        let (protocol, number) = match (quic, tcp) {
            (Some(quic), Some(tcp)) if quic < tcp => (Protocol::Quic, quic),
            (_, Some(tcp)) => (Protocol::Tcp, tcp),
            (Some(quic), None) => (Protocol::Quic, quic),
            (None, None) => return false,
        };
        let entry = self.of(protocol).remove(number);
        entry.inspect(|entry| entry.way_out.at_once.notify_one()).is_some()
    }
}

impl List {
    fn insert(&mut self, number: u64, entry: Entry) {
        for network in entry.peer.iter().flat_map(|peer| peer.prefixes()) {
            self.by_network.entry(network).or_default().insert(number);
        }
        self.all.insert(number, entry);
    }

    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.all.remove(&number)?;
        for network in entry.peer.iter().flat_map(|peer| peer.prefixes()) {
            if let Some(numbers) = self.by_network.get_mut(&network) {
                numbers.remove(&number);
                if numbers.is_empty() {
                    self.by_network.remove(&network);
                }
            }
        }
        Some(entry)
    }

    fn oldest(&self, network: Option<Prefix>) -> Option<u64> {
        match network {
            None => self.all.first_key_value().map(|(number, _)| *number),
            Some(network) => self.by_network.get(&network)?.first().copied(),
        }
    }
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
    }
}

#[cfg(test)]
mod tests;
