//! Strikes and bans, as a peer behind a trusted proxy meets them: 403 `banned`.

use serde_json::json;

use super::{BEHIND_A_PROXY, ask, ask_for, forged, limit_met, until};
use authepy_testkit::DevServer;
use authepy_testkit::phone::Phone;

/// Breaches the windows of issues, of checks and of denials, one after the other, with limits of one each.
async fn breach_three_windows(page: &Phone, id: &str) {
    assert_eq!(ask(page, "ada@example.com").await.status, 202);
    for _ in 0..3 {
        assert_eq!(limit_met(&ask(page, "ada@example.com").await), (429, "peer"), "struck once");
    }
    assert_eq!(
        page.check_of("ada@example.com", &forged(id, 1), "123456").await.code(),
        (404, "verification-not-found")
    );
    assert_eq!(
        limit_met(&page.check_of("ada@example.com", &forged(id, 2), "123456").await),
        (429, "peer"),
        "struck twice"
    );
    assert_eq!(page.get("/healthz").await.status, 200, "two strikes are no ban");
    assert_eq!(page.with_key("").get("/v1/x").await.code(), (403, "banned"), "struck out");
}

#[tokio::test]
async fn strikes_ban_a_peer_for_its_time_and_then_count_from_zero() {
    let server = DevServer::start(&[
        BEHIND_A_PROXY,
        "engine.shards=2",
        "limits.peer.issue=1/4s",
        "limits.peer.check=1/4s",
        "limits.peer.denied=1/4s",
        "bans.strikes=3/1h",
        "bans.first=5s",
        "limits.recipient.issue=off",
        "limits.recipient_peer.issue=off",
    ]);
    let proxy = Phone::connect(&server).await;
    let id = proxy.issue("owner@example.com").await;
    let page = proxy.as_page(&server).passing_on("203.0.113.7");
    breach_three_windows(&page, &id).await;
    // Whatever lane its next connection is on has heard of it, and every route says so.
    for _ in 0..8 {
        let elsewhere = Phone::connect(&server).await.as_page(&server).passing_on("203.0.113.7");
        until(&elsewhere, "/healthz", 403).await;
        assert_eq!(ask(&elsewhere, "ada@example.com").await.code(), (403, "banned"));
        assert_eq!(elsewhere.with_key("").get("/v1/x").await.code(), (403, "banned"), "not 401");
    }
    assert_eq!(ask_for(&proxy, "ada@example.com", "::ffff:203.0.113.7").await.code(), (403, "banned"));
    let batch = json!([
        {"recipient": "ada@example.com", "client": {"ip": "203.0.113.7"}},
        {"recipient": "ada@example.com"},
    ]);
    let heard = proxy.post("/v1/verifications:batch", &batch).await;
    assert_eq!((&heard.body[0]["status"], &heard.body[1]["status"]), (&json!(403), &json!(202)));
    assert_eq!(heard.body[0]["problem"]["code"], "banned");
    let neighbour = proxy.as_page(&server).passing_on("203.0.113.8");
    assert_eq!(ask(&neighbour, "bob@example.com").await.status, 202, "nobody else is");

    until(&page, "/healthz", 200).await;
    breach_three_windows(&page, &id).await;
}

/// Attack row A08: ids that nobody was given.
#[tokio::test]
async fn unknown_ids_make_no_state_and_strike_whoever_tries_them() {
    let server = DevServer::start(&[BEHIND_A_PROXY, "engine.shards=2", "bans.strikes=2/10m"]);
    let proxy = Phone::connect(&server).await;
    let id = proxy.issue("ada@example.com").await;
    let page = proxy.as_page(&server).passing_on("203.0.113.7");
    let mut met = [0; 3];
    for n in 0..100 {
        let heard = page.check_of("ada@example.com", &forged(&id, n), "123456").await;
        met[match heard.code() {
            (404, "verification-not-found") => 0,
            (429, "rate-limited") => 1,
            (403, "banned") => 2,
            other => panic!("{other:?}"),
        }] += 1;
    }
    // 30 denials; 30 more checks, refused as denials; the next breaches a second window.
    assert_eq!(met, [30, 30, 40]);

    // Whom no window holds: a secret key.
    let published = |server: &DevServer| server.metric("authepy_memory_bytes");
    // Lanes publish their figures in turns of half a second; the queued mail has to be gone, too.
    super::await_mails(&server, 1).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let before = published(&server);
    for n in 0..5_000 {
        let heard = proxy.check(&forged(&id, 1_000 + n), "123456").await;
        assert_eq!(heard.code(), (404, "verification-not-found"));
    }
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(published(&server), before);
    assert_eq!(server.metric("authepy_live_slots"), 1);
}
