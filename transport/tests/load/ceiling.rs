//! Memory under a spray of recipients (A67): the ceiling holds for the process, and no live code is dropped.

use authepy_testkit::phone::Phone;
use authepy_testkit::{DevServer, NO_LIMITS};
use futures_util::future::join_all;
use serde_json::{Value, json};

const CEILING_KIB: u64 = 16 << 10;
/// What a process may need beside its state: connections, buffers, the allocator's own.
const ROOM_KIB: u64 = 64 << 10;
const LIVE: usize = 1_000;
const SPRAYED: usize = 100_000;

/// Issues to a hundred recipients in one request; returns the items' answers.
async fn issue_hundred(phone: &Phone, name: &str, from: usize) -> Vec<Value> {
    let items: Vec<Value> =
        (from..from + 100).map(|n| json!({"recipient": format!("{name}{n}@example.com")})).collect();
    let heard = phone.post("/v1/verifications:batch", &json!(items)).await;
    assert_eq!(heard.status, 200, "{:?}", heard.body);
    heard.body.as_array().unwrap().clone()
}

#[tokio::test]
async fn a_spray_of_recipients_meets_the_ceiling_and_every_live_code_still_works() {
    let _turn = crate::turn().await;
    let server = DevServer::start(&[&NO_LIMITS[..], &["memory.ceiling=16MiB"]].concat());
    let phone = Phone::connect_with(&server, server.text("secret_test_key")).await;
    let mut live = Vec::new();
    for from in (0..LIVE).step_by(100) {
        live.extend(issue_hundred(&phone, "person", from).await);
    }
    let idle_kib = server.rss_kib();

    let mut refused = 0;
    for from in (0..SPRAYED).step_by(400) {
        let hundreds = [0, 100, 200, 300].map(|more| issue_hundred(&phone, "spray", from + more));
        for item in join_all(hundreds).await.into_iter().flatten() {
            if item["status"] == 202 {
                continue;
            }
            let problem = &item["problem"];
            assert_eq!((&item["status"], &problem["code"]), (&json!(503), &json!("overloaded")));
            assert!(problem["retry_after"].as_u64().unwrap() >= 1);
            refused += 1;
        }
    }
    assert!(refused > SPRAYED / 4, "the ceiling was never met: {refused} refused");
    assert!(server.rss_kib() <= idle_kib + CEILING_KIB + ROOM_KIB, "{} after {idle_kib}", server.rss_kib());
    assert!(server.metric("authepy_memory_bytes") <= CEILING_KIB << 10);

    let checks = live.iter().map(|item| {
        let id = item["verification"]["id"].as_str().unwrap().to_owned();
        let phone = phone.clone();
        async move { phone.check(&id, "000000").await.body["valid"] == true }
    });
    assert!(join_all(checks).await.into_iter().all(|right| right), "1,000 of 1,000");
}
