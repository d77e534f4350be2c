//! What is refused and is nobody's fault: no strike follows (S15, S19).

use std::net::Ipv4Addr;

use super::{ask, limit_met, retry_after};
use authepy_testkit::DevServer;
use authepy_testkit::operator::admin;
use authepy_testkit::phone::{Phone, Wire};
use serde_json::json;

/// Any strike bans at once.
const STRICT: [&str; 2] = ["engine.shards=2", "bans.strikes=1/10m"];

/// An image request of a page that has nothing to do with us, as browsers send it.
fn image_of_foreign_page(visitor: &Phone) -> Phone {
    visitor
        .with_key("")
        .with("sec-fetch-site", "cross-site")
        .with("sec-fetch-mode", "no-cors")
        .with("sec-fetch-dest", "image")
}

#[tokio::test]
async fn a_foreign_page_neither_bans_its_visitor_nor_uses_up_his_windows() {
    let server = DevServer::start(&STRICT);
    for (n, wire) in Wire::ALL.into_iter().enumerate() {
        let home = Ipv4Addr::new(127, 0, 78, 1 + n as u8);
        let visitor = Phone::over_from(wire, &server, home).await;
        let (image, page) = (image_of_foreign_page(&visitor), visitor.as_page(&server));
        let preflight = image.with("origin", "https://evil.example");
        for nth in 0..200 {
            let path = format!("/v1/verifications/{nth}");
            assert_eq!(image.get(&path).await.code(), (401, "invalid-key"), "{wire:?} {nth}");
            assert_eq!(preflight.send("OPTIONS", &path, None).await.status, 204, "{wire:?} {nth}");
            assert_eq!(image.get("/healthz").await.status, 200, "{wire:?} {nth}");
        }
        // As many as `limits.peer.any` in one window of their own; then 429, and no ban for going on.
        for _ in 0..20 {
            for heard in [
                image.get("/v1/verifications/x").await,
                image.get("/healthz").await,
                preflight.send("OPTIONS", "/v1/verifications", None).await,
            ] {
                assert_eq!(limit_met(&heard), (429, "peer"), "{wire:?}");
                assert!((1..=60).contains(&retry_after(&heard)));
            }
        }
        // All of that cost the visitor nothing: neither in `any`, nor of his denials, nor a sign-up.
        let recipient = format!("ada{n}@example.com");
        let preflight = page.with_key("").with("sec-fetch-site", "cross-site");
        assert_eq!(preflight.send("OPTIONS", "/v1/verifications", None).await.status, 204, "our own page's");
        let issued = ask(&page.with("sec-fetch-site", "cross-site"), &recipient).await;
        assert_eq!(issued.status, 202, "{wire:?}: {:?}", issued.body);
        let id = issued.body["id"].as_str().unwrap();
        let wrong = page.check_of(&recipient, id, "1").await;
        assert!(wrong.header("ratelimit").contains("\"peer-denied\";r=29"), "{:?}", wrong.headers);
        let right = page.check_of(&recipient, id, &server.code_for(&recipient)).await;
        assert_eq!(right.body["valid"], true, "{wire:?}: {:?}", right.body);
    }
    assert_eq!(server.metric("authepy_bans_active"), 0);
}

/// The address of an image can be too long for the head to be read, and then nobody knows which page asked for it. The
/// client over HTTP/3 sends no such address, so there the fields are too many.
#[tokio::test]
async fn a_foreign_page_with_a_giant_address_bans_nobody() {
    let server = DevServer::start(&STRICT);
    let long = format!("/{}", "a".repeat(20_000));
    for (n, wire) in Wire::ALL.into_iter().enumerate() {
        let home = Ipv4Addr::new(127, 0, 80, 1 + n as u8);
        let visitor = Phone::over_from(wire, &server, home).await;
        let image = image_of_foreign_page(&visitor);
        let (image, path) = match wire {
            Wire::H1 => (image, &*long),
            _ => ((0..65).fold(image, |image, n| image.with(&format!("x-{n}"), "1")), "/"),
        };
        for nth in 0..30 {
            assert_eq!(image.get(path).await.status, 431, "{wire:?} {nth}");
        }
        for _ in 0..40 {
            assert_eq!(limit_met(&image.get(path).await), (429, "peer"), "{wire:?}: counted, not struck");
        }
        let recipient = format!("eve{n}@example.com");
        let page = visitor.as_page(&server);
        let issued = ask(&page, &recipient).await;
        assert_eq!(issued.status, 202, "{wire:?}: {:?}", issued.body);
        let id = issued.body["id"].as_str().unwrap();
        let right = page.check_of(&recipient, id, &server.code_for(&recipient)).await;
        assert_eq!(right.body["valid"], true, "{wire:?}: {:?}", right.body);
    }
    assert_eq!(server.metric("authepy_bans_active"), 0);
}

#[tokio::test]
async fn what_carries_a_key_or_comes_from_nearer_is_no_foreign_page_and_strikes() {
    let server = DevServer::start(&STRICT);
    let from = async |last: u8| Phone::connect_from(&server, Ipv4Addr::new(127, 0, 79, last)).await;
    for guilty in [
        from(1).await.with_key("").with("sec-fetch-site", "same-origin"),
        from(2).await.with_key("wrong").with("sec-fetch-site", "cross-site"),
        from(3).await.with_key(""),
    ] {
        for _ in 0..30 {
            assert_eq!(guilty.get("/v1/x").await.status, 401);
        }
        let quic = guilty.quic().connection.clone();
        let _unanswered = tokio::spawn(async move { guilty.get("/v1/x").await });
        authepy_testkit::peers::shown_out(&quic).await;
    }
}

#[tokio::test]
async fn a_back_end_that_still_shows_an_ended_key_is_refused_and_never_banned() {
    let server = DevServer::start(&STRICT);
    let asked = json!({"project": "dev", "class": "secret"});
    let (_, key) = admin(&server, "POST", "/admin/v1/keys", Some(&asked));
    let (id, key) = (key["id"].as_str().unwrap(), key["key"].as_str().unwrap());
    let back_end = Phone::connect_from(&server, Ipv4Addr::new(127, 0, 79, 9)).await;
    assert_eq!(ask(&back_end.with_key(key), "before@example.com").await.status, 202);
    assert_eq!(admin(&server, "DELETE", &format!("/admin/v1/keys/{id}"), None).0, 204);

    let ended = back_end.with_key(key);
    let made_up = back_end.with_key("ath_sec_live_0123456789");
    let [one, other] = [ended.get("/v1/x").await, made_up.get("/v1/x").await].map(|mut heard| {
        heard.body["request_id"] = json!(null);
        (heard.status, heard.body)
    });
    assert_eq!(one, other, "nobody is told that it existed");
    for _ in 2..30 {
        assert_eq!(ask(&ended, "ada@example.com").await.code(), (401, "invalid-key"));
    }
    for _ in 0..100 {
        assert_eq!(limit_met(&ask(&ended, "ada@example.com").await), (429, "peer"), "counted, not struck");
    }
    // With the right key it is served, on the same connection.
    assert_eq!(ask(&back_end, "after@example.com").await.status, 202);
    assert_eq!(server.metric("authepy_bans_active"), 0);
}
