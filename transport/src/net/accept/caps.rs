//! Caps on connections: in total, over TCP, and per peer, counted for the whole process.
//!
//! ```text
//!   Initial ──▶ unvalidated ──handshake complete──▶ validated ──▶ (closed)
//!      total: 1 │ of the peer: 0                     total: 1 │ of the peer: 1
//!   answered Retry, TCP ──▶ validated
//! ```
//!
//! Anyone can send an Initial with a forged source, so an unvalidated connection counts against no
//! peer: otherwise an attacker could use up a victim's share. It is only checked against the peer's
//! validated connections, and there are at most `connections.retry_above` unvalidated ones, or half
//! of `connections.max` if that is less.
//!
//! A connection from IPv6 counts for three networks: for its /64, limited to
//! `connections.per_peer`, for its /56, limited to four times that, and for its /48, limited to
//! sixteen times that. TCP connections take a file descriptor each, and have a separate cap for it
//! ([`crate::process::descriptors`]).
//!
//! All lanes share the counts without a lock. A network is counted in two cells, one in each row,
//! selected by a keyed hash. Other networks may share one of the cells, but hardly ever both, so
//! its count is the smaller of the two. Each newcomer adds itself before it checks, so of several
//! that race for the last places the last one sees them all: a cap is never exceeded, though a race
//! may leave a place empty.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use authepy_engine::peer::{Peer, Prefix};

use crate::config::Connections;
use crate::limits::{CROWDED_PART, PEER_CELLS};
use crate::metrics::Protocol;

/// Maximum number of networks of one peer: /64, /56 and /48.
const NETWORKS: usize = 3;

/// The counts. One for all lanes.
#[derive(Debug)]
pub(crate) struct Caps {
    max: usize,
    tcp_max: usize,
    per_peer: u32,
    unvalidated_max: usize,
    open: AtomicUsize,
    tcp: AtomicUsize,
    unvalidated: AtomicUsize,
    rows: [Box<[AtomicU32]>; 2],
    hash: RandomState,
}

impl Caps {
    /// No connection is open. At most `tcp_max` may be TCP connections.
    pub(crate) fn new(bounds: &Connections, tcp_max: usize) -> Arc<Self> {
        Self::with(bounds.max as usize, tcp_max, bounds.per_peer, bounds.retry_above as usize)
    }

    fn with(max: usize, tcp_max: usize, per_peer: u32, retry_above: usize) -> Arc<Self> {
        let row = || (0..PEER_CELLS).map(|_| AtomicU32::new(0)).collect();
        Arc::new(Self {
            max,
            tcp_max: tcp_max.min(max),
            per_peer,
            unvalidated_max: retry_above.min(max.div_ceil(2)),
            open: AtomicUsize::new(0),
            tcp: AtomicUsize::new(0),
            unvalidated: AtomicUsize::new(0),
            rows: [row(), row()],
            hash: RandomState::new(),
        })
    }

    /// Whether there are so many unvalidated handshakes that newcomers must validate their address
    /// first.
    pub(super) fn is_busy(&self) -> bool {
        self.unvalidated.load(Ordering::SeqCst) >= self.unvalidated_max
    }

    /// Whether connections are scarce for a newcomer over this protocol.
    pub(super) fn is_crowded(&self, protocol: Protocol) -> bool {
        let crowded = |(open, cap)| open >= crowded_from(cap);
        crowded(self.all()) || (protocol == Protocol::Tcp && crowded(self.tcp()))
    }

    /// Open connections, and the cap.
    pub(super) fn all(&self) -> (usize, usize) {
        (self.open.load(Ordering::SeqCst), self.max)
    }

    /// The same for TCP connections, which are limited by file descriptors.
    pub(super) fn tcp(&self) -> (usize, usize) {
        (self.tcp.load(Ordering::SeqCst), self.tcp_max)
    }

    /// The narrowest network of this peer that has nearly used up its share.
    pub(super) fn crowded_network(&self, peer: Peer) -> Option<Prefix> {
        peer.prefixes().find(|&network| {
            let near = crowded_from(self.share_of(network) as usize);
            self.least(self.cells(network)) as usize >= near
        })
    }

