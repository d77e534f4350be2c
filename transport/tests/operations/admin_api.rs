//! The admin API from outside: who gets in, and what its changes do to a serving process at once.

use std::time::{Duration, Instant};

use authepy_testkit::operator::{admin, admin_bytes, admin_with, authepy, new_key, told};
use authepy_testkit::phone::Phone;
use authepy_testkit::serve::Site;
use authepy_testkit::{DevServer, NO_LIMITS};
use serde_json::json;
use tempfile::TempDir;

#[tokio::test]
async fn a_change_through_the_running_server_acts_at_once() {
    let server = DevServer::start(&NO_LIMITS);
    let made = admin(&server, "POST", "/admin/v1/projects", Some(&json!({"name": "shop", "alert_to": []})));
    assert_eq!((made.0, &made.1["name"]), (201, &json!("shop")));
    let asked = json!({"project": "shop", "class": "restricted", "test": true, "origins": ["mybrand.com"]});
    let (status, key) = admin(&server, "POST", "/admin/v1/keys", Some(&asked));
    assert_eq!(status, 201);
    let id = key["id"].as_str().unwrap();
    let phone = Phone::connect_with(&server, key["key"].as_str().unwrap()).await;
    let page = phone.with("origin", "https://shop.other.net");
    let issue = json!({"recipient": "ada@example.com"});
    let post = async |phone: &Phone| phone.post("/v1/verifications", &issue).await;

    assert_eq!(post(&phone.with("origin", "https://mybrand.com")).await.status, 202);
    assert_eq!(post(&page).await.code(), (403, "origin-not-allowed"));
    let origins = format!("/admin/v1/keys/{id}/origins");
    let (status, rules) = admin(&server, "POST", &origins, Some(&json!({"rule": "*.other.net"})));
    assert_eq!((status, &rules["origins"]), (200, &json!(["*.other.net", "mybrand.com"])));
    assert_eq!(post(&page).await.status, 202);
    let preflight =
        phone.with_key("").with("origin", "https://a.other.net").send("OPTIONS", "/v1/x", None).await;
    assert_eq!(preflight.header("access-control-allow-origin"), "https://a.other.net");
    admin(&server, "DELETE", &origins, Some(&json!({"rule": "*.other.net"})));
    assert_eq!(post(&page).await.code(), (403, "origin-not-allowed"));
    assert_eq!(admin(&server, "GET", &origins, None).1["origins"], json!(["mybrand.com"]));

    let (status, next) =
        admin(&server, "POST", &format!("/admin/v1/keys/{id}/rotate"), Some(&json!({"grace": "1h"})));
    assert_eq!(status, 201);
    let successor = phone.with_key(next["key"].as_str().unwrap()).with("origin", "https://mybrand.com");
    assert_eq!(post(&successor).await.status, 202);
    let (status, _) = admin(&server, "DELETE", &format!("/admin/v1/keys/{id}"), None);
    assert_eq!(status, 204);
    assert_eq!(post(&phone.with("origin", "https://mybrand.com")).await.code(), (401, "invalid-key"));
    assert_eq!(post(&successor).await.status, 202, "its successor lives on");
    let (_, keys) = admin(&server, "GET", "/admin/v1/keys?project=shop", None);
    let states: Vec<_> = keys["keys"].as_array().unwrap().iter().map(|key| key["state"].clone()).collect();
    assert!(states.contains(&json!("revoked")) && states.contains(&json!("active")), "{states:?}");
}

#[test]
fn only_the_admin_token_opens_it() {
    let server = DevServer::start(&[]);
    let path = "/admin/v1/projects";
    let refused = |headers: &[(&str, &str)]| {
        let (status, body) = admin_with(&server, "GET", path, headers, None);
        (status, body["code"].as_str().unwrap().to_owned())
    };
    let bearer = |key: &str| format!("Bearer {}", server.text(key));
    let right = bearer("admin_token");
    assert_eq!(refused(&[]), (401, "invalid-token".into()));
    assert_eq!(refused(&[("Authorization", "Bearer nonsense")]), (401, "invalid-token".into()));
    assert_eq!(refused(&[("Authorization", &right[..right.len() - 1])]), (401, "invalid-token".into()));
    assert_eq!(
        refused(&[("Authorization", &right), ("Authorization", &right)]),
        (401, "invalid-token".into())
    );
    for key in ["secret_key", "restricted_key", "secret_test_key"] {
        assert_eq!(refused(&[("Authorization", &bearer(key))]), (403, "key-class-forbidden".into()), "{key}");
    }
    // A page of a site whose name resolves to this host (DNS rebinding) reads nothing.
    for path in ["/metrics", "/healthz", path] {
        let headers = [("Host", "evil.example:9443"), ("Authorization", &*right)];
        assert_eq!(admin_with(&server, "GET", path, &headers, None).0, 400, "{path}");
    }
    let local = [("Host", "localhost:9443"), ("Authorization", &*right)];
    assert_eq!(admin_with(&server, "GET", path, &local, None).0, 200);
}

