//! A secret key in a browser (R11, R16): the alarm, the refusal, the revocation; and that nobody can have a key revoked
//! without holding it. Needs `AUTHEPY_CLIENTS`.

use std::time::{Duration, Instant};

use authepy_testkit::PATIENCE;
use authepy_testkit::operator::{admin, new_key, told};
use authepy_testkit::phone::{Phone, Wire};
use authepy_testkit::script::Script;
use authepy_testkit::serve::{Served, Site};
use serde_json::{Value, json};
use tempfile::TempDir;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PATH: &str = "/v1/verifications/vrf_x";

/// A server that tells an endpoint, its store, and where its mail goes.
struct World {
    server: Served,
    store: String,
    folder: TempDir,
    endpoint: Script,
}

impl World {
    fn new(settings: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let store = Site::sqlite(&folder);
        let endpoint = Script::start("webhook_server.py", &[SECRET, "200"], None);
        let more = format!(
            "{settings}\nengine.shards = 2\nalerts.to = ['boss@authepy.org']\n\
             events.url = 'http://127.0.0.1:{}/events'\nevents.secret = '{SECRET}'\n{}",
            endpoint.port,
            Site::outbox(&folder)
        );
        new_key(&store, "shop", &["--class", "secret"]);
        let server = Site::new(&store, &more).serve();
        Self { server, store, folder, endpoint }
    }

    fn key(&self, how: &[&str]) -> Key {
        let made = new_key(&self.store, "shop", how);
        let text = |member: &str| made[member].as_str().unwrap().to_owned();
        Key { id: text("id"), text: text("key") }
    }

    fn exposed(&self) -> u64 {
        self.server.metric("authepy_key_exposed_total")
    }

    /// Log line, event, alert and console, each with this key's id where it names one.
    async fn alarm_is_raised(&self, key: &Key) {
        let line =
            |log: String| log.lines().any(|line| line.contains("key.exposed") && line.contains(&key.id));
        until("the log line", || line(self.server.log())).await;
        let post = self.endpoint.next("post");
        let event = &post["body"]["events"][0];
        assert_eq!((&event["type"], &event["key"]), (&json!("key.exposed"), &json!(key.id)), "{post}");
        let outbox = self.folder.path().join("outbox/new");
        until("the alert", || {
            let mails = std::fs::read_dir(&outbox).into_iter().flatten().flatten();
            mails
                .flat_map(|mail| std::fs::read_to_string(mail.path()))
                .any(|mail| mail.contains("from a browser"))
        })
        .await;
        let status = admin(&self.server, "GET", "/admin/v1/status", None).1;
        assert_eq!(status["keys_exposed"], self.exposed(), "what the console shows");
        for text in [self.server.log(), post.to_string()] {
            assert!(!text.contains(&key.text), "{text}");
        }
    }

    fn state(&self, key: &Key) -> Value {
        let keys = told(&["key", "list", "--store", &self.store]);
        let keys = keys["keys"].as_array().unwrap();
        keys.iter().find(|listed| listed["id"] == key.id).unwrap()["state"].clone()
    }
}

