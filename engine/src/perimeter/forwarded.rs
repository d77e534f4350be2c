//! Determines the peer behind a trusted proxy, from `Forwarded` (RFC 7239) and `X-Forwarded-For`.
//!
//! ```text
//!   network peer trusted? ── no ──▶ it is the peer; its lists are not read
//!        │ yes
//!        ▼
//!   last hop ─ trusted? ─ yes ─▶ the hop before ─ … ─ none left ─▶ the left-most hop is the peer
//!        │          └─ no ──▶ it is the peer
//!        └ unreadable or hidden (`unknown`, `_name`) ──▶ the proxy that wrote it is the peer
//! ```
//!
//! A list is read from its right end, the only end written by a trusted proxy. What is left of the
//! first untrusted hop is arbitrary input from that hop and is never read. Even the separators
//! between elements are searched from the right, so that an unclosed quote on the left can't
//! swallow what the proxy added.
//!
//! Two lists that name different peers are refused, not ranked. A proxy that writes only one of
//! them passes the other through unchanged, so preferring either would let a caller behind such a
//! proxy choose whose limits are charged. `X-Real-IP`, `CF-Connecting-IP` and similar headers are
//! not read at all.

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

/// The peer of a request that came from `network`, given the whole value of each list (`None`: not
/// sent).
///
/// # Errors
/// Both lists are present and name different peers (see the module doc for why neither may win).
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

/// Walks from hop to hop, the last one first, until a hop is not trusted.
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

/// The hops of `X-Forwarded-For`, last first; `None` for a hop that is not an address.
fn hops(list: &[u8]) -> impl Iterator<Item = Option<IpAddr>> {
    list.rsplit(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|hop| !hop.is_empty()).map(node)
}