    /// A place for a peer with a validated address; `None` as peer for an address that stands for
    /// many.
    pub(super) fn enter(self: &Arc<Self>, peer: Option<Peer>, protocol: Protocol) -> Option<ConnectionSlot> {
        let mut place = self.place(protocol)?;
        place.count_for(peer).then_some(place)
    }

    /// A place for a connection with an unvalidated address. It counts against no peer until the
    /// address is validated.
    pub(super) fn enter_unvalidated(self: &Arc<Self>, claimed: Option<Peer>) -> Option<ConnectionSlot> {
        let is_full = |network| self.least(self.cells(network)) >= self.share_of(network);
        if claimed.is_some_and(|peer| peer.prefixes().any(is_full)) {
            return None;
        }
        let mut place = self.place(Protocol::Quic)?;
        self.unvalidated.fetch_add(1, Ordering::SeqCst);
        place.is_unvalidated = true;
        Some(place)
    }

    fn place(self: &Arc<Self>, protocol: Protocol) -> Option<ConnectionSlot> {
        // Its drop gives it back if it exceeds a cap.
        let place = ConnectionSlot {
            caps: self.clone(),
            protocol,
            cells: Default::default(),
            networks: 0,
            is_unvalidated: false,
        };
        let is_within = self.open.fetch_add(1, Ordering::SeqCst) < self.max;
        let is_tcp_within =
            protocol == Protocol::Quic || self.tcp.fetch_add(1, Ordering::SeqCst) < self.tcp_max;
        (is_within && is_tcp_within).then_some(place)
    }

    /// Connections that one network may have.
    fn share_of(&self, network: Prefix) -> u32 {
        self.per_peer.saturating_mul(network.level().factor())
    }

    /// Two independent cells of a network: two 16-bit parts of one hash.
    fn cells(&self, network: Prefix) -> [u16; 2] {
        let hash = self.hash.hash_one(network);
        [hash as u16, (hash >> 32) as u16]
    }

    fn counts(&self, cells: [u16; 2]) -> [&AtomicU32; 2] {
        let [first, second] = &self.rows;
        [&first[usize::from(cells[0])], &second[usize::from(cells[1])]]
    }

    fn least(&self, cells: [u16; 2]) -> u32 {
        let [first, second] = self.counts(cells).map(|count| count.load(Ordering::SeqCst));
        first.min(second)
    }
}

// A cell is named by a `u16`.
const _: () = assert!(PEER_CELLS == 1 << 16);

/// The number of connections from which on they are scarce: all but an eighth of the cap. A cap
/// below eight is scarce when reached.
pub(super) const fn crowded_from(cap: usize) -> usize {
    cap - cap / CROWDED_PART
}

/// One connection's place in the counts; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct ConnectionSlot {
    caps: Arc<Caps>,
    protocol: Protocol,
    /// The cells that count it for its peer; the first `networks` are in use.
    cells: [[u16; 2]; NETWORKS],
    networks: u8,
    is_unvalidated: bool,
}

impl ConnectionSlot {
    /// Completes the handshake: from now on the place counts against the peer. False if the peer
    /// has too many.
    pub(super) fn validated(&mut self, peer: Option<Peer>) -> bool {
        if !std::mem::take(&mut self.is_unvalidated) {
            return true;
        }
        self.caps.unvalidated.fetch_sub(1, Ordering::SeqCst);
        self.count_for(peer)
    }

