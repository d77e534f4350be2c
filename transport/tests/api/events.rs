//! What an operator's endpoint hears, judged by a verifier that is not ours. Needs `AUTHEPY_CLIENTS`.

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use authepy_testkit::peers::knock_too_often;
use authepy_testkit::phone::Phone;
use authepy_testkit::script::Script;
use authepy_testkit::{DevServer, NO_LIMITS};
use aws_lc_rs::hmac;
use base64::Engine as _;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// An endpoint, and what it has heard but not told yet.
struct Endpoint {
    script: Script,
    heard: VecDeque<Value>,
}

impl Endpoint {
    fn start(answers: &str) -> Self {
        let script = Script::start("webhook_server.py", &[SECRET, answers], None);
        Self { script, heard: VecDeque::new() }
    }

    fn settings(&self) -> [String; 2] {
        [
            format!("events.url='http://127.0.0.1:{}/events'", self.script.port),
            format!("events.secret={SECRET}"),
        ]
    }

    /// A server that tells it, without limits but for these settings.
    fn serve(&self, settings: &[&str]) -> DevServer {
        let own = self.settings();
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        DevServer::start(&[&NO_LIMITS[..], &own, settings].concat())
    }

    fn post(&self) -> Value {
        let post = self.script.next("post");
        assert_eq!((&post["verified"], &post["path"]), (&json!(true), &json!("/events")), "{post}");
        post
    }

    /// The next event.
    fn next(&mut self) -> Value {
        while self.heard.is_empty() {
            self.heard.extend(self.post()["body"]["events"].as_array().unwrap().iter().cloned());
        }
        self.heard.pop_front().unwrap()
    }

