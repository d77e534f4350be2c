//! Connection ids that map to their lane, and that we recognise as ours.
//!
//! ```text
//!   id = five random bytes | mark: three bytes, a keyed hash of the five
//! ```
//!
//! Ids are drawn until [`Steering`] maps one to the lane that wants it: on average as many draws as
//! there are lanes.
//!
//! The mark protects new connections. A client could open one with an id of ours, known from an
//! earlier connection, in order to choose its lane; such a connection is refused. An honest
//! client's random id is mistaken for one of ours once in 17 million times and refused as well; the
//! client sees the error and can try again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use quinn::{ConnectionId, ConnectionIdGenerator};
use quinn_proto::InvalidCid;

use super::steering::{OUR_ID_BYTES, Steering};

/// Length of the mark.
const MARK_BYTES: usize = 3;
const RANDOM_BYTES: usize = OUR_ID_BYTES - MARK_BYTES;

/// The key of the marks. The same for all endpoints of a process.
#[derive(Clone, Default)]
pub(crate) struct IdMark(RandomState);

impl IdMark {
    /// Whether this process made the id.
    pub(crate) fn is_on(&self, id: &[u8]) -> bool {
        id.len() == OUR_ID_BYTES && id[RANDOM_BYTES..] == self.of(&id[..RANDOM_BYTES])
    }

    fn of(&self, random: &[u8]) -> [u8; MARK_BYTES] {
        let [first, second, third, ..] = self.0.hash_one(random).to_le_bytes();
        [first, second, third]
    }
}

/// Draws the ids of one endpoint.
pub(crate) struct LaneConnectionIds {
    lane: usize,
    steering: Steering,
    mark: IdMark,
}

impl LaneConnectionIds {
    /// Ids that map to `lane`.
    pub(crate) fn new(lane: usize, steering: Steering, mark: IdMark) -> Self {
        Self { lane, steering, mark }
    }

    fn leads_here(&self, id: &[u8]) -> bool {
        self.steering.lane(id) == Some(self.lane)
    }
}

impl ConnectionIdGenerator for LaneConnectionIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut drawn = [0; 8];
        if getrandom::fill(&mut drawn).is_err() {
            // With guessable connection ids, others could disturb connections.
            std::process::abort();
        }
        let mut random = u64::from_le_bytes(drawn);
        loop {
            let mut id = random.to_le_bytes();
            let mark = self.mark.of(&id[..RANDOM_BYTES]);
            id[RANDOM_BYTES..].copy_from_slice(&mark);
            if self.leads_here(&id) {
                return ConnectionId::new(&id);
            }
            random = random.wrapping_add(1);
        }
    }

    /// Accepts ids that map to this lane. Datagrams with other ids arrive only while sockets of the
    /// group are opened or closed. They may belong to a live connection of another lane, and a
    /// stateless reset for it would reveal the true token (RFC 9000, 21.11). Ids of a previous
    /// process have other marks, and get a stateless reset all the same.
    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        if self.leads_here(id) { Ok(()) } else { Err(InvalidCid) }
    }

    fn cid_len(&self) -> usize {
        OUR_ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connection_id_leads_back_to_its_lane_and_bears_the_mark() {
        for lanes in [1, 2, 3, 7, 8, 255, 256] {
            let (steering, mark) = (Steering::draw(lanes), IdMark::default());
            for lane in [0, lanes / 2, lanes - 1] {
                let mut ids = LaneConnectionIds::new(lane, steering.clone(), mark.clone());
                for _ in 0..200 {
                    let id = ids.generate_cid();
                    assert_eq!((id.len(), steering.lane(&id)), (8, Some(lane)));
                    assert!(mark.is_on(&id) && ids.validate(&id).is_ok());
                    assert!(!IdMark::default().is_on(&id), "another process's");
                    let elsewhere = LaneConnectionIds::new(lane + 1, steering.clone(), mark.clone());
                    assert!(elsewhere.validate(&id).is_err(), "no other lane answers for it");
                }
            }
        }
    }

    #[test]
    fn what_a_client_chooses_is_not_taken_for_ours() {
        let mark = IdMark::default();
        let taken = (0..100_000u64)
            .filter(|n| mark.is_on(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()))
            .count();
        assert_eq!(taken, 0);
        assert!(!mark.is_on(&[0; 20]) && !mark.is_on(&[]));
    }

    #[test]
    fn ids_are_unlike_each_other() {
        let mut ids = LaneConnectionIds::new(1, Steering::draw(2), IdMark::default());
        let drawn: std::collections::HashSet<_> = (0..10_000).map(|_| ids.generate_cid().to_vec()).collect();
        assert_eq!(drawn.len(), 10_000);
    }
}
