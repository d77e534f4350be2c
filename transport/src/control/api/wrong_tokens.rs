//! Delays the answer to wrong admin tokens, twice as long for each further one of a peer.
//!
//! ```text
//!   token ─▶ compared at once ─ right ─▶ served, whatever the peer has sent before
//!                        └─ wrong ─┬─ a place is free ─▶ 0.1 s · 2ⁿ, 30 s at most ─▶ 401
//!                                  └─ none is free ────▶ 429 at once
//! ```
//!
//! Guessing is hopeless because of the token's length (`config/admin_token.rs`). The delay keeps a
//! guessing peer from using up this thread's time, and the bounded places keep waiting peers from
//! using up all connections. Both answers close their connection.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use authepy_engine::clock::Moment;
use authepy_engine::peer::Prefix;
use tokio::time::sleep;

use super::answer::Fault;
use crate::limits::{
    WRONG_TOKEN_FORGOTTEN, WRONG_TOKEN_PEERS, WRONG_TOKEN_TOLD_EVERY, WRONG_TOKEN_WAIT, WRONG_TOKEN_WAIT_MAX,
    WRONG_TOKENS_WAITING,
};

/// Peers that sent wrong tokens, and the number of waiting requests. Lives on the control thread.
#[derive(Default)]
pub(in crate::control) struct WrongTokens {
    peers: RefCell<HashMap<Prefix, Wrong>>,
    waiting: Cell<usize>,
    told: Cell<Option<Moment>>,
}

/// One peer's wrong tokens.
#[derive(Clone, Copy)]
struct Wrong {
    count: u32,
    last: Moment,
}

/// A place to wait; released when dropped, also when the peer disconnects.
struct RunningTry<'a>(&'a Cell<usize>);

impl Drop for RunningTry<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl WrongTokens {
    /// Waits as long as this wrong token requires. Returns the answer.
    pub(super) async fn punish(&self, peer: Prefix, now: Moment) -> Fault {
        let wait = self.note(peer, now);
        let Some(_place) = self.place() else { return Fault::TooManyWrongTokens(wait) };
        sleep(wait).await;
        Fault::WrongToken
    }

    /// Whether to log a line now.
    pub(super) fn is_to_be_told(&self, now: Moment) -> bool {
        let is_due = self.told.get().is_none_or(|told| now.since(told) >= WRONG_TOKEN_TOLD_EVERY);
        if is_due {
            self.told.set(Some(now));
        }
        is_due
    }

    fn place(&self) -> Option<RunningTry<'_>> {
        let taken = self.waiting.get();
        (taken < WRONG_TOKENS_WAITING).then(|| {
            self.waiting.set(taken + 1);
            RunningTry(&self.waiting)
        })
    }

    /// Counts a wrong token and returns its delay.
    fn note(&self, peer: Prefix, now: Moment) -> Duration {
        let mut peers = self.peers.borrow_mut();
        if peers.len() >= WRONG_TOKEN_PEERS && !peers.contains_key(&peer) {
            peers.retain(|_, wrong| now.since(wrong.last) < WRONG_TOKEN_FORGOTTEN);
            make_room(&mut peers);
        }
        let wrong = peers.entry(peer).or_insert(Wrong { count: 0, last: now });
        if now.since(wrong.last) >= WRONG_TOKEN_FORGOTTEN {
            wrong.count = 0;
        }
        let doubled = 1_u32.checked_shl(wrong.count).filter(|_| wrong.count < u32::BITS).unwrap_or(u32::MAX);
        *wrong = Wrong { count: wrong.count.saturating_add(1), last: now };
        WRONG_TOKEN_WAIT.saturating_mul(doubled).min(WRONG_TOKEN_WAIT_MAX)
    }
}

/// If there is no room, forgets the peer with the oldest last attempt.
fn make_room(peers: &mut HashMap<Prefix, Wrong>) {
    if peers.len() < WRONG_TOKEN_PEERS {
        return;
    }
    let quietest = peers.iter().min_by_key(|(_, wrong)| wrong.last).map(|(peer, _)| *peer);
    quietest.and_then(|peer| peers.remove(&peer));
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed expectation is the point")]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use authepy_engine::peer::Peer;
    use futures_util::FutureExt as _;

    use super::*;

    fn peer(text: &str) -> Prefix {
        Peer::from(text.parse::<IpAddr>().unwrap()).unit()
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(seconds * 1_000)
    }

    #[test]
    fn waits_double_up_to_their_bound_for_each_network_of_its_own_and_are_forgotten() {
        let wrong = WrongTokens::default();
        let millis: Vec<u128> = (0..40).map(|_| wrong.note(peer("2001:db8::1"), at(0)).as_millis()).collect();
        assert_eq!(
            millis[..11],
            [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000],
            "{millis:?}"
        );
        assert!(millis[11..].iter().all(|wait| *wait == 30_000), "{millis:?}");
        assert_eq!(wrong.note(peer("2001:db8::2"), at(1)), WRONG_TOKEN_WAIT_MAX, "the same /64");
        assert_eq!(wrong.note(peer("2001:db8:0:1::1"), at(1)), WRONG_TOKEN_WAIT, "another one");
        let later = at(1).after(WRONG_TOKEN_FORGOTTEN);
        assert_eq!(wrong.note(peer("2001:db8::1"), later), WRONG_TOKEN_WAIT);
    }

    #[test]
    fn its_memory_is_bounded_and_forgets_the_quietest() {
        let wrong = WrongTokens::default();
        let first = peer("127.0.0.1");
        wrong.note(first, at(0));
        for n in 0..2 * WRONG_TOKEN_PEERS as u32 {
            wrong.note(Peer::from(IpAddr::V4(Ipv4Addr::from_bits(n + (10 << 24)))).unit(), at(1));
        }
        assert_eq!(wrong.peers.borrow().len(), WRONG_TOKEN_PEERS);
        assert!(!wrong.peers.borrow().contains_key(&first));
    }

    #[tokio::test]
    async fn so_many_wait_and_no_more() {
        let (wrong, peer) = (WrongTokens::default(), peer("127.0.0.1"));
        let mut waiting: Vec<_> =
            (0..WRONG_TOKENS_WAITING).map(|_| Box::pin(wrong.punish(peer, at(0)))).collect();
        assert!(waiting.iter_mut().all(|waits| waits.now_or_never().is_none()));
        let one_more = wrong.punish(peer, at(0)).now_or_never();
        assert!(matches!(one_more, Some(Fault::TooManyWrongTokens(WRONG_TOKEN_WAIT_MAX))));
        waiting.pop();
        assert!(wrong.punish(peer, at(0)).now_or_never().is_none(), "who hangs up leaves a place");
    }
}
