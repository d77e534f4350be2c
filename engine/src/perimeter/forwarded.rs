//! Who the peer is when a proxy stands between: `Forwarded` (RFC 7239) and `X-Forwarded-For`.
//!
//! ```text
//!   network peer trusted? ── no ──▶ it is the peer; nothing it sends is read
//!        │ yes
//!        ▼
//!   last hop ─ trusted? ─ yes ─▶ the one before ─ … ─ none left ─▶ the left-most hop is the peer
//!        │          └─ no ──▶ it is the peer
//!        └ unreadable, hidden (`unknown`, `_name`) ──▶ the proxy that wrote it is the peer
//! ```
//!
//! A list is read from its right end, the only end that a proxy we trust has written; what stands
//! left of the first untrusted hop is whatever that hop chose to send, and is never looked at. So
//! that an open quote in there can't swallow what the proxy added, even the cuts between elements
//! are looked for from the right.
//!
//! Two lists that name different peers are refused, not ranked: a proxy that writes only one of
//! them passes the other through as it came, so preferring either would let the caller behind such
//! a proxy choose whose limits are charged. `X-Real-IP`, `CF-Connecting-IP` and their kin are not
//! read at all.

use std::net::IpAddr;

use super::blocks::Blocks;
use crate::limits::FORWARDED_HOPS;

mod element;
mod node;

use element::Elements;
use node::node;

/// `Forwarded` and `X-Forwarded-For` name different peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contradiction;

/// The peer of a request that came from `network`, with the whole value of each list (`None`: not
/// sent).
///
/// # Errors
/// Both lists are there and name different peers (see the module's doc for why neither may win).
pub fn peer(
    network: IpAddr,
    trusted: &Blocks,
    forwarded: Option<&[u8]>,
    x_forwarded_for: Option<&[u8]>,
) -> Result<IpAddr, Contradiction> {
    let network = network.to_canonical();
    if !trusted.contains(network) {
        return Ok(network);
    }
    let by_forwarded = forwarded.map(|list| walk(network, trusted, Elements::of(list).map(element::node_of)));
    let by_x_forwarded_for = x_forwarded_for.map(|list| walk(network, trusted, hops(list)));
    match (by_forwarded, by_x_forwarded_for) {
        (Some(one), Some(other)) if one != other => Err(Contradiction),
        (named, other) => Ok(named.or(other).unwrap_or(network)),
    }
}

/// Goes from hop to hop, the last one first, as far as trust reaches.
fn walk(network: IpAddr, trusted: &Blocks, from_the_right: impl Iterator<Item = Option<IpAddr>>) -> IpAddr {
    let mut peer = network;
    for hop in from_the_right.take(FORWARDED_HOPS) {
        let Some(address) = hop else { return peer };
        peer = address;
        if !trusted.contains(address) {
            return peer;
        }
    }
    peer
}

/// The hops of `X-Forwarded-For`, last first; `None` for what is no address.
fn hops(list: &[u8]) -> impl Iterator<Item = Option<IpAddr>> {
    list.rsplit(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|hop| !hop.is_empty()).map(node)
}
