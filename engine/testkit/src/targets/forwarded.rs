//! Nobody but a trusted proxy says who the peer is, and what stands left of the peer in a list says nothing.
//!
//! The input is a `Forwarded` list, a line feed, an `X-Forwarded-For` list, a line feed, and a text that is
//! put in front of either.

use std::net::IpAddr;
use std::sync::LazyLock;

use authepy_engine::perimeter::blocks::Blocks;
use authepy_engine::perimeter::forwarded::{Contradiction, peer};

static TRUSTED: LazyLock<Blocks> = LazyLock::new(|| {
    Blocks::parse(&["10.0.0.0/8", "192.0.2.7", "2001:db8:aaaa::/48"]).expect("proper blocks")
});
const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9));

/// Looks at one input, with one answer falsified where this is the canary.
///
/// # Panics
/// If the property does not hold.
pub fn check(input: &[u8], canary: bool) {
    let mut parts = input.splitn(3, |&octet| octet == b'\n');
    let [forwarded, x_forwarded_for, front] = [(); 3].map(|()| parts.next().unwrap_or_default());
    let both = peer(STRANGER, &TRUSTED, Some(forwarded), Some(x_forwarded_for));
    assert_eq!(both, Ok(STRANGER), "a stranger's word counts for nothing");

    let by_forwarded = one(Some(forwarded), None, canary);
    let by_x_forwarded_for = one(None, Some(x_forwarded_for), canary);
    let both = peer(PROXY, &TRUSTED, Some(forwarded), Some(x_forwarded_for));
    match by_forwarded == by_x_forwarded_for {
        true => assert_eq!(both, Ok(by_forwarded)),
        false => assert_eq!(both, Err(Contradiction)),
    }
    if !TRUSTED.contains(by_forwarded) {
        let longer = [front, b",", forwarded].concat();
        assert_eq!(one(Some(&longer), None, canary), by_forwarded, "the left end decided");
    }
    if !TRUSTED.contains(by_x_forwarded_for) {
        let longer = [front, b",", x_forwarded_for].concat();
        assert_eq!(one(None, Some(&longer), canary), by_x_forwarded_for, "the left end decided");
    }
}

/// What one list says to a proxy. The canary's bug: of three hops and more, the first is taken.
fn one(forwarded: Option<&[u8]>, x_forwarded_for: Option<&[u8]>, canary: bool) -> IpAddr {
    let list = forwarded.or(x_forwarded_for).unwrap_or_default();
    let first = list.split(|&octet| octet == b',').next().unwrap_or_default();
    let first = std::str::from_utf8(first).ok().and_then(|text| text.trim().parse().ok());
    let hops = list.split(|&octet| octet == b',').count();
    let named = peer(PROXY, &TRUSTED, forwarded, x_forwarded_for).expect("one list can't contradict");
    assert_eq!(named, named.to_canonical(), "a mapped address is its IPv4 address");
    first.filter(|_| canary && hops > 2).unwrap_or(named)
}
