//! `/metrics`, `/healthz` and `/readyz` as an operator's tools see them.
//!
//! The exposition is read by the Prometheus client's own parser, from the virtual environment that
//! `.ci/test` makes.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use authepy_testkit::phone::Phone;
use authepy_testkit::{DevServer, NO_LIMITS};
use bytes::Bytes;
use serde_json::{Value, json};

/// All families as the Prometheus client reads them; it refuses what is not OpenMetrics.
fn families(server: &DevServer) -> Value {
    let clients = std::env::var("AUTHEPY_CLIENTS").unwrap_or_else(|_| {
        panic!("AUTHEPY_CLIENTS is not set: run the tests through .ci/test, which installs the clients")
    });
    let script = authepy_testkit::script::client("openmetrics.py");
    let mut parser = Command::new(format!("{clients}/bin/python"))
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (status, text) = server.admin("/metrics");
    assert_eq!(status, 200);
    parser.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = parser.wait_with_output().unwrap();
    assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The value of the sample with these labels.
fn sample(families: &Value, family: &str, labels: &Value) -> f64 {
    let samples = families[family]["samples"].as_array().unwrap_or_else(|| panic!("no family {family}"));
    let found = samples.iter().find(|sample| sample[1] == *labels);
    found.unwrap_or_else(|| panic!("no {labels} in {family}"))[2].as_f64().unwrap()
}

fn requests(families: &Value, route: &str, outcome: &str) -> f64 {
    sample(families, "authepy_requests", &json!({"route": route, "outcome": outcome}))
}

/// Asks until the gauge has this value: lanes publish theirs twice a second.
fn await_gauge(server: &DevServer, name: &str, value: u64) {
    for _ in 0..2_000 {
        if server.metric(name) == value {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("{name} is {} and never became {value}", server.metric(name));
}

#[tokio::test]
async fn the_exposition_is_openmetrics_and_holds_what_the_contract_names() {
    let server = DevServer::start(&NO_LIMITS);
    let families = families(&server);
    let expected = [
        ("authepy_requests", "counter", ""),
        ("authepy_test_requests", "counter", ""),
        ("authepy_refusals", "counter", ""),
        ("authepy_shard_messages", "counter", ""),
        ("authepy_live_slots", "gauge", ""),
        ("authepy_mail", "counter", ""),
        ("authepy_memory_bytes", "gauge", "bytes"),
        ("authepy_connections", "gauge", ""),
        ("authepy_bans_active", "gauge", ""),
        ("authepy_key_exposed", "counter", ""),
    ];
    for (family, kind, unit) in expected {
        let seen = &families[family];
        assert_eq!((&seen["type"], &seen["unit"]), (&json!(kind), &json!(unit)), "{family}");
    }
    for (name, family) in families.as_object().unwrap() {
        assert!(name.starts_with("authepy_"), "{name}");
        assert!(family["help"].as_str().unwrap().len() > 10, "{name} says what it counts");
    }
    let routes = families["authepy_requests"]["samples"].as_array().unwrap().len();
    assert_eq!(routes, 13 * 4, "every route with every outcome, from the start");
}

#[tokio::test]
async fn requests_are_counted_by_route_and_outcome() {
    let server = DevServer::start(&NO_LIMITS);
    let phone = Phone::connect(&server).await;
    let id = phone.issue("ada@example.com").await;
    await_gauge(&server, "authepy_live_slots", 1);
    assert!(server.metric("authepy_memory_bytes") >= 128, "a record counts");
    let code = server.code_for("ada@example.com");
    let wrong = if code == "111111" { "222222" } else { "111111" };
    phone.check(&id, wrong).await;
    phone.check(&id, &code).await;
    phone.check(&id, &code).await;
    phone.send("DELETE", &format!("/v1/verifications/{id}"), None).await;
    phone.get(&format!("/v1/verifications/{id}")).await;
    phone.post("/v1/verifications", &json!({"recipient": "nobody"})).await;
    phone.post("/v1/receipts/introspect", &json!({"receipt": "x"})).await;
    phone.get("/v1/nothing").await;
    phone.send("PUT", "/v1/verifications", None).await;
    phone.with_key("").post("/v1/verifications", &json!({})).await;
    let anyone = phone.with_key("");
    for path in ["/healthz", "/readyz", "/.well-known/jwks.json"] {
        assert_eq!(anyone.get(path).await.status, 200);
    }
    anyone.send("OPTIONS", "/v1/verifications", None).await;
    // A stream that ends before its body does gets no answer.
    let head = http::Request::post(format!("https://localhost:{}/v1/verifications", server.h3().port()))
        .header("authorization", format!("Bearer {}", server.text("secret_key")))
        .header("content-type", "application/json")
        .body(())
        .unwrap();
    let mut broken = phone.quic().requests.clone().send_request(head).await.unwrap();
    broken.send_data(Bytes::from_static(b"{\"recipient\"")).await.unwrap();
    // The server has the head once a later request on the connection is answered.
    anyone.get("/healthz").await;
    broken.stop_stream(h3::error::Code::H3_REQUEST_CANCELLED);
    assert!(broken.recv_response().await.is_err());

    let seen = families(&server);
    for (route, outcome, count) in [
        ("issue", "ok", 1.0),
        ("issue", "refused", 2.0),
        ("issue", "aborted", 1.0),
        ("check", "ok", 2.0),
        ("check", "refused", 1.0),
        ("cancel", "ok", 1.0),
        ("status", "refused", 1.0),
        ("introspect", "ok", 1.0),
        ("healthz", "ok", 2.0),
        ("readyz", "ok", 1.0),
        ("jwks", "ok", 1.0),
        ("preflight", "ok", 1.0),
        ("unknown", "refused", 2.0),
        ("unknown", "ok", 0.0),
        ("issue", "failed", 0.0),
    ] {
        assert_eq!(requests(&seen, route, outcome), count, "{route} {outcome}");
    }
    let reason = |name: &str| sample(&seen, "authepy_refusals", &json!({ "reason": name }));
    assert_eq!((reason("verification_not_found"), reason("invalid_recipient")), (2.0, 1.0));
    assert_eq!((reason("not_found"), reason("method_not_allowed"), reason("invalid_key")), (1.0, 1.0, 1.0));
    assert_eq!(sample(&seen, "authepy_connections", &json!({})), 1.0);
    assert_eq!(sample(&seen, "authepy_mail", &json!({"outcome": "sent"})), 1.0);
    assert_eq!(sample(&seen, "authepy_shard_messages", &json!({})), 6.0, "1 issue, 3 checks, cancel, status");
    await_gauge(&server, "authepy_live_slots", 0);
}

#[tokio::test]
async fn test_keys_count_in_families_of_their_own_only() {
    let server = DevServer::start(&NO_LIMITS);
    let phone = Phone::connect(&server).await;
    let live = |families: &Value| -> Vec<(String, Value)> {
        let all = families.as_object().unwrap().iter();
        // Connections belong to no key, memory is the process's, and the store is asked every second.
        let process = [
            "authepy_connections",
            "authepy_connections_accepted",
            "authepy_memory_bytes",
            "authepy_store_queries",
        ];
        all.filter(|(name, _)| !name.starts_with("authepy_test_") && !process.contains(&name.as_str()))
            .map(|(name, family)| (name.clone(), family["samples"].clone()))
            .collect()
    };
    let before = families(&server);
    let secret = phone.with_key(server.text("secret_test_key"));
    let id = secret.issue("ada@example.com").await;
    await_gauge(&server, "authepy_test_slots", 1);
    secret.check(&id, "999999").await;
    secret.check(&id, "000000").await;
    secret.check(&id, "000000").await;
    secret.with("sec-fetch-mode", "cors").post("/v1/verifications", &json!({"recipient": "x"})).await;
    secret.post("/v1/verifications:batch", &json!([{"recipient": "x"}])).await;
    secret.get("/v1/nothing").await;
    let page = phone.with_key(server.text("restricted_test_key")).with("origin", "https://evil.com");
    assert_eq!(page.post("/v1/verifications", &json!({})).await.code(), (403, "origin-not-allowed"));
    await_gauge(&server, "authepy_test_slots", 0);
    let after = families(&server);
    assert_eq!(live(&before), live(&after));
    let test = |route: &str, outcome: &str| {
        sample(&after, "authepy_test_requests", &json!({"route": route, "outcome": outcome}))
    };
    assert_eq!((test("issue", "ok"), test("issue", "refused"), test("batch", "ok")), (1.0, 2.0, 1.0));
    assert_eq!((test("check", "ok"), test("check", "refused"), test("unknown", "refused")), (2.0, 1.0, 1.0));
    assert_eq!(sample(&after, "authepy_test_shard_messages", &json!({})), 4.0);
}

/// A request that is kept open holds the drain, and the admin listener tells of it.
#[tokio::test]
async fn while_it_drains_a_server_is_alive_and_not_ready() {
    let server = DevServer::start(&NO_LIMITS);
    let phone = Phone::connect(&server).await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(server.admin(path).0, 200, "{path} on the admin listener");
        assert_eq!(phone.get(path).await.status, 200, "{path} on the data listener");
    }
    let head = http::Request::post(format!("https://localhost:{}/v1/verifications", server.h3().port()))
        .header("authorization", format!("Bearer {}", server.text("secret_test_key")))
        .header("content-type", "application/json")
        .body(())
        .unwrap();
    let mut open = phone.quic().requests.clone().send_request(head).await.unwrap();
    open.send_data(Bytes::from_static(b"{\"recipient\":")).await.unwrap();
    // The server has the head once a later request on the connection is answered.
    assert_eq!(phone.get("/healthz").await.status, 200);

    let id = server.process_id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let mut ready = 200;
    for _ in 0..1_000 {
        ready = server.admin("/readyz").0;
        if ready != 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!((ready, server.admin("/healthz").0), (503, 200));
    open.send_data(Bytes::from_static(b"\"ada@example.com\"}")).await.unwrap();
    open.finish().await.unwrap();
    assert_eq!(open.recv_response().await.unwrap().status(), 202, "what runs is finished");
    assert_eq!(server.end("-0"), Some(0), "signal 0 only asks: the end has been asked for");
}
