//! Nothing behind the lanes can hurt them: not the store, not the admin API, not the mail.

use std::time::{Duration, Instant};

use authepy_testkit::operator::{admin, new_key, told};
use authepy_testkit::phone::Phone;
use authepy_testkit::postgres::Postgres;
use authepy_testkit::serve::Site;
use authepy_testkit::{DevServer, NO_LIMITS};
use futures_util::future::join_all;
use serde_json::json;
use tempfile::TempDir;

const NO_RECIPIENT_LIMIT: &str = "[limits.recipient]\nissue = \"off\"\n";

/// A key with a right checksum that no store has: drawn in a store of its own.
fn foreign_key() -> String {
    let folder = TempDir::new().unwrap();
    let key = new_key(&Site::sqlite(&folder), "elsewhere", &["--class", "secret", "--test"]);
    key["key"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn ten_thousand_requests_with_one_missing_key_cost_one_query() {
    let server = DevServer::start(&[&NO_LIMITS[..], &["engine.shards=2"]].concat());
    let key = foreign_key();
    let phones = join_all((0..8).map(|_| Phone::connect_with(&server, &key))).await;
    let ask = |n: usize| {
        let phone = phones[n % phones.len()].clone();
        async move { phone.get("/v1/verifications/vrf_x").await.code().0 }
    };
    let answers = join_all((0..10_000).map(ask)).await;
    assert!(answers.iter().all(|status| *status == 401));
    assert_eq!(server.metric("authepy_key_lookups_total"), 1);
    assert_eq!(server.metric("authepy_shard_messages_total"), 0);
}

#[tokio::test]
async fn random_keys_push_nothing_out_and_share_their_queries() {
    let server = DevServer::start(&NO_LIMITS);
    let good = Phone::connect_with(&server, server.text("secret_test_key")).await;
    let folder = TempDir::new().unwrap();
    let store = Site::sqlite(&folder);
    let mut keys = Vec::new();
    for _ in 0..20 {
        keys.push(new_key(&store, "elsewhere", &["--class", "secret", "--test"])["key"].clone());
    }
    let before = server.metric("authepy_key_lookups_total");
    let ask = |n: usize| {
        let phone = good.with_key(keys[n % keys.len()].as_str().unwrap());
        async move { phone.get("/v1/verifications/vrf_x").await.code().0 }
    };
    let unknown = join_all((0..2_000).map(ask));
    let known = join_all((0..200).map(|n| good.issue_owned(format!("user{n}@example.com"))));
    let (answers, ids) = tokio::join!(unknown, known);
    assert!(answers.iter().all(|status| *status == 401));
    assert_eq!(ids.len(), 200);
    let lookups = server.metric("authepy_key_lookups_total") - before;
    assert!((1..=20).contains(&lookups), "{lookups} queries for 20 unknown keys in 2,000 requests");
}

#[tokio::test]
async fn a_store_that_does_not_answer_changes_nothing_for_known_keys() {
    let postgres = Postgres::start();
    let store = postgres.url();
    let key = new_key(&store, "shop", &["--class", "secret", "--test"]);
    let spare = new_key(&store, "shop", &["--class", "secret", "--test"]);
    let folder = TempDir::new().unwrap();
    let server = Site::new(&store, &format!("{NO_RECIPIENT_LIMIT}{}", Site::outbox(&folder))).serve();
    let phone = Phone::connect_with(&server, key["key"].as_str().unwrap()).await;
    let before = phone.issue("ada@gmail.com").await;

    postgres.freeze();
    assert_eq!(phone.check(&before, "000000").await.body["valid"], true);
    for n in 0..200 {
        let id = phone.issue(&format!("user{n}@gmail.com")).await;
        assert_eq!(phone.check(&id, "000000").await.body["valid"], true);
    }
    let unknown = phone.with_key(&foreign_key()).get("/v1/verifications/vrf_x").await;
    assert_eq!(unknown.code(), (503, "not-ready"), "nobody can say that it does not exist");
    assert!(unknown.header("retry-after").parse::<u64>().unwrap() >= 1);
    let typo = phone.with_key("ath_sec_test_0000000000000000000000000000");
    assert_eq!(typo.get("/v1/verifications/vrf_x").await.code(), (401, "invalid-key"));
    assert_eq!(server.metric("authepy_store_up"), 0);

    // A key that leaks now is ended now; the store hears of it later.
    let id = spare["id"].as_str().unwrap();
    let leaked = phone.with_key(spare["key"].as_str().unwrap());
    assert_eq!(leaked.get("/v1/verifications/vrf_x").await.code().0, 404);
    let (status, told_admin) = admin(&server, "DELETE", &format!("/admin/v1/keys/{id}"), None);
    assert_eq!((status, &told_admin["status"]), (202, &json!("revoked-in-memory")));
    assert_eq!(leaked.get("/v1/verifications/vrf_x").await.code(), (401, "invalid-key"));
    let (status, problem) = admin(&server, "POST", "/admin/v1/projects", Some(&json!({"name": "x"})));
    assert_eq!((status, &problem["code"]), (503, &json!("not-ready")));

    postgres.thaw();
    let deadline = Instant::now() + Duration::from_secs(15);
    let is_written = || {
        let keys = told(&["key", "list", "--store", &store]);
        let keys = keys["keys"].as_array().unwrap();
        keys.iter().any(|key| key["id"] == id && key["state"] == "revoked")
    };
    while !is_written() {
        assert!(Instant::now() < deadline, "the revocation was never written");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(phone.with_key(&foreign_key()).get("/v1/verifications/vrf_x").await.code().0, 401);
    assert_eq!(leaked.get("/v1/verifications/vrf_x").await.code(), (401, "invalid-key"));
}

#[tokio::test]
async fn store_admin_api_and_mail_hang_at_once_and_checks_go_on() {
    let postgres = Postgres::start();
    let key = new_key(&postgres.url(), "shop", &["--class", "secret"]);
    let test_key = new_key(&postgres.url(), "shop", &["--class", "secret", "--test"]);
    // A relay that takes the connection and never says a word.
    let relay = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let delivery = format!(
        "[[delivery]]\nname = \"relay\"\nkind = \"smtp\"\nurl = \"smtp://{}\"\nfrom = \"a@mybrand.com\"",
        relay.local_addr().unwrap()
    );
    let server = Site::new(&postgres.url(), &format!("{NO_RECIPIENT_LIMIT}{delivery}")).serve();
    let phone = Phone::connect_with(&server, test_key["key"].as_str().unwrap()).await;
    let live = phone.with_key(key["key"].as_str().unwrap());
    let healthy = checks(&phone, 300).await;

    postgres.freeze();
    let admin_address = server.text("admin").strip_prefix("http://").unwrap().to_owned();
    let silent: Vec<_> = (0..100).map(|_| std::net::TcpStream::connect(&admin_address).unwrap()).collect();
    join_all((0..100).map(|n| live.issue_owned(format!("user{n}@gmail.com")))).await;
    assert_eq!(checks(&phone, 300).await, healthy, "the same answers");
    assert_eq!(phone.get("/readyz").await.status, 200);
    drop(silent);
}

/// Signs up so many times, a wrong code first; returns every answer without its id.
async fn checks(phone: &Phone, count: usize) -> Vec<(u16, serde_json::Value)> {
    let mut answers = Vec::new();
    for n in 0..count {
        let id = phone.issue(&format!("person{n}@gmail.com")).await;
        for code in ["111111", "000000", "000000"] {
            let mut heard = phone.check(&id, code).await;
            for member in ["id", "verified_at", "receipt", "request_id"] {
                heard.body.as_object_mut().unwrap().remove(member);
            }
            answers.push((heard.status.as_u16(), heard.body));
        }
    }
    answers
}

#[tokio::test]
async fn data_delivery_and_control_have_threads_of_their_own() {
    let server = DevServer::start(&["engine.shards=2"]);
    let tasks = std::fs::read_dir(format!("/proc/{}/task", server.process_id())).unwrap();
    let names: Vec<String> = tasks
        .flatten()
        .map(|task| std::fs::read_to_string(task.path().join("comm")).unwrap().trim().to_owned())
        .collect();
    let count = |name: &str| names.iter().filter(|thread| thread.starts_with(name)).count();
    assert_eq!((count("control"), count("delivery")), (1, 1), "{names:?}");
    assert!(count("actix-rt|") >= 2 || count("lane") >= 2, "{names:?}");
}

/// Under `strace`, which writes down every file that is opened.
#[tokio::test]
async fn a_request_opens_no_file_and_asks_the_store_nothing() {
    let folder = TempDir::new().unwrap();
    let trace = folder.path().join("trace");
    let server = DevServer::run_under(
        "strace",
        &["-f", "-qq", "-o", trace.to_str().unwrap(), "-e", "trace=open,openat,openat2,creat"],
        &["dev", "--json", "--listen", "127.0.0.1:0", "--set", "limits.recipient.issue=off"],
    );
    let phone = Phone::connect_with(&server, server.text("secret_test_key")).await;
    checks(&phone, 5).await;
    let opened =
        || std::fs::read_to_string(&trace).unwrap().lines().filter(|line| line.contains("open")).count();
    assert!(opened() > 10, "strace was looking");
    let (before, lookups) = (opened(), server.metric("authepy_key_lookups_total"));
    checks(&phone, 300).await;
    let (after, text) = (opened(), std::fs::read_to_string(&trace).unwrap());
    assert_eq!(after, before, "{}", text.lines().skip(before).collect::<Vec<_>>().join("\n"));
    assert_eq!(server.metric("authepy_key_lookups_total"), lookups);
}