    fn count_for(&mut self, peer: Option<Peer>) -> bool {
        let Some(peer) = peer else { return true };
        let mut is_within = true;
        for (network, counted) in peer.prefixes().zip(&mut self.cells) {
            *counted = self.caps.cells(network);
            for count in self.caps.counts(*counted) {
                count.fetch_add(1, Ordering::SeqCst);
            }
            self.networks += 1;
            is_within &= self.caps.least(*counted) <= self.caps.share_of(network);
        }
        is_within
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        if self.is_unvalidated {
            self.caps.unvalidated.fetch_sub(1, Ordering::SeqCst);
        }
        for cells in self.cells.iter().take(usize::from(self.networks)) {
            for count in self.caps.counts(*cells) {
                count.fetch_sub(1, Ordering::SeqCst);
            }
        }
        if self.protocol == Protocol::Tcp {
            self.caps.tcp.fetch_sub(1, Ordering::SeqCst);
        }
        self.caps.open.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Barrier;

    use super::Protocol::{Quic, Tcp};
    use super::*;

    fn peer(n: u8) -> Option<Peer> {
        Some(Peer::from(IpAddr::from([127, 0, 0, n])))
    }

    fn is_empty(caps: &Caps) -> bool {
        let cells = caps.rows.iter().flatten().all(|cell| cell.load(Ordering::SeqCst) == 0);
        let counts = [&caps.open, &caps.tcp, &caps.unvalidated];
        cells && counts.into_iter().all(|count| count.load(Ordering::SeqCst) == 0)
    }

    #[test]
    fn places_are_bounded_per_peer_and_in_all_and_given_back() {
        let caps = Caps::with(3, 3, 2, 10);
        let first = caps.enter(peer(1), Quic).unwrap();
        let second = caps.enter(peer(1), Quic).unwrap();
        assert!(caps.enter(peer(1), Quic).is_none(), "two are its share");
        let third = caps.enter(peer(2), Quic).unwrap();
        assert!(caps.enter(peer(2), Quic).is_none(), "three is the cap");
        drop(first);
        let fourth = caps.enter(peer(2), Quic).unwrap();
        drop((second, third, fourth));
        assert!(is_empty(&caps));
    }

    #[test]
    fn forged_initials_use_up_nobodys_share() {
        let caps = Caps::with(100, 100, 2, 10);
        let mut forged: Vec<_> = (0..10).map(|_| caps.enter_unvalidated(peer(1)).unwrap()).collect();
        assert!(caps.is_busy(), "from now on a Retry is sent first");
        let proved: Vec<_> = (0..2).map(|_| caps.enter(peer(1), Quic).unwrap()).collect();
        assert!(caps.enter_unvalidated(peer(1)).is_none(), "validated connections count");
        let mut late = forged.pop().unwrap();
        assert!(!late.validated(peer(1)) && !caps.is_busy());
        drop(proved);
        assert!(forged.pop().unwrap().validated(peer(1)));
        drop((forged, late));
        assert!(is_empty(&caps));
    }

    #[test]
    fn half_of_all_places_stay_free_of_unvalidated_ones() {
        let caps = Caps::with(4, 4, 2, 500);
        let _unvalidated = [caps.enter_unvalidated(peer(1)), caps.enter_unvalidated(peer(2))];
        assert!(caps.is_busy());
    }

    #[test]
    fn an_address_that_stands_for_many_meets_only_the_cap_in_all() {
        let caps = Caps::with(5, 5, 1, 10);
        let _many: Vec<_> = (0..4).map(|_| caps.enter(None, Quic).unwrap()).collect();
        assert!(caps.enter_unvalidated(None).unwrap().validated(None));
    }

    #[test]
    fn racing_lanes_never_exceed_a_cap() {
        let (lanes, caps) = (8, Caps::with(1_000, 1_000, 3, 10));
        for _ in 0..200 {
            let barrier = Barrier::new(lanes);
            let enter = || {
                barrier.wait();
                (0..2).filter_map(|_| caps.enter(peer(1), Quic)).collect::<Vec<_>>()
            };
            std::thread::scope(|scope| {
                let threads: Vec<_> = (0..lanes).map(|_| scope.spawn(enter)).collect();
                let held: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
                assert!(held.len() <= 3, "{}", held.len());
            });
        }
        assert!(is_empty(&caps));
    }

    /// The places that these addresses get.
    fn let_in(caps: &Arc<Caps>, addresses: impl Iterator<Item = String>) -> Vec<ConnectionSlot> {
        let enter = |address: String| caps.enter(Some(Peer::from(address.parse::<IpAddr>().unwrap())), Quic);
        addresses.filter_map(enter).collect()
    }

    #[test]
    fn wider_networks_of_ipv6_have_four_and_sixteen_shares() {
        let caps = Caps::with(10_000, 10_000, 10, 10);
        let of_one_64 = let_in(&caps, (0..30).map(|n| format!("2001:db8::{n:x}")));
        assert_eq!(of_one_64.len(), 10);
        // 255 subnets of one home line, one connection each: each is within its own share.
        let of_one_56 = let_in(&caps, (1..=255).map(|n| format!("2001:db8:0:{n:x}::1")));
        assert_eq!(of_one_64.len() + of_one_56.len(), 40);
        let of_one_48 = let_in(&caps, (1..=255).map(|n| format!("2001:db8:0:{n:x}00::1")));
        assert_eq!(of_one_64.len() + of_one_56.len() + of_one_48.len(), 160);
        let other_site = let_in(&caps, (0..30).map(|n| format!("2001:db8:1::{n:x}")));
        assert_eq!(other_site.len(), 10, "the neighbour's site has shares of its own");
        let v4 = let_in(&caps, (0..30).map(|_| "::ffff:192.0.2.1".to_owned()));
        assert_eq!(v4.len(), 10, "an IPv4 address is one peer in both spellings");
        drop((of_one_64, of_one_56, of_one_48, other_site, v4));
        assert!(is_empty(&caps));
    }

    #[test]
    fn whoever_claims_an_address_meets_what_its_wider_networks_hold() {
        let caps = Caps::with(10_000, 10_000, 1, 10_000);
        let _line = let_in(&caps, (0..4).map(|n| format!("2001:db8:0:{n:x}::1")));
        let claimed = |address: &str| {
            let peer = Peer::from(address.parse::<IpAddr>().unwrap());
            (
                caps.crowded_network(peer).map(|network| network.to_string()),
                caps.enter_unvalidated(Some(peer)),
            )
        };
        let (crowded, place) = claimed("2001:db8:0:77::1");
        assert_eq!((crowded.as_deref(), place.is_none()), (Some("2001:db8::/56"), true));
        let (crowded, place) = claimed("2001:db8:0:177::1");
        assert!(crowded.is_none() && place.is_some());
    }

    #[test]
    fn tcp_is_bounded_by_descriptors_and_quic_is_not() {
        let caps = Caps::with(100, 8, 100, 10);
        let tcp: Vec<_> = (0..20).filter_map(|_| caps.enter(peer(1), Tcp)).collect();
        assert_eq!(tcp.len(), 8);
        assert!(caps.is_crowded(Tcp) && !caps.is_crowded(Quic));
        assert_eq!(caps.tcp(), (8, 8));
        let quic: Vec<_> = (0..200).filter_map(|_| caps.enter(peer(2), Quic)).collect();
        assert_eq!(quic.len(), 92, "up to connections.max, both together");
        assert!(caps.is_crowded(Quic));
        drop((tcp, quic));
        assert!(is_empty(&caps));
    }

    #[test]
    fn places_are_few_from_seven_eighths_on() {
        let caps = Caps::with(64, 64, 16, 10);
        let mut open: Vec<_> = (0..13).map(|_| caps.enter(peer(1), Quic).unwrap()).collect();
        assert!(caps.crowded_network(peer(1).unwrap()).is_none());
        open.push(caps.enter(peer(1), Quic).unwrap());
        assert!(
            caps.crowded_network(peer(1).unwrap()).is_some()
                && caps.crowded_network(peer(2).unwrap()).is_none()
        );
        open.extend((14..55).map(|n| caps.enter(peer(n), Quic).unwrap()));
        assert!(!caps.is_crowded(Quic));
        open.push(caps.enter(peer(99), Quic).unwrap());
        assert!(caps.is_crowded(Quic) && caps.is_crowded(Tcp));
    }
}
