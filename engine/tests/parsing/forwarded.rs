//! Who the peer is behind proxies: a table of what proxies and attackers send, and what must not matter.

use std::net::IpAddr;

use authepy_engine::limits::{CONFIGURED_BLOCKS, FORWARDED_HOPS};
use authepy_engine::perimeter::blocks::{BlockFault, Blocks};
use authepy_engine::perimeter::forwarded::{Contradiction, peer};
use proptest::prelude::*;

/// A balancer at 10.0.0.1, its CDN, and their IPv6 twins.
const TRUSTED: [&str; 4] = ["10.0.0.0/8", "192.0.2.7", "2001:db8:aaaa::/48", "::ffff:198.18.0.0/111"];

const PROXY: &str = "10.0.0.1";
const REFUSED: &str = "refused";

fn trusted() -> Blocks {
    Blocks::parse(&TRUSTED).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

type Row = (&'static str, Option<&'static str>, Option<&'static str>, &'static str, &'static str);

/// Network peer, `Forwarded`, `X-Forwarded-For`, the peer, and why.
const ROWS: &[Row] = &[
    // Nobody's word counts but a trusted proxy's.
    ("203.0.113.9", None, None, "203.0.113.9", "no proxy at all"),
    ("203.0.113.9", Some("for=198.51.100.1"), None, "203.0.113.9", "Forwarded from a stranger"),
    ("203.0.113.9", None, Some("198.51.100.1"), "203.0.113.9", "X-Forwarded-For from a stranger"),
    (
        "203.0.113.9",
        Some("for=198.51.100.1"),
        Some("198.51.100.2"),
        "203.0.113.9",
        "contradictions of a stranger are not read",
    ),
    ("203.0.113.9", None, Some("10.0.0.1"), "203.0.113.9", "claiming to be a proxy is not being one"),
    ("203.0.113.9", Some("\""), Some("\u{1}"), "203.0.113.9", "garbage from a stranger"),
    ("192.0.2.8", None, Some("198.51.100.1"), "192.0.2.8", "one beside a single trusted address"),
    ("11.0.0.1", None, Some("198.51.100.1"), "11.0.0.1", "one beside a trusted block"),
    ("2001:db8:aaab::1", None, Some("198.51.100.1"), "2001:db8:aaab::1", "one beside a trusted IPv6 block"),
    // A trusted proxy that says nothing.
    (PROXY, None, None, PROXY, "a proxy without a list is the peer itself"),
    (PROXY, None, Some(""), PROXY, "an empty list names nobody"),
    (PROXY, Some(""), None, PROXY, "an empty Forwarded names nobody"),
    (PROXY, None, Some(" , ,,"), PROXY, "empty elements are skipped"),
    (PROXY, Some(" ,, "), None, PROXY, "empty elements of Forwarded are skipped"),
    // One hop, in each spelling.
    (PROXY, None, Some("203.0.113.9"), "203.0.113.9", "the usual case"),
    ("192.0.2.7", None, Some("203.0.113.9"), "203.0.113.9", "a single trusted address"),
    ("2001:db8:aaaa::1", None, Some("203.0.113.9"), "203.0.113.9", "an IPv6 proxy"),
    (
        "::ffff:10.0.0.1",
        None,
        Some("203.0.113.9"),
        "203.0.113.9",
        "a mapped network peer is its IPv4 address",
    ),
    ("198.19.255.1", None, Some("203.0.113.9"), "203.0.113.9", "a mapped block is its IPv4 block"),
    ("198.20.0.1", None, Some("203.0.113.9"), "198.20.0.1", "a mapped block ends where its IPv4 block ends"),
    (PROXY, None, Some("  203.0.113.9\t"), "203.0.113.9", "white space around a hop"),
    (PROXY, None, Some("203.0.113.9:4711"), "203.0.113.9", "a port behind IPv4"),
    (PROXY, None, Some("2001:db8::9"), "2001:db8::9", "IPv6 without brackets"),
    (PROXY, None, Some("[2001:db8::9]"), "2001:db8::9", "IPv6 in brackets"),
    (PROXY, None, Some("[2001:db8::9]:443"), "2001:db8::9", "IPv6 with a port"),
    (PROXY, None, Some("2001:DB8:0:0::9"), "2001:db8::9", "IPv6 in another spelling"),
    (PROXY, None, Some("::ffff:203.0.113.9"), "203.0.113.9", "a mapped hop is its IPv4 address"),
    (PROXY, None, Some("[::ffff:203.0.113.9]:1"), "203.0.113.9", "a mapped hop in brackets"),
    (PROXY, Some("for=203.0.113.9"), None, "203.0.113.9", "a bare token"),
    (PROXY, Some("For=\"203.0.113.9\""), None, "203.0.113.9", "names have no case; any value may be quoted"),
    (PROXY, Some("for=\"203.0.113.9:4711\""), None, "203.0.113.9", "a port has to be quoted"),
    (PROXY, Some("for=\"203.0.113.9:_hidden\""), None, "203.0.113.9", "a hidden port hides no address"),
    (PROXY, Some("for=\"[2001:db8::9]\""), None, "2001:db8::9", "RFC 7239, 6.1"),
    (PROXY, Some("for=\"[2001:db8::9]:47011\""), None, "2001:db8::9", "with a port"),
    (
        PROXY,
        Some("by=10.0.0.1;for=203.0.113.9;proto=https;host=a.example"),
        None,
        "203.0.113.9",
        "among other pairs",
    ),
    (PROXY, Some(" ; for=203.0.113.9 ; "), None, "203.0.113.9", "empty pairs"),
    (
        PROXY,
        Some("host=\"a,b\\\"c,d\";for=203.0.113.9"),
        None,
        "203.0.113.9",
        "commas and quotes within quotes",
    ),
    (PROXY, Some("for=\"203.0.113.\\9\""), None, "203.0.113.9", "an escape that nobody needs"),
    // Several hops: the right-most that is not trusted.
    (PROXY, None, Some("198.51.100.1, 203.0.113.9"), "203.0.113.9", "what the caller claimed stands left"),
    (PROXY, None, Some("203.0.113.9, 10.1.1.1"), "203.0.113.9", "two proxies"),
    (
        PROXY,
        None,
        Some("203.0.113.9,10.1.1.1,192.0.2.7,[2001:db8:aaaa::2]:80"),
        "203.0.113.9",
        "four proxies",
    ),
    (
        PROXY,
        None,
        Some("10.9.9.9, 203.0.113.9, 10.1.1.1"),
        "203.0.113.9",
        "a claimed proxy behind the caller",
    ),
    (PROXY, None, Some("203.0.113.9, ,10.1.1.1,"), "203.0.113.9", "empty elements between"),
    (PROXY, Some("for=198.51.100.1, for=203.0.113.9"), None, "203.0.113.9", "the same in Forwarded"),
    (
        PROXY,
        Some("for=203.0.113.9, for=\"[2001:db8:aaaa::2]:80\";by=x, for=10.1.1.1"),
        None,
        "203.0.113.9",
        "proxies in Forwarded",
    ),
    (PROXY, None, Some("10.3.3.3, 10.2.2.2, 10.1.1.1"), "10.3.3.3", "all trusted: the left-most"),
    (PROXY, Some("for=10.3.3.3, for=10.2.2.2"), None, "10.3.3.3", "all trusted in Forwarded"),
    (PROXY, None, Some("10.3.3.3"), "10.3.3.3", "a trusted caller"),
    // What can't be read stops the walk at the proxy that wrote it.
    (PROXY, None, Some("unknown"), PROXY, "the proxy does not know"),
    (PROXY, None, Some("203.0.113.9, unknown"), PROXY, "nothing is guessed from further left"),
    (PROXY, None, Some("203.0.113.9, unknown, 10.1.1.1"), "10.1.1.1", "the last proxy that was named"),
    (PROXY, None, Some("_hidden"), PROXY, "a hidden name"),
    (PROXY, None, Some("nonsense, 203.0.113.9"), "203.0.113.9", "left of the peer all may be nonsense"),
    (PROXY, None, Some("fe80::1%eth0"), PROXY, "a zone id"),
    (PROXY, None, Some("[fe80::1%25eth0]"), PROXY, "a zone id as in a URL"),
    (PROXY, None, Some("[203.0.113.9]"), PROXY, "brackets around IPv4"),
    (PROXY, None, Some("[2001:db8::9"), PROXY, "a bracket that stays open"),
    (PROXY, None, Some("[2001:db8::9]x"), PROXY, "something behind the bracket"),
    (PROXY, None, Some("203.0.113.9:"), PROXY, "a colon without a port"),
    (PROXY, None, Some("203.0.113.9:65536"), PROXY, "no such port"),
    (PROXY, None, Some("203.0.113.9:+80"), PROXY, "a port is digits"),
    (PROXY, None, Some("203.0.113.09"), PROXY, "a leading zero, which some read as octal"),
    (PROXY, None, Some("0xcb.0.113.9"), PROXY, "hexadecimal"),
    (PROXY, None, Some("3405803785"), PROXY, "an address as one number"),
    (PROXY, None, Some("203.0.113"), PROXY, "too short"),
    (PROXY, None, Some("203.0.113.9/32"), PROXY, "a block"),
    (PROXY, None, Some("phone.example"), PROXY, "a name"),
    (PROXY, None, Some("\"203.0.113.9\""), PROXY, "X-Forwarded-For knows no quotes"),
    (PROXY, None, Some("203.0.113.9 198.51.100.1"), PROXY, "a space is no comma"),
    (PROXY, None, Some("203.0.113.9\u{0}"), PROXY, "a NUL"),
    (PROXY, None, Some("２０３.0.113.9"), PROXY, "full-width digits"),
    (PROXY, Some("for=unknown"), None, PROXY, "RFC 7239, 6.2"),
    (PROXY, Some("for=_SEVKISEK"), None, PROXY, "RFC 7239, 6.3"),
    (PROXY, Some("for=203.0.113.9, for=unknown"), None, PROXY, "nothing is guessed in Forwarded either"),
    (PROXY, Some("for=203.0.113.9, proto=https"), None, PROXY, "an element without for"),
    (PROXY, Some("for=203.0.113.9;for=198.51.100.1"), None, PROXY, "for twice in one element"),
    (PROXY, Some("for=203.0.113.9:80"), None, PROXY, "a bare colon is no token"),
    (PROXY, Some("for=[2001:db8::9]"), None, PROXY, "bare brackets are no token"),
    (PROXY, Some("for=\"2001:db8::9\""), None, "2001:db8::9", "quoted without brackets: sloppy but clear"),
    (PROXY, Some("for="), None, PROXY, "no value"),
    (PROXY, Some("for"), None, PROXY, "no equals sign"),
    (PROXY, Some("for =203.0.113.9"), None, PROXY, "white space before the equals sign"),
    (PROXY, Some("for=\"203.0.113.9"), None, PROXY, "a quote that stays open"),
    (PROXY, Some("for=\"203.0.113.9\"x"), None, PROXY, "something behind the quote"),
    (PROXY, Some("for=203.0.113.9;="), None, PROXY, "a broken pair spoils its element"),
    (PROXY, Some("203.0.113.9"), None, PROXY, "X-Forwarded-For's form in Forwarded"),
    // An attacker's open quote must not swallow what the proxy appended.
    (PROXY, Some("for=\", for=203.0.113.9"), None, "203.0.113.9", "an open quote to the left"),
    (
        PROXY,
        Some("for=198.51.100.1;x=\", for=\"[2001:db8::9]:80\""),
        None,
        "2001:db8::9",
        "an open quote that pairs with the proxy's",
    ),
    (PROXY, Some("x=\"\\, for=\"203.0.113.9\""), None, "203.0.113.9", "an open quote and a backslash"),
    (PROXY, Some("for=\"198.51.100.1\\\", for=203.0.113.9"), None, "203.0.113.9", "an escaped closing quote"),
    // Both lists.
    (PROXY, Some("for=203.0.113.9"), Some("203.0.113.9"), "203.0.113.9", "they agree"),
    (
        PROXY,
        Some("for=\"[::ffff:203.0.113.9]:1\""),
        Some("203.0.113.9:2"),
        "203.0.113.9",
        "they agree in different spellings",
    ),
    (
        PROXY,
        Some("for=198.51.100.1, for=203.0.113.9"),
        Some("198.51.100.2, 203.0.113.9"),
        "203.0.113.9",
        "they differ only in what is not read",
    ),
    (PROXY, Some("for=unknown"), Some("_hidden"), PROXY, "both name nobody"),
    (
        PROXY,
        Some("for=198.51.100.1"),
        Some("203.0.113.9"),
        REFUSED,
        "a forged Forwarded behind a proxy that appends to the other",
    ),
    (PROXY, Some("for=203.0.113.9"), Some("198.51.100.1"), REFUSED, "a forged X-Forwarded-For, likewise"),
    (
        PROXY,
        Some("for=unknown"),
        Some("203.0.113.9"),
        REFUSED,
        "hiding in one of them is a contradiction, too",
    ),
    (PROXY, Some("\""), Some("203.0.113.9"), REFUSED, "so is garbage"),
    (PROXY, Some(""), Some("203.0.113.9"), REFUSED, "and an empty list"),
    (PROXY, Some("for=203.0.113.9, for=10.1.1.1"), Some("10.1.1.1"), REFUSED, "one chain is longer"),
];

#[test]
fn the_peer_is_the_right_most_hop_that_is_not_trusted() {
    assert!(ROWS.len() >= 60);
    let trusted = trusted();
    for (network, forwarded, x_forwarded_for, expected, why) in ROWS {
        let found =
            peer(ip(network), &trusted, forwarded.map(str::as_bytes), x_forwarded_for.map(str::as_bytes));
        let expected = if *expected == REFUSED { Err(Contradiction) } else { Ok(ip(expected)) };
        assert_eq!(found, expected, "{why}: {forwarded:?} {x_forwarded_for:?}");
    }
}

#[test]
fn a_hundred_forged_values_change_nothing() {
    let forged: Vec<String> = (0..100u8)
        .map(|n| match n % 5 {
            0 => format!("198.51.100.{n}"),
            1 => format!("10.0.0.{n}"),
            2 => format!("2001:db8::{n}"),
            3 => format!("fe80::{n}%eth0"),
            _ => "PROXY TCP4 198.51.100.1 10.0.0.1 1 2".to_owned(),
        })
        .collect();
    let trusted = trusted();
    let x_forwarded_for = format!("{}, 203.0.113.9", forged.join(", "));
    let forwarded: Vec<String> = forged.iter().map(|value| format!("for=\"{value}\"")).collect();
    let forwarded = format!("{}, for=203.0.113.9", forwarded.join(", "));
    for (network, expected) in [(PROXY, "203.0.113.9"), ("203.0.113.77", "203.0.113.77")] {
        let network = ip(network);
        for (one, other) in [
            (Some(&forwarded), None),
            (None, Some(&x_forwarded_for)),
            (Some(&forwarded), Some(&x_forwarded_for)),
        ] {
            let found = peer(network, &trusted, one.map(String::as_bytes), other.map(String::as_bytes));
            assert_eq!(found, Ok(ip(expected)));
        }
    }
    // Each of them alone, from a stranger and as the left neighbour of the truth.
    for value in &forged {
        let list = format!("{value}, 203.0.113.9");
        assert_eq!(peer(ip(PROXY), &trusted, None, Some(list.as_bytes())), Ok(ip("203.0.113.9")));
        let alone = peer(ip("203.0.113.77"), &trusted, None, Some(value.as_bytes()));
        assert_eq!(alone, Ok(ip("203.0.113.77")));
    }
}

#[test]
fn a_chain_of_trusted_hops_is_followed_so_far_and_no_further() {
    let hops: Vec<String> = (0..100u8).map(|n| format!("10.0.1.{n}")).collect();
    let list = hops.join(", ");
    let last_read = &hops[100 - FORWARDED_HOPS];
    assert_eq!(peer(ip(PROXY), &trusted(), None, Some(list.as_bytes())), Ok(ip(last_read)));
}

#[test]
fn a_block_is_read_or_refused_with_its_reason() {
    for good in ["10.0.0.0/8", "192.0.2.7", "192.0.2.7/32", "2001:db8::/32", "::1", "::ffff:10.0.0.0/104"] {
        assert!(Blocks::parse(&[good]).is_ok(), "{good}");
    }
    for (bad, fault) in [
        ("", BlockFault::NotABlock),
        ("everybody", BlockFault::NotABlock),
        ("10.0.0.0/33", BlockFault::NotABlock),
        ("10.0.0/8", BlockFault::NotABlock),
        ("fe80::1%eth0", BlockFault::NotABlock),
        ("10.0.0.0-10.0.0.9", BlockFault::NotABlock),
        ("10.0.0.1/8", BlockFault::HostBits),
        ("2001:db8::1/32", BlockFault::HostBits),
        ("0.0.0.0/0", BlockFault::Everybody),
        ("::/0", BlockFault::Everybody),
        ("::ffff:0.0.0.0/96", BlockFault::Everybody),
    ] {
        assert_eq!(Blocks::parse(&["10.0.0.0/8", bad]).unwrap_err(), (1, fault), "{bad}");
    }
    let many = vec!["10.0.0.0/8"; CONFIGURED_BLOCKS + 1];
    assert_eq!(Blocks::parse(&many).unwrap_err().1, BlockFault::TooMany);
    assert!(Blocks::parse(&many[1..]).is_ok());
}

proptest! {
    /// Whatever bytes a caller puts in front, the proxy's own element decides.
    #[test]
    fn nothing_left_of_the_peer_matters(prefix in proptest::collection::vec(any::<u8>(), 0..64)) {
        for own in ["for=203.0.113.9", "for=\"203.0.113.9:80\"", "by=\"_x\";for=\"203.0.113.9\""] {
            let list = [&prefix, &b", "[..], own.as_bytes()].concat();
            prop_assert_eq!(peer(ip(PROXY), &trusted(), Some(&list), None), Ok(ip("203.0.113.9")));
        }
        let list = [&prefix, &b", 203.0.113.9"[..]].concat();
        prop_assert_eq!(peer(ip(PROXY), &trusted(), None, Some(&list)), Ok(ip("203.0.113.9")));
    }

    /// From a stranger nothing is read, and nothing panics on the way.
    #[test]
    fn a_strangers_lists_are_not_read(one in ".{0,64}", other in ".{0,64}") {
        let stranger = ip("203.0.113.77");
        let found = peer(stranger, &trusted(), Some(one.as_bytes()), Some(other.as_bytes()));
        prop_assert_eq!(found, Ok(stranger));
        let _either = peer(ip(PROXY), &trusted(), Some(one.as_bytes()), Some(other.as_bytes()));
    }
}
