//! Nothing lost, nothing twice: a whole server with two relays of which three in ten mails meet a fault.
//!
//! ```text
//!   AUTHEPY_FAULT_ISSUES=100000 cargo test --release --test delivery every_accepted_code -- --nocapture
//! ```
//!
//! In the suite it is 2,000 issues. What a relay kept, and whether it said so, is told by the relay.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use authepy_testkit::operator::new_key;
use authepy_testkit::phone::{Phone, Wire};
use authepy_testkit::script::Script;
use authepy_testkit::serve::{Served, Site};
use tempfile::TempDir;

const PHONES: usize = 8;
/// Requests of one phone at once.
const STREAMS: usize = 16;
/// Longest it may take from the last issue until every fate is known: three pauses and four timeouts.
const SETTLING: Duration = Duration::from_secs(150);

const OUTCOMES: [&str; 4] = ["sent", "failed", "expired", "maybe_sent"];

struct Kept {
    code: String,
    acknowledged: bool,
}

fn serve(relays: &[Script], folder: &TempDir) -> (Served, String) {
    let store = Site::sqlite(folder);
    let key = new_key(&store, "shop", &["--class", "secret"]);
    let mut config = "limits.recipient_peer.issue = \"off\"\nlimits.peer.issue = \"off\"\n\
                      limits.peer.check = \"off\"\ncodes.lifetime = \"600s\"\n"
        .to_owned();
    for (at, relay) in relays.iter().enumerate() {
        config.push_str(&format!(
            "[[delivery]]\nname = \"relay{at}\"\nkind = \"smtp\"\nurl = \"smtp://127.0.0.1:{}\"\n\
             from = \"no-reply@mybrand.com\"\n",
            relay.port
        ));
    }
    (Site::new(&store, &config).serve(), key["key"].as_str().unwrap().to_owned())
}

/// Issues `count` codes to addresses of their own; returns which address got which id.
async fn issue(phone: Phone, name: usize, count: usize) -> Vec<(String, String)> {
    let one = |n: usize| {
        let phone = phone.clone();
        async move {
            let address = format!("user{n}.{name}@gmail.com");
            loop {
                let heard = phone.post("/v1/verifications", &serde_json::json!({"recipient": address})).await;
                match heard.code() {
                    (202, _) => return (address, heard.body["id"].as_str().unwrap().to_owned()),
                    // Refused before it was promised: try again, as a client would, if sooner.
                    (503, "delivery-unavailable") => tokio::time::sleep(Duration::from_millis(100)).await,
                    other => panic!("{other:?}"),
                }
            }
        }
    };
    let mut issued = Vec::with_capacity(count);
    let mut running = tokio::task::JoinSet::new();
    for n in 0..count {
        if running.len() == STREAMS {
            issued.push(running.join_next().await.unwrap().unwrap());
        }
        running.spawn(one(n));
    }
    issued.extend(running.join_all().await);
    issued
}

fn outcomes(server: &Served) -> [u64; 4] {
    OUTCOMES.map(|outcome| server.metric(&format!("authepy_mail_total{{outcome=\"{outcome}\"}}")))
}

/// What both relays kept, by address; panics if one mail was kept twice.
fn kept(relays: &[Script]) -> HashMap<String, Kept> {
    let mut kept = HashMap::new();
    for event in relays.iter().flat_map(Script::events) {
        let mail = &event["kept"];
        let text = |name: &str| mail[name].as_str().unwrap().to_owned();
        let one = Kept { code: text("code"), acknowledged: mail["acknowledged"].as_bool().unwrap() };
        assert!(kept.insert(text("to"), one).is_none(), "a mail was handed over twice: {}", text("id"));
    }
    kept
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_accepted_code_is_handed_over_once_or_its_failure_reported() {
    let issues: usize = std::env::var("AUTHEPY_FAULT_ISSUES").map_or(2_000, |n| n.parse().unwrap());
    let relays = ["1", "2"].map(|seed| Script::start("chaos_relay.py", &[seed], None));
    let folder = TempDir::new().unwrap();
    let (server, key) = serve(&relays, &folder);
    let began = Instant::now();
    let mut phones = tokio::task::JoinSet::new();
    let mut checker = None;
    for name in 0..PHONES {
        let phone = Phone::over(Wire::H3, &server).await.with_key(&key);
        checker = Some(phone.clone());
        phones.spawn(issue(phone, name, issues / PHONES));
    }
    let ids: HashMap<String, String> = phones.join_all().await.into_iter().flatten().collect();
    let accepted = server.metric("authepy_mail_accepted_total");
    assert_eq!(accepted, ids.len() as u64);
    let deadline = Instant::now() + SETTLING;
    while outcomes(&server).iter().sum::<u64>() < accepted {
        assert!(Instant::now() < deadline, "{:?} of {accepted}", outcomes(&server));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let [sent, failed, expired, maybe_sent] = outcomes(&server);
    println!(
        "{accepted} issues in {:?}: {sent} sent, {maybe_sent} maybe sent, {failed} failed, {expired} expired",
        began.elapsed()
    );
    assert_eq!(sent + failed + expired + maybe_sent, accepted, "the counters add up");

    let kept = kept(&relays);
    let acknowledged = kept.values().filter(|mail| mail.acknowledged).count() as u64;
    assert_eq!(acknowledged, sent, "sent is what a relay acknowledged");
    assert!(kept.len() as u64 - acknowledged <= maybe_sent, "what was kept in silence is maybe sent");
    assert!(failed > 0 && maybe_sent > 0 && sent > accepted / 2, "there were faults, and mails");

    // Whoever has the mail has a code that works, once.
    let phone = checker.unwrap();
    for (address, mail) in kept.iter().take(1_000) {
        let heard = phone.check(&ids[address], &mail.code).await;
        assert_eq!(heard.body["valid"], true, "{address}: {heard:?}");
    }
}
