//! `RateLimit-Policy` and `RateLimit`, read as strictly as RFC 9651 has it, by a reader of the test's own.

use std::collections::BTreeMap;

use super::{ask, ask_for, limit_met, retry_after};
use authepy_testkit::DevServer;
use authepy_testkit::phone::{Heard, Phone};

type Items = Vec<(String, BTreeMap<String, u64>)>;

/// Reads a list of strings with integer parameters; refuses whatever else there is.
fn list(mut text: &str) -> Items {
    let mut items = Vec::new();
    loop {
        text = text.strip_prefix('"').expect("an item is a string");
        let (name, rest) = text.split_once('"').expect("the string ends");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{name}");
        text = rest;
        let mut parameters = BTreeMap::new();
        while let Some(rest) = text.strip_prefix(';') {
            let (key, rest) = rest.split_once('=').expect("a parameter has a value");
            assert!(!key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase()), "{key:?}");
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            assert!((1..=15).contains(&digits), "{rest:?} is no integer");
            assert!(digits == 1 || !rest.starts_with('0'), "{rest:?} is not canonical");
            let known = parameters.insert(key.to_owned(), rest[..digits].parse().unwrap());
            assert!(known.is_none(), "{key} twice");
            text = &rest[digits..];
        }
        items.push((name.to_owned(), parameters));
        match text {
            "" => return items,
            _ => text = text.strip_prefix(", ").expect("items are cut by a comma"),
        }
    }
}

/// Name, quota, window, remaining, reset of each policy the answer tells of.
fn rates(heard: &Heard) -> Vec<(String, [u64; 4])> {
    let fields = ["ratelimit-policy", "ratelimit"].map(|field| {
        assert!(heard.headers.get_all(field).iter().count() <= 1, "{field} twice");
        heard.header(field)
    });
    if fields == ["", ""] {
        return Vec::new();
    }
    let [policies, limits] = fields.map(list);
    assert_eq!(policies.len(), limits.len());
    let both = policies.into_iter().zip(limits);
    both.map(|((name, mut policy), (same, mut limit))| {
        assert_eq!(name, same);
        let take = |from: &mut BTreeMap<String, u64>, key| from.remove(key).unwrap();
        let rate =
            [take(&mut policy, "q"), take(&mut policy, "w"), take(&mut limit, "r"), take(&mut limit, "t")];
        assert!(policy.is_empty() && limit.is_empty());
        (name, rate)
    })
    .collect()
}

/// The same without the seconds, which pass.
fn remaining(heard: &Heard) -> Vec<(String, u64)> {
    rates(heard).into_iter().map(|(name, [_, _, remaining, _])| (name, remaining)).collect()
}

fn named(names: &[(&str, u64)]) -> Vec<(String, u64)> {
    names.iter().map(|(name, remaining)| ((*name).to_owned(), *remaining)).collect()
}

#[tokio::test]
async fn answers_tell_their_peer_what_is_left_to_it() {
    let server = DevServer::start(&["limits.key.issue=1000/1h"]);
    let page = Phone::connect(&server).await.as_page(&server);
    let issued = ask(&page, "ada@example.com").await;
    let told = rates(&issued);
    let expected = [("peer", [20, 60, 19]), ("peer-2", [100, 3_600, 99]), ("key", [1_000, 3_600, 999])];
    assert_eq!(told.len(), expected.len());
    for ((name, [q, w, r, t]), (expected_name, expected)) in told.iter().zip(expected) {
        assert_eq!((name.as_str(), [*q, *w, *r]), (expected_name, expected));
        assert!((1..=*w).contains(t), "{name}: {t}");
    }
    assert!(issued.header("access-control-expose-headers").contains("RateLimit, RateLimit-Policy"));

    let id = issued.body["id"].as_str().unwrap();
    let checked = page.check_of("ada@example.com", id, "12345678").await;
    assert_eq!(checked.status, 422);
    assert_eq!(remaining(&checked), named(&[("peer", 59), ("peer-denied", 29)]));
    let unread = page.post(&format!("/v1/verifications/{id}/check"), &serde_json::json!(5)).await;
    assert_eq!(remaining(&unread), named(&[("peer-denied", 28)]));
    assert_eq!(remaining(&page.with_key("").check(id, "123456").await), named(&[("peer-denied", 27)]));

    // Refused by its own inbox: the key gets its place back, and nobody learns what the inbox has left.
    for _ in 0..2 {
        ask(&page, "ada@example.com").await;
    }
    let refused = ask(&page, "ada@example.com").await;
    assert_eq!(limit_met(&refused), (429, "recipient"));
    assert_eq!(remaining(&refused), named(&[("peer", 16), ("peer-2", 96), ("key", 997)]));
    assert_eq!(rates(&page.send("DELETE", &format!("/v1/verifications/{id}"), None).await), []);
}

#[tokio::test]
async fn a_refusal_tells_that_nothing_is_left_until_when_it_says_to_come_back() {
    let server = DevServer::start(&[r#"limits.peer.issue=["2/1m","5/1h"]"#, "limits.key.issue=off"]);
    let backend = Phone::connect(&server).await;
    let page = backend.as_page(&server);
    for n in 0..2 {
        assert_eq!(ask(&page, &format!("p{n}@example.com")).await.status, 202);
    }
    let refused = ask(&page, "p2@example.com").await;
    assert_eq!(limit_met(&refused), (429, "peer"));
    let told = rates(&refused);
    assert_eq!((told[0].1[2], told[0].1[3]), (0, retry_after(&refused)), "{told:?}");
    assert_eq!((told[1].0.as_str(), told[1].1[2]), ("peer-2", 3), "{told:?}");
    assert_eq!(rates(&ask(&backend, "p3@example.com").await), [], "a secret key has no peer");
    let named_one = ask_for(&backend, "p4@example.com", "2001:db8::1").await;
    assert_eq!(remaining(&named_one), named(&[("peer", 1), ("peer-2", 4)]));
}
