//! `POST /v1/verifications:batch` from outside: order, independence of its items, limits for each.

use std::collections::HashSet;

use authepy_testkit::phone::{Heard, Phone};
use authepy_testkit::{DevServer, NO_LIMITS};
use serde_json::{Value, json};

const BATCH: &str = "/v1/verifications:batch";

/// What each item was answered: its status, and its problem's code if it has one.
fn statuses(heard: &Heard) -> Vec<(u64, String)> {
    assert_eq!(heard.status, 200, "{:?}", heard.body);
    let item = |item: &Value| {
        let status = item["status"].as_u64().unwrap();
        let member = if status == 202 { "verification" } else { "problem" };
        let members: Vec<&String> = item.as_object().unwrap().keys().collect();
        assert_eq!(members.len(), 2, "{item}");
        assert!(item[member].is_object(), "{item}");
        (status, item["problem"]["code"].as_str().unwrap_or_default().to_owned())
    };
    heard.body.as_array().unwrap().iter().map(item).collect()
}

fn issued() -> (u64, String) {
    (202, String::new())
}

fn refused(status: u64, code: &str) -> (u64, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn good_items_are_issued_beside_bad_ones_in_their_order_and_mailed_once() {
    let server = DevServer::start(&["engine.shards=4"]);
    let phone = Phone::connect(&server).await;
    let batch = json!([
        {"recipient": "ada@example.com", "purpose": "login"},
        {"recipient": "not an address"},
        {"recipient": "eve@mailinator.com"},
        {"recipient": "bob@example.org", "code_length": 8, "lifetime": 60},
        {"recipient": "bob@example.org", "lifetime": 0},
        {"purpose": "login"},
        {"recipient": "eve@example.com", "colour": "red"},
        17,
        null,
        [{"recipient": "eve@example.com"}],
        {"recipient": "cy@example.net"},
    ]);
    let heard = phone.post(BATCH, &batch).await;
    let malformed = || refused(400, "malformed-request");
    assert_eq!(
        statuses(&heard),
        [
            issued(),
            refused(422, "invalid-recipient"),
            refused(422, "disposable-domain"),
            issued(),
            malformed(),
            malformed(),
            malformed(),
            malformed(),
            malformed(),
            malformed(),
            issued(),
        ]
    );
    assert_eq!(heard.header("location"), "");
    assert_eq!(heard.header("content-type"), "application/json");
    let hints: Vec<&Value> =
        [0, 3, 10].into_iter().map(|at| &heard.body[at]["verification"]["recipient_hint"]).collect();
    assert_eq!(hints, ["a***@example.com", "b***@example.org", "c***@example.net"]);
    assert_eq!(heard.body[0]["verification"]["purpose"], "login");
    assert_eq!(heard.body[3]["verification"]["code_length"], 8);
    let problem = &heard.body[1]["problem"];
    assert_eq!(problem["request_id"], heard.header("x-request-id"));
    assert_eq!(
        (&problem["type"], &problem["status"]),
        (&json!("/problems/invalid-recipient"), &json!(422)),
        "{problem}"
    );

    for (at, recipient) in [(0, "ada@example.com"), (3, "bob@example.org"), (10, "cy@example.net")] {
        let codes = server.codes_for(recipient, 1);
        assert_eq!(codes.len(), 1, "one mail to {recipient}");
        let id = heard.body[at]["verification"]["id"].as_str().unwrap();
        assert_eq!(phone.check(id, &codes[0]).await.body["valid"], true);
    }
    assert_eq!(server.metric("authepy_mail_total{outcome=\"sent\"}"), 3);
    assert_eq!(server.metric("authepy_requests_total{route=\"batch\",outcome=\"ok\"}"), 1);
    assert_eq!(server.metric("authepy_requests_total{route=\"issue\",outcome=\"ok\"}"), 0);
    assert_eq!(server.metric("authepy_refusals_total{reason=\"malformed_request\"}"), 6);
}

#[tokio::test]
async fn items_for_one_inbox_meet_its_window_in_their_order() {
    let server = DevServer::start(&["engine.shards=4", "limits.recipient.issue=3/10m"]);
    let phone = Phone::connect(&server).await;
    // Enough items that they are not all polled in one go, the inbox's aliases among them.
    let others = |n: usize| json!({"recipient": format!("other{n}@example.com")});
    let aliases =
        ["ada@gmail.com", "a.d.a@gmail.com", "ada+1@gmail.com", "ADA@googlemail.com", "ada+2@gmail.com"];
    let mut batch = Vec::new();
    for (at, alias) in aliases.into_iter().enumerate() {
        batch.extend((0..8).map(|n| others(10 * at + n)));
        batch.push(json!({"recipient": alias}));
    }
    let heard = phone.post(BATCH, &Value::from(batch)).await;
    let statuses = statuses(&heard);
    let of_aliases: Vec<u64> = (0..5).map(|at| statuses[9 * at + 8].0).collect();
    assert_eq!(of_aliases, [202, 202, 202, 429, 429]);
    assert_eq!(statuses.iter().filter(|status| status.0 == 202).count(), 43);
    let problem = &heard.body[9 * 3 + 8]["problem"];
    assert_eq!((&problem["code"], &problem["policy"]), (&json!("rate-limited"), &json!("recipient")));
    assert!((590..=600).contains(&problem["retry_after"].as_u64().unwrap()), "{problem}");
}

#[tokio::test]
async fn a_batch_is_an_array_of_one_to_a_hundred() {
    let server = DevServer::start(&NO_LIMITS);
    let phone = Phone::connect(&server).await.with_key(server.text("secret_test_key"));
    let batch = |count: usize| {
        Value::from((0..count).map(|n| json!({"recipient": format!("p{n}@example.com")})).collect::<Vec<_>>())
    };
    let full = phone.post(BATCH, &batch(100)).await;
    let ids: HashSet<&str> = full
        .body
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["verification"]["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 100, "{}", full.body);
    for id in ids.iter().take(3) {
        assert_eq!(phone.check(id, "000000").await.body["valid"], true);
    }
    let messages = server.metric("authepy_test_shard_messages_total");
    for body in [
        batch(101),
        json!([]),
        json!({"recipient": "ada@example.com"}),
        json!("ada@example.com"),
        json!(null),
    ] {
        let heard = phone.post(BATCH, &body).await;
        assert_eq!(heard.code(), (400, "malformed-request"), "{body}");
    }
    let cut = phone.send("POST", BATCH, Some(b"[{\"recipient\":\"ada@example.com\"}")).await;
    assert_eq!(cut.code(), (400, "malformed-request"));
    let big = format!("[{{\"recipient\":\"{}\"}}]", "a".repeat(9_000));
    assert_eq!(phone.send("POST", BATCH, Some(big.as_bytes())).await.code(), (413, "body-too-large"));
    let get = phone.get(BATCH).await;
    assert_eq!((get.code(), get.header("allow")), ((405, "method-not-allowed"), "POST, OPTIONS"));
    assert_eq!(server.metric("authepy_test_shard_messages_total"), messages, "no shard heard of any of it");
    assert_eq!(server.metric("authepy_mail_total{outcome=\"sent\"}"), 0, "test keys send no mail");
}

#[tokio::test]
async fn a_restricted_key_has_no_batch() {
    let server = DevServer::start(&NO_LIMITS);
    let phone = Phone::connect(&server).await.with("origin", "https://mybrand.com");
    for key in ["restricted_key", "restricted_test_key"] {
        let heard =
            phone.with_key(server.text(key)).post(BATCH, &json!([{"recipient": "ada@example.com"}])).await;
        assert_eq!(heard.code(), (403, "key-class-forbidden"));
    }
    assert_eq!(server.metric("authepy_shard_messages_total"), 0);
}

#[tokio::test]
async fn a_mail_place_is_kept_for_each_item_or_the_item_is_refused() {
    // A relay that takes connections and says nothing: mails stay in the queue, each in its place.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("url = \"smtp://{}\"", silent.local_addr().unwrap());
    let delivery =
        format!("delivery=[{{name = \"silent\", kind = \"smtp\", {url}, from = \"no-reply@mybrand.com\"}}]");
    let settings: Vec<&str> = NO_LIMITS.into_iter().chain([delivery.as_str()]).collect();
    let server = DevServer::start(&settings);
    let phone = Phone::connect(&server).await;
    let mut promised = 0;
    let refused = 'fill: loop {
        let batch: Vec<Value> =
            (0..100).map(|n| json!({"recipient": format!("q{promised}-{n}@example.com")})).collect();
        let heard = phone.post(BATCH, &Value::from(batch)).await;
        for (at, (status, code)) in statuses(&heard).into_iter().enumerate() {
            if status != 202 {
                assert_eq!((status, code.as_str()), (503, "delivery-unavailable"));
                break 'fill heard.body[at]["problem"].clone();
            }
            promised += 1;
        }
        assert!(promised < 10_000, "the queue has an end");
    };
    assert_eq!(refused["retry_after"], 5);
    // Of 8,192 places a sixteenth is for alerts, and of the rest one project has half; what is being told to the relay
    // keeps its place.
    assert_eq!(promised, 3_840);
    assert!(server.metric("authepy_memory_bytes") >= 1_000_000, "waiting mail counts as memory");
}
