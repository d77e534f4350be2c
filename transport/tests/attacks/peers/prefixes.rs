//! Who is one peer: an IPv4 address however it is written; of IPv6 the /64, and the /56 and /48 around it.

use super::{ask_for, limit_met};
use authepy_testkit::DevServer;
use authepy_testkit::phone::Phone;

#[tokio::test]
async fn a_mapped_address_is_the_ipv4_address_it_maps() {
    let server = DevServer::start(&["limits.peer.issue=4/1h"]);
    let backend = Phone::connect(&server).await;
    let same = ["203.0.113.9", "::ffff:203.0.113.9", "::ffff:cb00:7109", "0:0:0:0:0:ffff:203.0.113.9"];
    for (n, address) in same.into_iter().enumerate() {
        assert_eq!(ask_for(&backend, &format!("p{n}@example.com"), address).await.status, 202, "{address}");
    }
    for address in same {
        assert_eq!(
            limit_met(&ask_for(&backend, "p9@example.com", address).await),
            (429, "peer"),
            "{address}"
        );
    }
    for other in ["203.0.113.8", "::203.0.113.9", "2001:db8::ffff:203.0.113.9"] {
        assert_eq!(ask_for(&backend, "p9@example.com", other).await.status, 202, "{other}");
    }
    for none in ["203.0.113.9/32", "203.0.113.009", "fe80::1%eth0", "[2001:db8::1]", "localhost", ""] {
        let heard = ask_for(&backend, "p9@example.com", none).await;
        assert_eq!(heard.code(), (400, "malformed-request"), "{none}");
    }
}

/// How many of these addresses, each asked for once more, are let through.
async fn accepted(backend: &Phone, addresses: impl Iterator<Item = String>) -> usize {
    let mut accepted = 0;
    for (n, address) in addresses.enumerate() {
        let heard = ask_for(backend, &format!("p{n}@example.com"), &address).await;
        match limit_met(&heard) {
            (202, "") => accepted += 1,
            met => assert_eq!(met, (429, "peer"), "{address}"),
        }
    }
    accepted
}

/// Attack row A21b: a line with 2⁶⁴ addresses, a site with 65,536 subnets.
#[tokio::test]
async fn ipv6_is_counted_by_64_by_56_and_by_48() {
    let server = DevServer::start(&[
        "limits.peer.issue=2/1h",
        "limits.recipient.issue=off",
        "limits.recipient_peer.issue=off",
        "bans.strikes=off",
    ]);
    let backend = Phone::connect(&server).await;
    let hosts = (0..20).map(|host| format!("2001:db8:1:0:{host:x}::1"));
    assert_eq!(accepted(&backend, hosts).await, 2, "one /64");
    let subnets = (0..40).map(|n| format!("2001:db8:2:{:x}::1", n % 20));
    assert_eq!(accepted(&backend, subnets).await, 8, "one /56");
    // Eight from each of five /56; the fifth is one too many for their /48.
    let sites = (0..40).map(|n| format!("2001:db8:3:{:x}{:02x}::1", n / 8, n % 4));
    assert_eq!(accepted(&backend, sites).await, 32, "one /48");
    let others = (0..40).map(|n| format!("2001:db8:{:x}::1", 0x100 + n));
    assert_eq!(accepted(&backend, others).await, 40, "everybody else");
}