/// How long an answer to this token takes, and its status.
fn timed(server: &DevServer, token: &str) -> (u16, Duration) {
    let began = Instant::now();
    let authorization = format!("Bearer {token}");
    let (status, _) =
        admin_with(server, "GET", "/admin/v1/status", &[("Authorization", &authorization)], None);
    (status, began.elapsed())
}

/// Each wrong token waits twice as long as the one before, and the right one not at all, from the same peer.
#[test]
fn wrong_tokens_wait_longer_and_longer_and_the_right_one_never() {
    let server = DevServer::start(&[]);
    let right = server.text("admin_token");
    for (nth, least) in [100, 200, 400, 800, 1_600].into_iter().enumerate() {
        let (status, took) = timed(&server, &format!("wrong{nth}"));
        assert_eq!(status, 401);
        assert!(took >= Duration::from_millis(least), "the {nth}th: {took:?}");
        // As long as a slow machine needs, less than any wait of now.
        let (status, took) = timed(&server, right);
        assert!(status == 200 && took < Duration::from_millis(least.max(1_000)), "{status} after {took:?}");
    }
    // Neither is no token a guess, nor an API key.
    for token in ["", server.text("secret_key")] {
        let (status, took) = timed(&server, token);
        assert!(matches!(status, 401 | 403) && took < Duration::from_secs(2), "{status} after {took:?}");
    }
}

/// Two hundred guesses at once: a bounded number waits, the others hear so at once and are gone, and whoever has the
/// right token comes through from the same address.
#[test]
fn a_flood_of_wrong_tokens_keeps_the_right_one_waiting_for_nothing() {
    let server = DevServer::start(&[]);
    let flood = |n: usize| {
        let token = format!("Bearer wrong{n}");
        admin_bytes(&server, "GET", "/admin/v1/status", &[("Authorization", &token)], None)
    };
    let refused = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for n in 0..200 {
            let (flood, refused) = (&flood, &refused);
            scope.spawn(move || {
                let answer = flood(n);
                assert_eq!(answer.header("connection"), "close", "{answer:?}");
                match answer.status {
                    401 => {}
                    429 => {
                        assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0, "{answer:?}");
                        refused.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                    other => panic!("{other}"),
                }
            });
        }
        // Sixteen wait now, for up to half a minute.
        std::thread::sleep(Duration::from_secs(1));
        for _ in 0..20 {
            let (status, took) = timed(&server, server.text("admin_token"));
            assert!(status == 200 && took < Duration::from_secs(2), "{status} after {took:?}");
        }
        assert_eq!(server.readiness(), Some(200));
    });
    assert!(refused.into_inner() >= 200 - 2 * 16, "few may wait");
    server.log_says("a request had a wrong admin token", 1);
    assert_eq!(server.log().matches("a request had a wrong admin token").count(), 1, "once a minute");
}

