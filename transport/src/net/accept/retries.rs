//! Limits the Retry packets per source.
//!
//! A client that closes while it waits answers a Retry with a close, which looks like another
//! Initial; without a limit this becomes a ping-pong at line speed. So every source, an address
//! *and* a port, gets a few Retry packets per second. Further Initials are ignored, and an honest
//! client retransmits its own. The port is included because anyone can send Initials with a forged
//! source: the attacker would have to guess the port too. For the same reason wider IPv6 networks
//! are not counted here, as they are wherever an address is validated: a forger could use up the
//! Retry packets of a whole site.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;

use authepy_engine::clock::Moment;

use crate::limits::{RETRIES_PER_SOURCE, RETRY_PLACES};

/// Retry packets sent in the current second, by source. Owned by a lane.
pub(super) struct Retries {
    places: Box<[Spent]>,
    hash: RandomState,
}

#[derive(Clone, Copy, Default)]
struct Spent {
    second: u32,
    count: u32,
}

impl Retries {
    pub(super) fn new() -> Self {
        Self { places: vec![Spent::default(); RETRY_PLACES].into(), hash: RandomState::new() }
    }

    /// Takes one Retry from this source's allowance; false if it is used up.
    pub(super) fn take(&mut self, source: SocketAddr, now: Moment) -> bool {
        let at = self.hash.hash_one((source.ip(), source.port())) as usize % RETRY_PLACES;
        let (place, second) = (&mut self.places[at], (now.as_millis() / 1_000) as u32);
        if place.second != second {
            *place = Spent { second, count: 0 };
        }
        place.count += 1;
        // At most one second of Initials, so the count cannot overflow.
        place.count <= RETRIES_PER_SOURCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_gets_a_few_retries_a_second_and_others_their_own() {
        let mut retries = Retries::new();
        let source = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let now = Moment::from_millis(5_000);
        let sent = (0..1_000).filter(|_| retries.take(source(1), now)).count();
        assert_eq!(sent, RETRIES_PER_SOURCE as usize);
        let others = (2..102).filter(|port| retries.take(source(*port), now)).count();
        assert!(others > 90, "{others} of 100: only those that share its slot are refused");
        assert!(retries.take(source(1), Moment::from_millis(6_000)));
    }
}
