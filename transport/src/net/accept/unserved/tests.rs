use std::net::IpAddr;

use futures_util::FutureExt;

use super::*;

const SPAN: Duration = Duration::from_secs(30);

/// A connection, and the signals it receives.
struct One {
    listing: Listing,
    way_out: Rc<WayOut>,
}

impl One {
    fn hears_at_once(&self) -> bool {
        self.way_out.at_once.notified().now_or_never().is_some()
    }

    fn hears_politely(&self) -> bool {
        self.way_out.politely.notified().now_or_never().is_some()
    }
}

fn peer(address: &str) -> Option<Peer> {
    Some(Peer::from(address.parse::<IpAddr>().unwrap()))
}

fn enter(unserved: &Unserved, second: u64, protocol: Protocol, address: &str) -> One {
    let way_out = Rc::<WayOut>::default();
    let now = Moment::from_millis(second * 1_000);
    let listing = unserved.enter(now, protocol, peer(address), way_out.clone());
    One { listing, way_out }
}

fn is_empty(unserved: &Unserved) -> bool {
    let lists = unserved.0.borrow();
    [&lists.quic, &lists.tcp]
        .into_iter()
        .all(|list| list.all.is_empty() && list.by_network.is_empty() && list.ranks.is_empty())
}

#[test]
fn whoever_had_no_accepted_request_ends_after_the_span_and_not_before() {
    let unserved = Unserved::default();
    let silent = enter(&unserved, 0, Protocol::Quic, "192.0.2.1");
    let served = enter(&unserved, 0, Protocol::Tcp, "192.0.2.1");
    let later = enter(&unserved, 10, Protocol::Tcp, "2001:db8::1");
    served.listing.served();
    let look = |second: u64| unserved.expire(Moment::from_millis(second * 1_000), SPAN);
    assert_eq!(look(29), Duration::from_secs(1));
    assert!(!silent.hears_politely());
    assert_eq!(look(30), Duration::from_secs(10));
    assert!(silent.hears_politely() && !later.hears_politely());
    assert_eq!(look(41), SPAN);
    assert!(later.hears_politely() && !served.hears_politely());
    assert!(!silent.hears_at_once() && is_empty(&unserved));
}

#[test]
fn of_equals_the_oldest_makes_room_whichever_way_it_came() {
    let unserved = Unserved::default();
    let protocols = [Protocol::Quic, Protocol::Tcp, Protocol::Tcp, Protocol::Quic];
    let all: Vec<One> = (0..)
        .zip(protocols)
        .map(|(n, protocol)| enter(&unserved, n, protocol, &format!("192.0.2.{n}")))
        .collect();
    let told = || all.iter().position(One::hears_at_once);
    assert!(unserved.make_room(None, Candidates::Both));
    assert_eq!(told(), Some(0));
    assert!(unserved.make_room(None, Candidates::Tcp));
    assert_eq!(told(), Some(1));
    all[2].listing.served();
    assert!(!unserved.make_room(None, Candidates::Tcp), "no descriptor comes back from QUIC");
    assert!(unserved.make_room(None, Candidates::Both));
    assert_eq!(told(), Some(3));
    assert!(!unserved.make_room(None, Candidates::Both) && is_empty(&unserved));
}

#[test]
fn a_flood_displaces_itself_and_not_the_strangers_before_and_after_it() {
    let unserved = Unserved::default();
    let before = enter(&unserved, 0, Protocol::Tcp, "192.0.2.1");
    let flood: Vec<One> = (0..6)
        .map(|n| enter(&unserved, 1, Protocol::Tcp, if n % 2 == 0 { "198.51.100.7" } else { "198.51.100.8" }))
        .collect();
    let after = enter(&unserved, 2, Protocol::Quic, "192.0.2.2");
    for told in 0..4 {
        assert!(unserved.make_room(None, Candidates::Both));
        assert_eq!(flood.iter().position(One::hears_at_once), Some(told), "in turns, each its oldest");
    }
    assert!(!before.hears_at_once() && !after.hears_at_once());
    // With one connection each, only the network that a newcomer adds to is a flood.
    assert!(unserved.make_room(peer("198.51.100.8"), Candidates::Both));
    assert!(flood[5].hears_at_once() && !before.hears_at_once());
    assert!(unserved.make_room(None, Candidates::Both));
    assert!(before.hears_at_once());
}

#[test]
fn a_flood_from_one_site_of_ipv6_is_one_flood() {
    let unserved = Unserved::default();
    let neighbours: Vec<One> = (0..2).map(|_| enter(&unserved, 0, Protocol::Quic, "2001:db8:1::1")).collect();
    // One connection per /64: the /56 exceeds its share, and for those spread over /56s the /48
    // does.
    let of_line: Vec<One> =
        (0..12).map(|n| enter(&unserved, 1, Protocol::Quic, &format!("2001:db8:0:{n:x}::1"))).collect();
    assert!(unserved.make_room(None, Candidates::Both));
    assert!(of_line[0].hears_at_once());
    let of_site: Vec<One> =
        (0..64).map(|n| enter(&unserved, 1, Protocol::Quic, &format!("2001:db8:2:{n:x}00::1"))).collect();
    assert!(unserved.make_room(None, Candidates::Both));
    assert!(of_site[0].hears_at_once());
    assert!(unserved.make_room_within("2001:db8:0:3::/64".parse().unwrap(), Candidates::Both));
    assert!(!unserved.make_room_within("2001:db8:0:4::/64".parse().unwrap(), Candidates::Tcp));
    assert!(of_line[3].hears_at_once() && !of_line[3].hears_politely());
    assert!(!unserved.make_room_within("2001:db8:0:3::/64".parse().unwrap(), Candidates::Both));
    assert!(neighbours.iter().all(|one| !one.hears_at_once()));
    drop((neighbours, of_line, of_site));
    assert!(is_empty(&unserved));
}

#[test]
fn an_address_that_stands_for_many_goes_last() {
    let unserved = Unserved::default();
    let way_out = Rc::<WayOut>::default();
    let proxy = unserved.enter(Moment::default(), Protocol::Tcp, None, way_out.clone());
    let other = enter(&unserved, 1, Protocol::Tcp, "192.0.2.1");
    assert!(unserved.make_room(None, Candidates::Tcp));
    assert!(other.hears_at_once());
    assert!(unserved.make_room(None, Candidates::Tcp));
    assert!(way_out.at_once.notified().now_or_never().is_some());
    assert!(!unserved.make_room(None, Candidates::Tcp));
    drop(proxy);
}

#[test]
fn those_that_were_told_are_counted_until_they_are_gone() {
    let unserved = Unserved::default();
    let all: Vec<One> = (0..3).map(|n| enter(&unserved, n, Protocol::Tcp, "192.0.2.1")).collect();
    let quic = enter(&unserved, 9, Protocol::Quic, "192.0.2.2");
    all[2].listing.served();
    assert!(unserved.make_room(None, Candidates::Tcp));
    assert_eq!(unserved.staying_and_leaving(Candidates::Tcp), (2, 1));
    assert_eq!(unserved.staying_and_leaving(Candidates::Both), (3, 1));
    drop(all);
    assert_eq!(unserved.staying_and_leaving(Candidates::Both), (1, 0));
    unserved.expire(Moment::from_millis(100_000), SPAN);
    assert_eq!(
        unserved.staying_and_leaving(Candidates::Both),
        (1, 0),
        "it ends politely, and takes its time"
    );
    drop(quic);
    assert_eq!(unserved.staying_and_leaving(Candidates::Both), (0, 0));
}
