//! `limits.peer.issue`, `limits.peer.check`, `limits.key.issue`: never more than COUNT in any WINDOW.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::{BEHIND_A_PROXY, ask, ask_again, limit_met, retry_after};
use authepy_testkit::DevServer;
use authepy_testkit::phone::Phone;

#[tokio::test]
async fn the_twenty_first_mail_a_peer_asks_for_in_a_minute_is_refused() {
    let server = DevServer::start(&["engine.shards=2"]);
    let backend = Phone::connect_from(&server, Ipv4Addr::new(127, 9, 0, 1)).await;
    let page = backend.as_page(&server);
    for n in 0..20 {
        let heard = ask(&page, &format!("p{n}@example.com")).await;
        assert_eq!(heard.status, 202, "{n}: {:?}", heard.body);
    }
    for n in 20..23 {
        let heard = ask(&page, &format!("p{n}@example.com")).await;
        assert_eq!(limit_met(&heard), (429, "peer"), "{n}");
        assert!((1..=60).contains(&retry_after(&heard)));
        assert_eq!(heard.header("access-control-allow-origin"), "https://mybrand.com");
    }
    let neighbour = Phone::connect_from(&server, Ipv4Addr::new(127, 9, 0, 2)).await.as_page(&server);
    assert_eq!(ask(&neighbour, "p20@example.com").await.status, 202, "another peer has its own window");
    assert_eq!(ask(&backend, "p21@example.com").await.status, 202, "a secret key has no peer");
    let test_page = page.with_key(server.text("restricted_test_key"));
    assert_eq!(ask(&test_page, "p22@example.com").await.status, 202, "test keys have counters of their own");
    assert_eq!(server.metric("authepy_shard_messages_total"), 22, "peer accounting is not in it");
}

#[tokio::test]
async fn checks_have_a_window_of_their_own_and_a_resend_costs_what_an_issue_costs() {
    let server = DevServer::start(&[
        "limits.peer.issue=2/1h",
        "limits.peer.check=3/1h",
        "codes.resend_after=0s",
        "bans.strikes=off",
    ]);
    // A test key's mails are never under way.
    let page = Phone::connect(&server).await.as_page(&server).with_key(server.text("restricted_test_key"));
    let id = page.issue("ada@example.com").await;
    assert_eq!(ask_again(&page, &id, "ada@example.com").await.status, 202);
    assert_eq!(limit_met(&ask_again(&page, &id, "ada@example.com").await), (429, "peer"));
    assert_eq!(limit_met(&ask(&page, "bob@example.com").await), (429, "peer"));
    // One that could be compared, one that couldn't: both were checks.
    assert_eq!(page.check_of("ada@example.com", &id, "12345678").await.code(), (422, "malformed-code"));
    assert_eq!(page.check_of("ada@example.com", &id, "111111").await.body["attempts_remaining"], 4);
    assert_eq!(page.check_of("ada@example.com", &id, "000000").await.body["valid"], true);
    assert_eq!(limit_met(&page.check_of("ada@example.com", &id, "000000").await), (429, "peer"));
    assert_eq!(page.send("DELETE", &format!("/v1/verifications/{id}"), None).await.status, 204);
}

#[tokio::test]
async fn waiting_as_long_as_retry_after_says_is_enough() {
    let server = DevServer::start(&["limits.peer.issue=2/2s", "bans.strikes=off"]);
    let page = Phone::connect(&server).await.as_page(&server);
    let mut n = 0;
    for _ in 0..3 {
        let refused = loop {
            n += 1;
            assert!(n < 100, "the window is never full");
            let heard = ask(&page, &format!("p{n}@example.com")).await;
            if heard.status != 202 {
                break heard;
            }
        };
        assert_eq!(limit_met(&refused), (429, "peer"));
        tokio::time::sleep(Duration::from_secs(retry_after(&refused))).await;
        n += 1;
        assert_eq!(ask(&page, &format!("p{n}@example.com")).await.status, 202);
    }
}

/// A stolen restricted key, used from everywhere for everybody.
#[tokio::test]
async fn an_api_key_stops_at_its_own_number_whoever_uses_it() {
    let server = DevServer::start(&[BEHIND_A_PROXY, "engine.shards=2", "limits.key.issue=50/1h"]);
    let proxy = Phone::connect(&server).await;
    let page = proxy.as_page(&server);
    let mut accepted = 0;
    for n in 0..120 {
        let heard = ask(&page.passing_on(&format!("203.0.113.{n}")), &format!("p{n}@example.com")).await;
        if n == 10 {
            // An inbox that refuses gives the place back.
            let stranger = page.passing_on("198.51.100.1");
            for _ in 0..20 {
                ask(&stranger, "p0@example.com").await;
            }
            accepted += 3;
        }
        match limit_met(&heard) {
            (202, "") => accepted += 1,
            met => {
                assert_eq!((met, accepted), ((429, "key"), 50), "{n}");
                assert!((3_000..=3_600).contains(&retry_after(&heard)));
            }
        }
    }
    assert_eq!(accepted, 50);
    super::await_mails(&server, 50).await;
    let other = ask(&proxy, "p119@example.com").await;
    assert_eq!(other.status, 202, "another key has its own window");
    assert_eq!(server.metric("authepy_shard_messages_total"), 50 + 17 + 1, "no inbox heard of the others");
}

#[tokio::test]
async fn a_repeated_request_costs_its_peer_and_neither_the_key_nor_the_inbox() {
    let server = DevServer::start(&["limits.peer.issue=4/1h", "limits.key.issue=9/1h", "bans.strikes=off"]);
    let page = Phone::connect(&server).await.as_page(&server);
    let once = page.with("idempotency-key", "k-1");
    let first = ask(&once, "ada@example.com").await;
    for _ in 0..2 {
        let again = ask(&once, "ada@example.com").await;
        assert_eq!((again.status.as_u16(), &again.body), (202, &first.body));
        assert_eq!(again.header("idempotency-replayed"), "true");
    }
    let other = ask(&page, "bob@example.com").await;
    assert!(other.header("ratelimit").contains("\"key\";r=7;"), "{other:?}");
    assert_eq!(limit_met(&ask(&once, "ada@example.com").await), (429, "peer"));
    super::await_mails(&server, 2).await;
}
