//! What becomes of a new connection: accept · retry · refuse.
//!
//! Decided before any key is derived. The bounds of `connections.*` are the process's; a lane takes its
//! share of them, because the steering spreads new connections evenly.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use quinn::{Endpoint, Incoming};

use crate::config::Connections;
use crate::connection;
use crate::desk::Desk;

/// The connection bounds of one lane, and what is used of them.
#[derive(Clone)]
pub(crate) struct Admission(Arc<Bounds>);

struct Bounds {
    max: usize,
    per_peer: usize,
    retry_above: usize,
    resets: u32,
    idle: Duration,
    deadline: Duration,
}

/// What is in use on this lane, by QUIC and TCP on all of its addresses. Made on its thread.
#[derive(Clone, Default)]
pub(crate) struct InUse(Rc<RefCell<Tally>>);

#[derive(Default)]
struct Tally {
    open: usize,
    handshaking: usize,
    by_peer: HashMap<IpAddr, usize>,
}

/// A verdict on one Initial.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Accept,
    Retry,
    Refuse,
}

impl Admission {
    pub(crate) fn new(bounds: &Connections, lanes: usize) -> Self {
        let share = |whole: u32| (whole as usize).div_ceil(lanes).max(1);
        Self(Arc::new(Bounds {
            max: share(bounds.max),
            per_peer: bounds.per_peer as usize,
            retry_above: (bounds.retry_above as usize).div_ceil(lanes),
            resets: bounds.resets,
            idle: bounds.idle.0,
            deadline: bounds.deadline.0,
        }))
    }

    /// Stream resets one connection may cause.
    pub(crate) fn resets(&self) -> u32 {
        self.0.resets
    }

    /// Longest a connection may stay without a request under way. quinn keeps to it by itself.
    pub(crate) fn idle(&self) -> Duration {
        self.0.idle
    }

    /// Longest a request may take to arrive, or an answer to be taken.
    pub(crate) fn deadline(&self) -> Duration {
        self.0.deadline
    }

    /// Counts a connection of `peer` in, unless a bound is reached.
    pub(crate) fn enter(&self, in_use: &InUse, peer: IpAddr) -> Option<Place> {
        let mut tally = in_use.0.borrow_mut();
        let of_peer = tally.by_peer.get(&peer).copied().unwrap_or(0);
        if tally.open >= self.0.max || of_peer >= self.0.per_peer {
            return None;
        }
        tally.open += 1;
        tally.handshaking += 1;
        tally.by_peer.insert(peer, of_peer + 1);
        Some(Place { in_use: in_use.clone(), peer, handshaking: true })
    }

    fn verdict(&self, in_use: &InUse, validated: bool, may_retry: bool) -> Verdict {
        let busy = in_use.0.borrow().handshaking >= self.0.retry_above;
        match (busy && !validated, may_retry) {
            (true, true) => Verdict::Retry,
            (true, false) => Verdict::Refuse,
            (false, _) => Verdict::Accept,
        }
    }
}

/// One connection's place in the tally; given back when dropped.
pub(crate) struct Place {
    in_use: InUse,
    peer: IpAddr,
    handshaking: bool,
}

impl Place {
    /// The handshake is over.
    pub(crate) fn established(&mut self) {
        if std::mem::take(&mut self.handshaking) {
            self.in_use.0.borrow_mut().handshaking -= 1;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.established();
        let mut tally = self.in_use.0.borrow_mut();
        tally.open -= 1;
        if let Some(of_peer) = tally.by_peer.get_mut(&self.peer) {
            *of_peer -= 1;
            if *of_peer == 0 {
                tally.by_peer.remove(&self.peer);
            }
        }
    }
}

/// Decides about every connection that knocks at one endpoint, until the process ends.
pub(crate) async fn accept(endpoint: Endpoint, desk: Desk, admission: Admission, in_use: InUse) {
    while let Some(incoming) = endpoint.accept().await {
        if desk.drain().has_begun() {
            incoming.refuse();
            continue;
        }
        decide(incoming, &desk, &admission, &in_use);
    }
}

fn decide(incoming: Incoming, desk: &Desk, admission: &Admission, in_use: &InUse) {
    match admission.verdict(in_use, incoming.remote_address_validated(), incoming.may_retry()) {
        Verdict::Accept => {
            let peer = incoming.remote_address().ip().to_canonical();
            match admission.enter(in_use, peer) {
                Some(place) => {
                    let drive = connection::drive(incoming, desk.clone(), admission.clone(), place);
                    tokio::task::spawn_local(drive);
                }
                None => incoming.refuse(),
            }
        }
        Verdict::Retry => {
            // An error means that this one was a retry's answer already, which `may_retry` excludes.
            let _sent = incoming.retry();
        }
        Verdict::Refuse => incoming.refuse(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(max: usize, per_peer: usize, retry_above: usize) -> Admission {
        let (idle, deadline) = (Duration::from_secs(1), Duration::from_secs(1));
        Admission(Arc::new(Bounds { max, per_peer, retry_above, resets: 1, idle, deadline }))
    }

    #[test]
    fn places_are_bounded_per_peer_and_in_all_and_given_back() {
        let (admission, in_use) = (admission(3, 2, 10), InUse::default());
        let [ada, bob]: [IpAddr; 2] = ["127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap()];
        let first = admission.enter(&in_use, ada).unwrap();
        let _second = admission.enter(&in_use, ada).unwrap();
        assert!(admission.enter(&in_use, ada).is_none(), "two are ada's share");
        let _third = admission.enter(&in_use, bob).unwrap();
        assert!(admission.enter(&in_use, bob).is_none(), "three are all there are");
        drop(first);
        assert!(admission.enter(&in_use, bob).is_some());
        assert_eq!(in_use.0.borrow().by_peer.len(), 2);
    }

    #[test]
    fn unvalidated_peers_are_asked_to_retry_only_under_load() {
        let (admission, in_use) = (admission(10, 10, 1), InUse::default());
        assert_eq!(admission.verdict(&in_use, false, true), Verdict::Accept);
        let mut place = admission.enter(&in_use, "127.0.0.1".parse().unwrap()).unwrap();
        assert_eq!(admission.verdict(&in_use, false, true), Verdict::Retry);
        assert_eq!(admission.verdict(&in_use, false, false), Verdict::Refuse);
        assert_eq!(admission.verdict(&in_use, true, false), Verdict::Accept);
        place.established();
        assert_eq!(admission.verdict(&in_use, false, true), Verdict::Accept);
    }
}
