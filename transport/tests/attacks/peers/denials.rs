//! `limits.peer.denied`: who is refused too often is answered 429, whatever else was wrong.

use serde_json::json;

use super::{BEHIND_A_PROXY, ask, ask_for, forged, limit_met, retry_after};
use authepy_testkit::DevServer;
use authepy_testkit::phone::{Phone, Wire};

#[tokio::test]
async fn the_thirty_first_denial_of_a_minute_is_a_429() {
    let server = DevServer::start(&["engine.shards=2"]);
    let backend = Phone::connect(&server).await;
    let page = backend.as_page(&server);
    let id = backend.issue("ada@example.com").await;
    for n in 0..5 {
        let denied = [
            (401, backend.with_key("rk_live_ath_wrong").get("/v1/x").await),
            (401, page.with_key(&format!("{}x", page.key)).get("/v1/x").await),
            (403, page.with("sec-fetch-site", "same-site").post("/v1/verifications:batch", &json!([])).await),
            (404, page.check_of("ada@example.com", &forged(&id, n), "123456").await),
            (405, page.post("/healthz", &json!({})).await),
            (422, ask(&page, "not an address").await),
        ];
        for (status, heard) in denied {
            assert_eq!(heard.status, status, "{:?}", heard.body);
        }
        let early = page.with("early-data", "1");
        assert_eq!(ask(&early, "bob@example.com").await.status, 425, "come again is no denial");
    }
    for heard in [
        backend.with_key("").get("/v1/x").await,
        ask(&page, "eve@mailinator.com").await,
        page.post("/healthz", &json!({})).await,
        page.check_of("ada@example.com", &forged(&id, 9), "123456").await,
    ] {
        assert_eq!(limit_met(&heard), (429, "peer"), "{:?}", heard.body);
        assert_eq!(heard.body["code"], "rate-limited");
        assert!((1..=60).contains(&retry_after(&heard)));
    }
    assert_eq!(ask(&page, "bob@example.com").await.status, 202, "what is right is not refused");
    assert_eq!(page.send("OPTIONS", "/v1/verifications", None).await.status, 204);
    assert_eq!(page.get("/.well-known/jwks.json").await.status, 200);
    for _ in 0..40 {
        assert_eq!(ask(&backend, "not an address").await.status, 422, "a secret key is not charged");
    }
}

#[tokio::test]
async fn a_backends_bad_requests_are_charged_to_whom_it_names() {
    let server = DevServer::start(&["limits.peer.denied=2/1h", "bans.strikes=off"]);
    let backend = Phone::connect(&server).await;
    let bad = |address| ask_for(&backend, "eve@mailinator.com", address);
    assert_eq!(bad("203.0.113.1").await.status, 422);
    assert_eq!(bad("::ffff:203.0.113.1").await.status, 422);
    assert_eq!(limit_met(&bad("203.0.113.1").await), (429, "peer"));
    assert_eq!(bad("203.0.113.2").await.status, 422);
    let item =
        |recipient: &str, n| json!({"recipient": recipient, "client": {"ip": format!("203.0.113.{n}")}});
    let batch = json!([
        item("eve@mailinator.com", 2),
        item("eve@mailinator.com", 2),
        item("bob@example.com", 2),
        {"recipient": "eve@mailinator.com"},
        {"recipient": "eve@mailinator.com"},
        {"recipient": "eve@mailinator.com"},
    ]);
    let heard = backend.post("/v1/verifications:batch", &batch).await;
    let statuses: Vec<u64> =
        heard.body.as_array().unwrap().iter().map(|item| item["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [422, 429, 202, 422, 422, 422]);
    assert_eq!(heard.body[1]["problem"]["policy"], "peer");
}

/// 65 fields: more than anybody sends, and refused before a request is made of them.
async fn refused_head(phone: &Phone) -> (u16, String) {
    let many = (0..65).fold(phone.clone(), |phone, n| phone.with(&format!("x-{n}"), "1"));
    let heard = many.get("/healthz").await;
    (heard.status.as_u16(), heard.body["code"].as_str().unwrap_or_default().to_owned())
}

/// Where such a head is ours to answer: HTTP/1.1's never leaves hyper.
const WIRES: [Wire; 2] = [Wire::H3, Wire::H2];

#[tokio::test]
async fn heads_that_cannot_be_read_count_too_but_not_against_a_trusted_proxy() {
    for wire in WIRES {
        let server = DevServer::start(&["limits.peer.denied=2/1h", "bans.strikes=off"]);
        let phone = Phone::over(wire, &server).await;
        for _ in 0..2 {
            assert_eq!(refused_head(&phone).await, (431, "headers-too-large".into()), "{wire:?}");
        }
        assert_eq!(refused_head(&phone).await, (429, "rate-limited".into()), "{wire:?}");
    }
    let server = DevServer::start(&[BEHIND_A_PROXY, "limits.peer.denied=2/1h", "bans.strikes=1/1h"]);
    for wire in WIRES {
        let proxy = Phone::over(wire, &server).await;
        for _ in 0..5 {
            assert_eq!(refused_head(&proxy).await.0, 431, "{wire:?}");
            let contradiction = proxy.passing_on("203.0.113.1").with("forwarded", "for=203.0.113.2");
            assert_eq!(contradiction.get("/v1/x").await.code(), (400, "malformed-http"), "{wire:?}");
        }
        assert_eq!(proxy.passing_on("203.0.113.1").get("/healthz").await.status, 200, "{wire:?}");
    }
}