#[test]
fn bad_requests_get_named_refusals() {
    let server = DevServer::start(&[]);
    let big = json!({"name": "x".repeat(40_000)});
    for (method, path, body, status, code) in [
        ("GET", "/admin/v1/nothing", None, 404, "not-found"),
        ("GET", "/admin", None, 404, "not-found"),
        ("PUT", "/admin/v1/keys", None, 405, "method-not-allowed"),
        ("POST", "/metrics", None, 405, "method-not-allowed"),
        ("GET", "/admin/v1/keys?color=red", None, 400, "malformed-request"),
        ("POST", "/admin/v1/projects", None, 400, "malformed-request"),
        ("POST", "/admin/v1/projects", Some(json!(["shop"])), 400, "malformed-request"),
        ("POST", "/admin/v1/projects", Some(json!({"name": "a", "x": 1})), 400, "malformed-request"),
        ("POST", "/admin/v1/projects", Some(big), 400, "malformed-request"),
        ("POST", "/admin/v1/projects", Some(json!({"name": "dev"})), 409, "already-exists"),
        ("POST", "/admin/v1/projects", Some(json!({"name": " x"})), 422, "invalid-value"),
        ("POST", "/admin/v1/keys", Some(json!({"project": "dev", "class": "root"})), 422, "invalid-value"),
        ("POST", "/admin/v1/keys", Some(json!({"project": "none", "class": "secret"})), 404, "not-found"),
        ("DELETE", "/admin/v1/keys/key_none", None, 404, "not-found"),
        ("POST", "/admin/v1/keys/key_none/rotate", Some(json!({"grace": "1h"})), 404, "not-found"),
        ("POST", "/admin/v1/keys/key_none/rotate", Some(json!({"grace": "soon"})), 422, "invalid-value"),
        ("POST", "/admin/v1/keys/key_none/origins", Some(json!({"rule": "*.com"})), 422, "invalid-value"),
    ] {
        let (got, problem) = admin(&server, method, path, body.as_ref());
        assert_eq!((got, problem["code"].as_str()), (status, Some(code)), "{method} {path}: {problem}");
    }
    assert_eq!(admin(&server, "GET", "/admin/v1/projects", None).1["projects"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_token_made_at_the_command_line_opens_a_running_server() {
    let folder = TempDir::new().unwrap();
    let store = Site::sqlite(&folder);
    new_key(&store, "shop", &["--class", "secret"]);
    let mut server = Site::new(&store, &Site::outbox(&folder)).serve();
    assert_eq!(admin(&server, "GET", "/admin/v1/status", None).0, 200, "the one in the settings");
    let made = told(&["admin-token", "create", "--store", &store]);
    server.ready["admin_token"] = made["admin_token"].clone();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    while admin(&server, "GET", "/admin/v1/status", None).0 != 200 {
        assert!(tokio::time::Instant::now() < deadline, "a change acts within five seconds");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    told(&["admin-token", "create", "--store", &store]);
    while admin(&server, "GET", "/admin/v1/status", None).0 != 401 {
        assert!(tokio::time::Instant::now() < deadline, "the one before no longer works");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The alarm names the key, not its text, and a flood of it writes one line.
#[tokio::test]
async fn a_secret_key_in_a_browser_raises_the_alarm_once_a_minute() {
    let server = DevServer::start(&["engine.shards=1"]);
    let phone = Phone::connect(&server).await.with("sec-fetch-mode", "cors");
    for _ in 0..50 {
        assert_eq!(phone.get("/v1/verifications/vrf_x").await.code().0, 404, "the mission lets it work");
    }
    assert_eq!(server.metric("authepy_key_exposed_total"), 50);
    let (_, keys) = admin(&server, "GET", "/admin/v1/keys", None);
    let keys = keys["keys"].as_array().unwrap();
    let secret = keys.iter().find(|key| key["class"] == "secret" && key["test"] == false).unwrap();
    let log = server.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("key.exposed")).collect();
    assert!(lines.len() == 1 && lines[0].contains(secret["id"].as_str().unwrap()), "{lines:?}");
    assert!(!log.contains(server.text("secret_key")));

    let strict = DevServer::start(&["keys.refuse_secret_in_browser=true"]);
    let phone = Phone::connect(&strict).await.with("origin", "https://mybrand.com");
    assert_eq!(phone.get("/v1/verifications/vrf_x").await.code(), (403, "secret-key-in-browser"));
}

#[test]
fn status_tells_how_a_running_server_is() {
    let server = DevServer::start(&[]);
    let run = |words: &[&str], token: &str| {
        std::process::Command::new(authepy_testkit::binary())
            .args(words)
            .args(["--admin", server.text("admin")])
            .env("AUTHEPY_ADMIN_TOKEN", token)
            .output()
            .unwrap()
    };
    let output = run(&["status", "--json"], server.text("admin_token"));
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&status["ready"], &status["keys"]), (&json!(true), &json!(4)));
    assert_eq!(status["store"]["kind"], "sqlite");
    assert!(status["catalog"]["entries"].as_u64().unwrap() > 5_000);
    assert_eq!((&status["keys_exposed"], &status["mail"]["sent"]), (&json!(0), &json!(0)));
    assert_eq!(status["memory"]["ceiling_bytes"], 512 << 20);
    let people = run(&["status"], server.text("admin_token"));
    assert!(String::from_utf8_lossy(&people.stdout).contains("ready"));
    assert_eq!(run(&["status"], "wrong").status.code(), Some(2));
    let nobody = authepy(&["status", "--admin", "http://127.0.0.1:1"]);
    assert_eq!(nobody.status.code(), Some(2), "no token");
}