struct Key {
    id: String,
    text: String,
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "no {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn ends_within_five_seconds(phone: &Phone) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while phone.get(PATH).await.code() != (401, "invalid-key") {
        assert!(Instant::now() < deadline, "it still works");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_alarm_is_the_same_whether_the_request_is_refused_or_not() {
    for (settings, expected) in [
        ("keys.refuse_secret_in_browser = false", (404, "verification-not-found")),
        ("keys.refuse_secret_in_browser = true", (403, "secret-key-in-browser")),
    ] {
        let world = World::new(settings);
        let key = world.key(&["--class", "secret"]);
        let phone = Phone::over(Wire::H3, &world.server).await.with_key(&key.text);
        assert_eq!(phone.get(PATH).await.status, 404, "a backend");
        assert_eq!(world.exposed(), 0);
        for (name, value) in
            [("origin", "https://mybrand.com"), ("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")]
        {
            assert_eq!(phone.with(name, value).get(PATH).await.code(), expected, "{settings}: {name}");
        }
        assert_eq!(world.exposed(), 3, "{settings}");
        world.alarm_is_raised(&key).await;
        // Another key is other news, within the same minute too.
        let other = world.key(&["--class", "secret"]);
        let page = phone.with_key(&other.text).with("origin", "https://mybrand.com");
        assert_eq!(page.get(PATH).await.code(), expected);
        // The answer may be here before the line.
        world.server.log_says("key.exposed", 2);
        let log = world.server.log();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains("key.exposed")).collect();
        assert!(lines.len() == 2 && lines[1].contains(&other.id), "{lines:?}");
        assert_eq!(world.state(&key), "active", "nobody asked for more");
        assert_eq!(phone.get(PATH).await.status, 404, "the backend goes on");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exposed_key_is_revoked_everywhere_and_the_others_go_on() {
    for refuse in [false, true] {
        let settings = format!("keys = {{refuse_secret_in_browser = {refuse}, revoke_exposed = true}}");
        let world = World::new(&settings);
        let another = Site::new(&world.store, &Site::outbox(&world.folder)).serve();
        let (key, neighbour) = (world.key(&["--class", "secret"]), world.key(&["--class", "secret"]));
        let here = Phone::over(Wire::H3, &world.server).await.with_key(&key.text);
        let there = Phone::over(Wire::H2, &another).await.with_key(&key.text);
        assert_eq!((here.get(PATH).await.status.as_u16(), there.get(PATH).await.status.as_u16()), (404, 404));
        let first = here.with("origin", "https://mybrand.com").get(PATH).await;
        assert_eq!(first.status, if refuse { 403 } else { 404 });
        tokio::join!(ends_within_five_seconds(&here), ends_within_five_seconds(&there));
        assert_eq!(world.state(&key), "revoked");
        world.server.log_says("an exposed key was revoked", 1);
        world.alarm_is_raised(&key).await;
        for phone in [&here, &there] {
            assert_eq!(phone.with_key(&neighbour.text).get(PATH).await.status, 404, "its neighbour");
        }
        assert_eq!(world.state(&neighbour), "active");
    }
}

/// Whatever a stranger or a foreign page sends: without the whole of a key that works, nothing is revoked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_has_a_key_revoked_without_holding_it() {
    let world = World::new("keys = {refuse_secret_in_browser = true, revoke_exposed = true}");
    let key = world.key(&["--class", "secret"]);
    let page_key = world.key(&["--class", "restricted", "--origin", "mybrand.com"]);
    let test_key = world.key(&["--class", "secret", "--test"]);
    let elsewhere = TempDir::new().unwrap();
    let foreign = new_key(&Site::sqlite(&elsewhere), "elsewhere", &["--class", "secret"]);
    let flipped = |at: usize| {
        let mut text = key.text.clone().into_bytes();
        text[at] = if text[at] == b'a' { b'b' } else { b'a' };
        String::from_utf8(text).unwrap()
    };
    let as_test = key.text.replace("ath_sec_live_", "ath_sec_test_");
    let mut guesses = vec![
        String::new(),
        key.id.clone(),
        key.text[..key.text.len() - 1].to_owned(),
        key.text.to_uppercase(),
        key.text.replace("ath_sec_live_", "rk_live_ath_"),
        as_test,
        foreign["key"].as_str().unwrap().to_owned(),
        page_key.text.clone(),
        test_key.text.clone(),
    ];
    guesses.extend((13..key.text.len()).map(flipped));
    for wire in Wire::ALL {
        let phone = Phone::over(wire, &world.server).await;
        for guess in &guesses {
            let page = phone
                .with_key(guess)
                .with("origin", "https://evil.example")
                .with("sec-fetch-site", "cross-site");
            let heard = page.post("/v1/verifications", &json!({"recipient": "ada@gmail.com"})).await;
            assert!((400..500).contains(&heard.status.as_u16()), "{wire:?}: {heard:?}");
        }
        // In the body, in the path, in two headers.
        let page = phone.with_key("").with("origin", "https://evil.example");
        page.post("/v1/verifications", &json!({"recipient": "ada@gmail.com", "key": key.id})).await;
        page.get(&format!("/v1/verifications?key={}", key.text)).await;
        let backend = phone.with_key(&key.text);
        assert_eq!(backend.get(PATH).await.status, 404, "{wire:?}: its backend goes on");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.exposed(), 0);
    for key in [&key, &page_key, &test_key] {
        assert_eq!(world.state(key), "active");
    }
    let log = world.server.log();
    assert!(!log.contains("key.exposed") && !log.contains("key.revoked"), "{log}");
}

/// SIGHUP turns it on and off; what was exposed before is revoked with its next such request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_turns_it_on_while_serving() {
    let world = World::new("keys = {revoke_exposed = false}");
    let key = world.key(&["--class", "secret"]);
    let phone =
        Phone::over(Wire::H3, &world.server).await.with_key(&key.text).with("origin", "https://mybrand.com");
    assert_eq!(phone.get(PATH).await.status, 404);
    let config = world.server.site.path("authepy.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("revoke_exposed = false", "revoke_exposed = true")).unwrap();
    world.server.reload("the config was read again", 1);
    assert!(!world.server.log().contains("need a restart"));
    ends_within_five_seconds(&phone).await;
    assert_eq!(world.state(&key), "revoked");
}
