//! The clocks of a running server jump (A57), by libfaketime, which reads the offset from a file.

use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use authepy_testkit::canary::Canary;
use authepy_testkit::operator::{admin, new_key};
use authepy_testkit::phone::Phone;
use authepy_testkit::{DevServer, PATIENCE};

/// A server whose clocks are ours.
struct Faked {
    server: DevServer,
    folder: TempDir,
}

impl Faked {
    /// `monotonic`: that clock jumps too, as no system's does; so minutes pass at once.
    fn start(monotonic: bool, settings: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let offset = folder.path().join("offset");
        std::fs::write(&offset, "+0").unwrap();
        let library = library();
        let variables = [
            ("LD_PRELOAD", &*library),
            ("FAKETIME_TIMESTAMP_FILE", offset.to_str().unwrap()),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", if monotonic { "0" } else { "1" }),
        ];
        let mut arguments = vec!["dev", "--json", "--listen", "127.0.0.1:0"];
        settings.iter().for_each(|setting| arguments.extend(["--set", *setting]));
        Self { server: DevServer::run_with(&variables, &arguments), folder }
    }

    /// Sets how far the clocks are off, and waits until the server has noticed.
    fn jump(&self, offset: &str) {
        let next = self.folder.path().join("next");
        std::fs::write(&next, offset).unwrap();
        std::fs::rename(next, self.folder.path().join("offset")).unwrap();
    }
}

/// Where Debian keeps it, for each architecture elsewhere.
fn library() -> String {
    let folders = std::fs::read_dir("/usr/lib").unwrap().flatten();
    let mut found = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    let library = found.find(|library| library.exists());
    library.expect("faketime is not installed: run the tests through .ci/test").to_str().unwrap().to_owned()
}

/// The year of the `Date` field.
async fn year(phone: &Phone) -> i32 {
    let heard = phone.get("/healthz").await;
    heard.header("date").split(' ').nth(3).unwrap().parse().unwrap()
}

const ONE_A_DAY: [&str; 2] = ["limits.recipient.issue=1/1d", "limits.recipient_peer.issue=off"];

#[tokio::test]
async fn codes_windows_and_bans_live_by_no_wall_clock() {
    let faked = Faked::start(false, &ONE_A_DAY);
    let server = &faked.server;
    let canary = Canary::with_mail(server, "wall").await;
    let phone = Phone::connect(server).await;
    let this_year = year(&phone).await;
    let ban = json!({"peer": "127.9.9.9", "for": "1h"});
    assert_eq!(admin(server, "POST", "/admin/v1/bans", Some(&ban)).0 / 100, 2);
    let id = phone.issue("ada@example.com").await;
    let code = server.code_for("ada@example.com");
    for (offset, years) in [("+1h", 0), ("-1h", 0), ("+10y", 10), ("-10y", -10), ("-56y", -56), ("+0", 0)] {
        faked.jump(offset);
        canary
            .beside(async {
                let told = year(&phone).await;
                assert!((told - this_year - years).abs() <= 1, "{offset}: the Date says {told}");
                let again = phone.post("/v1/verifications", &json!({"recipient": "ada@example.com"})).await;
                assert_eq!(again.code(), (429, "rate-limited"), "{offset}: the window holds");
                let wait: u64 = again.header("retry-after").parse().unwrap();
                assert!((1..=86_400).contains(&wait), "{offset}: {wait}");
                let (status, bans) = admin(server, "GET", "/admin/v1/bans", None);
                assert_eq!(
                    (status, bans["bans"].as_array().map(Vec::len)),
                    (200, Some(1)),
                    "{offset}: {bans}"
                );
            })
            .await;
    }
    faked.jump("-10y");
    assert_eq!(phone.check(&id, &code).await.body["valid"], true, "issued before all of it");
}

#[tokio::test]
async fn a_code_dies_by_the_monotonic_clock_and_new_ones_work() {
    let faked = Faked::start(true, &["connections.idle=600s"]);
    let server = &faked.server;
    let phone = Phone::connect(server).await;
    let id = phone.issue("ada@example.com").await;
    let code = server.code_for("ada@example.com");
    // Five minutes less a moment, then the moment.
    faked.jump("+290s");
    assert_eq!(Phone::connect(server).await.check(&id, "1").await.status, 422, "it lives");
    faked.jump("+301s");
    let later = Phone::connect(server).await;
    assert_eq!(later.check(&id, &code).await.code(), (404, "verification-not-found"));
    faked.jump("+301s");
    assert_eq!(later.check(&id, &code).await.status, 404);
    let canary = Canary::with_mail(server, "monotonic").await;
    canary.beside(async {}).await;
}