    fn next_of(&mut self, kind: &str) -> Value {
        let event = self.next();
        assert_eq!(event["type"], kind, "{event}");
        event
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the operating guide says about the name of a verification.
fn named(id: &str) -> String {
    hex(&Sha256::digest(id)[..16])
}

/// And of a recipient.
fn hashed(address: &str) -> String {
    let secret =
        base64::engine::general_purpose::STANDARD.decode(SECRET.trim_start_matches("whsec_")).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
    hex(&hmac::sign(&key, format!("recipient:{address}").as_bytes()).as_ref()[..16])
}

fn wrong(code: &str) -> String {
    code.chars().map(|digit| char::from_digit((digit.to_digit(10).unwrap() + 1) % 10, 10).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_hears_how_mails_and_verifications_end() {
    let mut endpoint = Endpoint::start("200");
    let server = endpoint.serve(&["codes.attempts=1", "codes.lifetime=60s"]);
    let phone = Phone::connect(&server).await;
    let mut seen = Vec::new();
    for (address, end) in
        [("ada@gmail.com", "approved"), ("bob@gmail.com", "failed"), ("eve@gmail.com", "cancelled")]
    {
        let id = phone.issue(address).await;
        let sent = endpoint.next_of("mail.sent");
        assert_eq!(sent["verification"], named(&id), "{sent}");
        assert_eq!((&sent["project"], &sent["send"]), (&json!("dev"), &json!(1)), "{sent}");
        assert_eq!(sent["recipient"], hashed(address), "{sent}");
        let code = server.code_for(address);
        match end {
            "approved" => assert_eq!(phone.check(&id, &code).await.body["valid"], true),
            "failed" => assert_eq!(phone.check(&id, &wrong(&code)).await.body["reason"], "exhausted"),
            _ => {
                let path = format!("/v1/verifications/{id}");
                assert_eq!(phone.send("DELETE", &path, None).await.status, 204);
                assert_eq!(phone.send("DELETE", &path, None).await.status, 204, "and is told once");
            }
        }
        let ended = endpoint.next_of(&format!("verification.{end}"));
        assert_eq!(ended["verification"], named(&id), "{ended}");
        seen.extend([sent.to_string(), ended.to_string()]);
        for secret in [&id[4..], address, &code] {
            assert!(seen.iter().all(|event| !event.contains(secret)), "{seen:?}");
        }
    }
    let id = phone.issue("late@gmail.com").await;
    endpoint.next_of("mail.sent");
    // Nobody comes. A code lives for a minute at least, and `next_of` waits for half of one.
    tokio::time::sleep(std::time::Duration::from_secs(35)).await;
    let expired = endpoint.next_of("verification.expired");
    assert_eq!((&expired["verification"], &expired["project"]), (&json!(named(&id)), &json!("dev")));
    // Counted once our answer is back.
    while server.metric(r#"authepy_events_total{outcome="delivered"}"#) < 8 {
        std::thread::yield_now();
    }
    let phone = Phone::connect(&server).await;
    let test = phone.with_key(server.text("secret_test_key"));
    test.check(&test.issue("ada@gmail.com").await, "000000").await;
    phone.issue("last@gmail.com").await;
    assert_eq!(
        endpoint.next_of("mail.sent")["recipient"],
        hashed("last@gmail.com"),
        "test keys tell nothing"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_hears_of_bans_and_exposed_keys_without_an_address() {
    let mut endpoint = Endpoint::start("200");
    let strict = ["engine.shards=2", "limits.peer.handshake=3/10m", "bans.strikes=1/10m", "bans.first=1h"];
    let server = endpoint.serve(&strict);
    knock_too_often(&server, Ipv4Addr::new(127, 0, 3, 1)).await;
    let banned = endpoint.next_of("peer.banned");
    assert_eq!(banned["peer"].as_str().unwrap().len(), 16, "{banned}");
    assert!((3_590..=3_600).contains(&banned["seconds"].as_u64().unwrap()), "{banned}");
    assert!(!banned.to_string().contains("127.0"), "{banned}");
    let phone = Phone::connect(&server).await.with("Origin", "https://mybrand.com");
    phone.issue("ada@gmail.com").await;
    let exposed = endpoint.next_of("key.exposed");
    assert!(exposed["key"].as_str().unwrap().starts_with("key_"), "{exposed}");
    endpoint.next_of("mail.sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_that_fails_is_repeated_under_its_name_and_nobody_waits_for_it() {
    let endpoint = Endpoint::start("500,close,200");
    let server = endpoint.serve(&[]);
    let phone = Phone::connect(&server).await;
    phone.issue("ada@gmail.com").await;
    let first = endpoint.post();
    for n in 0..20 {
        let address = format!("user{n}@gmail.com");
        let id = phone.issue(&address).await;
        assert_eq!(phone.check(&id, &server.code_for(&address)).await.body["valid"], true);
    }
    for _again in 0..2 {
        let again = endpoint.post();
        assert_eq!((&again["id"], &again["body"]), (&first["id"], &first["body"]));
    }
    let rest = endpoint.post();
    assert_ne!(rest["id"], first["id"]);
    assert_eq!(rest["body"]["events"].as_array().unwrap().len(), 40, "all in one post, in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happened_is_posted_before_the_process_ends() {
    let mut endpoint = Endpoint::start("200");
    let server = endpoint.serve(&[]);
    let phone = Phone::connect(&server).await;
    for n in 0..50 {
        phone.issue(&format!("user{n}@gmail.com")).await;
    }
    assert_eq!(server.end("-TERM"), Some(0));
    for _ in 0..50 {
        endpoint.next_of("mail.sent");
    }
}

#[test]
fn an_endpoint_that_can_not_work_is_refused_before_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let site = authepy_testkit::serve::Site::new(
        &authepy_testkit::serve::Site::sqlite(&folder),
        &authepy_testkit::serve::Site::outbox(&folder),
    );
    let config = site.path("authepy.toml");
    for (settings, reason) in [
        (vec!["events.url='https://x.example'"], "secret"),
        (vec!["events.url='http://x.example'", "events.secret='0123456789abcdef01234567'"], "https"),
        (vec!["events.url='https://x.example'", "events.secret=s3cret"], "24 to 64"),
        (vec!["events.url='https://x.example'", "events.secret_file=/nowhere"], "secret_file"),
    ] {
        let settings = settings.iter().flat_map(|setting| ["--set", *setting]);
        let arguments: Vec<&str> =
            ["config", "check", "--config", &config].into_iter().chain(settings).collect();
        let (code, told) = authepy_testkit::operator::refused(&arguments);
        assert!(code == 78 && told.contains("events") && told.contains(reason), "{told}");
        assert!(!told.contains("s3cret"), "{told}");
    }
}
