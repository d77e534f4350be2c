//! One inbox: its budget, a stranger's share of it, and what guesses at its codes lead to.

use std::net::Ipv4Addr;

use super::{ask, ask_again, ask_for, await_mails, code, limit_met, retry_after};
use authepy_testkit::DevServer;
use authepy_testkit::phone::Phone;

const ALIASES: [&str; 5] = [
    "ada.lovelace@gmail.com",
    "adalovelace@gmail.com",
    "Ada.Lovelace@GoogleMail.com",
    "adalovelace+",
    "a.d.a.",
];

/// One of forty ways to write the same inbox.
fn alias(n: usize) -> String {
    match ALIASES[n % ALIASES.len()] {
        "adalovelace+" => format!("adalovelace+{}@gmail.com", n % 40),
        "a.d.a." => format!("a.d.a.lovelace+{}@googlemail.com", n % 40),
        other => other.to_owned(),
    }
}

/// Attack row A06: everybody mails one person.
#[tokio::test]
async fn an_inbox_gets_its_budget_of_mails_whoever_asks_and_however_they_write_it() {
    let server = DevServer::start(&["engine.shards=2"]);
    let stranger = Phone::connect_from(&server, Ipv4Addr::new(127, 6, 1, 1)).await;
    let page = stranger.as_page(&server);
    let mut accepted = 0;
    for n in 0..10 {
        let heard = ask(&page, &alias(n)).await;
        match limit_met(&heard) {
            (202, "") => accepted += 1,
            met => {
                assert_eq!((met, accepted), ((429, "recipient"), 3), "its share, and no more");
                assert!((1..=600).contains(&retry_after(&heard)));
            }
        }
    }
    for peer in 0..99u8 {
        let backend = Phone::connect_from(&server, Ipv4Addr::new(127, 6, 0, peer + 1)).await;
        let page = backend.as_page(&server);
        for n in 0..10 {
            let phone = if (usize::from(peer) + n) % 2 == 0 { &page } else { &backend };
            let heard = ask(phone, &alias(10 * usize::from(peer) + n)).await;
            match limit_met(&heard) {
                (202, "") => accepted += 1,
                met => assert_eq!((met, accepted), ((429, "recipient"), 5), "{peer} {n}"),
            }
        }
    }
    assert_eq!(accepted, 5, "of a thousand");
    await_mails(&server, 5).await;
    // Test keys have an inbox of their own under the same name, and no mail leaves it.
    let page = page.with_key(server.text("restricted_test_key"));
    assert_eq!(ask(&page, &alias(0)).await.status, 202);
    await_mails(&server, 5).await;
}

#[tokio::test]
async fn the_share_is_of_whom_a_backend_names_and_a_resend_uses_it_too() {
    let server = DevServer::start(&["codes.resend_after=0s"]);
    let backend = Phone::connect(&server).await;
    for _ in 0..3 {
        assert_eq!(ask_for(&backend, "ada@example.com", "203.0.113.1").await.status, 202);
    }
    let refused = ask_for(&backend, "ada@example.com", "::ffff:203.0.113.1").await;
    assert_eq!(limit_met(&refused), (429, "recipient"));
    assert_eq!(ask_for(&backend, "ada@example.com", "203.0.113.2").await.status, 202);
    assert_eq!(ask(&backend, "ada@example.com").await.status, 202, "nobody's share, the inbox's budget");
    assert_eq!(limit_met(&ask(&backend, "ada@example.com").await), (429, "recipient"));

    let page = Phone::connect(&server).await.as_page(&server);
    let id = page.issue("bob@example.com").await;
    for _ in 0..2 {
        assert_eq!(ask_again(&page, &id, "bob@example.com").await.status, 202);
    }
    assert_eq!(limit_met(&ask_again(&page, &id, "bob@example.com").await), (429, "recipient"));
    assert_eq!(limit_met(&ask(&page, "bob@example.com").await), (429, "recipient"));
}

#[tokio::test]
async fn after_twenty_wrong_codes_new_ones_have_eight_digits_and_work() {
    let server = DevServer::start(&[]);
    let backend = Phone::connect(&server).await;
    for round in 0..4 {
        let heard = ask(&backend, &format!("ada+{round}@gmail.com")).await;
        assert_eq!(heard.body["code_length"], 6, "{:?}", heard.body);
        let right = server.code_for(&format!("ada+{round}@gmail.com"));
        let wrong = if right == code(&heard.body["code_length"]) { "111111" } else { "000000" };
        let id = heard.body["id"].as_str().unwrap();
        for tries in (0..5).rev() {
            assert_eq!(backend.check(id, wrong).await.body["attempts_remaining"], tries);
        }
    }
    let grown = ask(&backend, "ada@gmail.com").await;
    assert_eq!(grown.body["code_length"], 8, "{:?}", grown.body);
    let right = server.code_for("ada@gmail.com");
    assert_eq!(right.len(), 8);
    let approved = backend.check(grown.body["id"].as_str().unwrap(), &right).await;
    assert_eq!(approved.body["valid"], true, "nobody is locked out");
    assert_eq!(ask(&backend, "bob@gmail.com").await.body["code_length"], 6);
}
