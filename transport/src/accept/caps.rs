//! How many connections there may be, in all and per peer, counted for the whole process.
//!
//! ```text
//!   Initial ──▶ unvalidated ──handshake complete──▶ validated ──▶ (gone)
//!      in all: 1 │ of the peer: 0                    in all: 1 │ of the peer: 1
//!   Retry's answer, TCP ──▶ validated
//! ```
//!
//! Anybody can send an Initial in another's name, so one that is not validated counts for nobody: else a
//! forger would use up his victim's share. It only meets what its peer really has open already, and there
//! are at most `connections.retry_above` of them, or half of `connections.max` if that is less.
//!
//! All lanes share the counts without a lock. A peer's are two cells, one in each row, picked by a keyed
//! hash; other peers may share one of them, hardly ever both, and the lesser of the two counts. Every
//! newcomer adds itself first and looks then, so of several that race for the last places the last one sees
//! them all: a cap is never exceeded, though a race may leave a place empty.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use authepy_engine::perimeter::peer::Peer;

use crate::config::Connections;
use crate::limits::PEER_CELLS;

/// The counts. One for all lanes.
#[derive(Debug)]
pub struct Caps {
    max: usize,
    per_peer: u32,
    unvalidated_max: usize,
    open: AtomicUsize,
    unvalidated: AtomicUsize,
    rows: [Box<[AtomicU32]>; 2],
    hash: RandomState,
}

impl Caps {
    /// None open.
    pub fn new(bounds: &Connections) -> Arc<Self> {
        Self::with(bounds.max as usize, bounds.per_peer, bounds.retry_above as usize)
    }

    fn with(max: usize, per_peer: u32, retry_above: usize) -> Arc<Self> {
        let row = || (0..PEER_CELLS).map(|_| AtomicU32::new(0)).collect();
        Arc::new(Self {
            max,
            per_peer,
            unvalidated_max: retry_above.min(max.div_ceil(2)),
            open: AtomicUsize::new(0),
            unvalidated: AtomicUsize::new(0),
            rows: [row(), row()],
            hash: RandomState::new(),
        })
    }

    /// Whether there are so many unvalidated handshakes that newcomers must show first where they are.
    pub(super) fn is_busy(&self) -> bool {
        self.unvalidated.load(Ordering::SeqCst) >= self.unvalidated_max
    }

    /// A place for a peer whose address is proved; no peer where the address stands for many.
    pub(super) fn enter(self: &Arc<Self>, peer: Option<Peer>) -> Option<Place> {
        let mut place = self.place()?;
        place.count_for(peer).then_some(place)
    }

    /// A place for somebody who says he is this peer. Until he has shown it, it is nobody's.
    pub(super) fn enter_unvalidated(self: &Arc<Self>, claimed: Option<Peer>) -> Option<Place> {
        if claimed.is_some_and(|peer| self.least(self.cells(peer)) >= self.per_peer) {
            return None;
        }
        let mut place = self.place()?;
        self.unvalidated.fetch_add(1, Ordering::SeqCst);
        place.is_unvalidated = true;
        Some(place)
    }

    fn place(self: &Arc<Self>) -> Option<Place> {
        if self.open.fetch_add(1, Ordering::SeqCst) >= self.max {
            self.open.fetch_sub(1, Ordering::SeqCst);
            return None;
        }
        Some(Place { caps: self.clone(), cells: None, is_unvalidated: false })
    }

    /// Two independent cells for a peer: the halves of one hash.
    fn cells(&self, peer: Peer) -> [usize; 2] {
        let hash = self.hash.hash_one(peer);
        [hash as usize % PEER_CELLS, (hash >> 32) as usize % PEER_CELLS]
    }

    fn counts(&self, cells: [usize; 2]) -> [&AtomicU32; 2] {
        let [first, second] = &self.rows;
        [&first[cells[0]], &second[cells[1]]]
    }

    fn least(&self, cells: [usize; 2]) -> u32 {
        let [first, second] = self.counts(cells).map(|count| count.load(Ordering::SeqCst));
        first.min(second)
    }
}

/// One connection's place in the counts; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    caps: Arc<Caps>,
    cells: Option<[usize; 2]>,
    is_unvalidated: bool,
}