/// Finding S13: what an idempotency key repeats is true as long as the verification lives, and no longer.
#[tokio::test]
async fn a_repeated_request_whose_verification_has_ended_is_a_new_one() {
    let faked = Faked::start(true, &["connections.idle=600s"]);
    let server = &faked.server;
    let keyed = || async { Phone::connect(server).await.with("idempotency-key", "signup-ada") };
    let body = json!({"recipient": "ada@example.com", "lifetime": 60});
    let first = keyed().await.post("/v1/verifications", &body).await;
    let id = first.body["id"].as_str().unwrap();
    let code = server.code_for("ada@example.com");
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let guess = keyed().await.with("idempotency-key", "guess");
    assert_eq!(guess.check(id, wrong).await.code(), (400, "malformed-request"), "two keys are none");
    let guess = Phone::connect(server).await.with("idempotency-key", "guess");
    assert_eq!(guess.check(id, wrong).await.body["attempts_remaining"], 4);

    faked.jump("+50s");
    let again = keyed().await.post("/v1/verifications", &body).await;
    assert_eq!((again.header("idempotency-replayed"), &again.bytes), ("true", &first.bytes));
    let guess = Phone::connect(server).await.with("idempotency-key", "guess");
    assert_eq!(guess.check(id, wrong).await.header("idempotency-replayed"), "true");

    faked.jump("+64s");
    let guess = Phone::connect(server).await.with("idempotency-key", "guess");
    assert_eq!(guess.check(id, wrong).await.code(), (404, "verification-not-found"));
    let anew = keyed().await.post("/v1/verifications", &body).await;
    assert_eq!((anew.status.as_u16(), anew.header("idempotency-replayed")), (202, ""), "{:?}", anew.body);
    assert_eq!(anew.body["expires_in"], 60);
    let codes = server.codes_for("ada@example.com", 2);
    let id = anew.body["id"].as_str().unwrap();
    assert_ne!(id, first.body["id"].as_str().unwrap());
    let mut verdicts = Vec::new();
    for code in codes.iter().rev() {
        verdicts.push(Phone::connect(server).await.check(id, code).await.body["valid"] == true);
    }
    assert!(verdicts.contains(&true), "a mail with a code that works: {verdicts:?}");
}

/// Contract, section 8: of a key's 200 mails in ten minutes fewer than one in ten was answered.
#[tokio::test]
async fn a_key_whose_mails_nobody_answers_is_told_of_and_one_that_is_used_is_not() {
    let faked = Faked::start(true, &["connections.idle=600s"]);
    let server = &faked.server;
    let store = format!("sqlite://{}", server.text("outbox").replace("outbox", "authepy.db"));
    let [pumped, used] = ["pumped", "used"].map(|name| {
        let key = new_key(&store, name, &["--class", "secret"]);
        [&key["id"], &key["key"]].map(|text| text.as_str().unwrap().to_owned())
    });
    for [_, key] in [&pumped, &used] {
        let phone = Phone::connect_with(server, key).await;
        for from in [0, 100] {
            let person = |n: usize| json!({"recipient": format!("person{n}-{}@gmail.com", &key[13..16])});
            let items: Vec<_> = (from..from + 100).map(person).collect();
            let heard = phone.post("/v1/verifications:batch", &json!(items)).await;
            let all = heard.body.as_array().unwrap();
            assert!(all.iter().all(|item| item["status"] == 202), "{:?}", heard.body);
            for (n, item) in all.iter().enumerate().take(if *key == used[1] { 15 } else { 5 }) {
                let address = items[n]["recipient"].as_str().unwrap();
                let id = item["verification"]["id"].as_str().unwrap();
                assert_eq!(phone.check(id, &server.code_for(address)).await.body["valid"], true);
            }
        }
    }
    // People who got their mail within the last minute may still be typing.
    faked.jump("+75s");
    server.log_says("key.low_conversion", 1);
    let (status, told) = admin(server, "GET", "/admin/v1/status", None);
    let low = told["low_conversion"].as_array().unwrap();
    assert_eq!((status, low.len()), (200, 1), "{told}");
    assert_eq!(
        (&low[0]["key"], &low[0]["mailed"], &low[0]["answered"]),
        (&json!(pumped[0]), &json!(200), &json!(10))
    );
    assert!(server.log().contains(&pumped[0]) && !server.log().contains(&used[0]));
}

#[tokio::test]
async fn a_server_that_stood_still_goes_on_where_it_was() {
    let server = DevServer::start(&[]);
    let canary = Canary::with_mail(&server, "still").await;
    let phone = Phone::connect(&server).await;
    let id = phone.issue("ada@example.com").await;
    let code = server.code_for("ada@example.com");
    canary
        .beside(async {
            server.signal("-STOP");
            tokio::time::sleep(Duration::from_secs(2)).await;
            server.signal("-CONT");
        })
        .await;
    assert_eq!(phone.check(&id, &code).await.body["valid"], true);
    let deadline = Instant::now() + PATIENCE;
    while server.readiness() != Some(200) {
        assert!(Instant::now() < deadline);
    }
}