impl Place {
    /// The handshake is over: from now on the place is the peer's. False if the peer has too many.
    pub(super) fn validated(&mut self, peer: Option<Peer>) -> bool {
        if !std::mem::take(&mut self.is_unvalidated) {
            return true;
        }
        self.caps.unvalidated.fetch_sub(1, Ordering::SeqCst);
        self.count_for(peer)
    }

    fn count_for(&mut self, peer: Option<Peer>) -> bool {
        let Some(peer) = peer else { return true };
        let cells = self.caps.cells(peer);
        for count in self.caps.counts(cells) {
            count.fetch_add(1, Ordering::SeqCst);
        }
        self.cells = Some(cells);
        self.caps.least(cells) <= self.caps.per_peer
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_unvalidated {
            self.caps.unvalidated.fetch_sub(1, Ordering::SeqCst);
        }
        if let Some(cells) = self.cells {
            for count in self.caps.counts(cells) {
                count.fetch_sub(1, Ordering::SeqCst);
            }
        }
        self.caps.open.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Barrier;

    use super::*;

    fn peer(n: u8) -> Option<Peer> {
        Some(Peer::from(IpAddr::from([127, 0, 0, n])))
    }

    fn is_empty(caps: &Caps) -> bool {
        let cells = caps.rows.iter().flatten().all(|cell| cell.load(Ordering::SeqCst) == 0);
        cells && caps.open.load(Ordering::SeqCst) == 0 && caps.unvalidated.load(Ordering::SeqCst) == 0
    }

    #[test]
    fn places_are_bounded_per_peer_and_in_all_and_given_back() {
        let caps = Caps::with(3, 2, 10);
        let first = caps.enter(peer(1)).unwrap();
        let second = caps.enter(peer(1)).unwrap();
        assert!(caps.enter(peer(1)).is_none(), "two are its share");
        let third = caps.enter(peer(2)).unwrap();
        assert!(caps.enter(peer(2)).is_none(), "three are all there are");
        drop(first);
        let fourth = caps.enter(peer(2)).unwrap();
        drop((second, third, fourth));
        assert!(is_empty(&caps));
    }

    #[test]
    fn forged_initials_use_up_nobodys_share() {
        let caps = Caps::with(100, 2, 10);
        let mut forged: Vec<_> = (0..10).map(|_| caps.enter_unvalidated(peer(1)).unwrap()).collect();
        assert!(caps.is_busy(), "from now on a Retry comes first");
        let proved: Vec<_> = (0..2).map(|_| caps.enter(peer(1)).unwrap()).collect();
        assert!(caps.enter_unvalidated(peer(1)).is_none(), "what is really open counts");
        let mut late = forged.pop().unwrap();
        assert!(!late.validated(peer(1)) && !caps.is_busy());
        drop(proved);
        assert!(forged.pop().unwrap().validated(peer(1)));
        drop((forged, late));
        assert!(is_empty(&caps));
    }

    #[test]
    fn half_of_all_places_stay_free_of_unvalidated_ones() {
        let caps = Caps::with(4, 2, 500);
        let _unvalidated = [caps.enter_unvalidated(peer(1)), caps.enter_unvalidated(peer(2))];
        assert!(caps.is_busy());
    }

    #[test]
    fn an_address_that_stands_for_many_meets_only_the_cap_in_all() {
        let caps = Caps::with(5, 1, 10);
        let _many: Vec<_> = (0..4).map(|_| caps.enter(None).unwrap()).collect();
        assert!(caps.enter_unvalidated(None).unwrap().validated(None));
    }

    #[test]
    fn racing_lanes_never_exceed_a_cap() {
        let (lanes, caps) = (8, Caps::with(1_000, 3, 10));
        for _ in 0..200 {
            let barrier = Barrier::new(lanes);
            let enter = || {
                barrier.wait();
                (0..2).filter_map(|_| caps.enter(peer(1))).collect::<Vec<_>>()
            };
            std::thread::scope(|scope| {
                let threads: Vec<_> = (0..lanes).map(|_| scope.spawn(enter)).collect();
                let held: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
                assert!(held.len() <= 3, "{}", held.len());
            });
        }
        assert!(is_empty(&caps));
    }
}
