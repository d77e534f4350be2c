//! What one project does to the mails of another: nothing that the other one would notice.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use authepy_testkit::operator::new_key;
use authepy_testkit::phone::Phone;
use authepy_testkit::script::Script;
use authepy_testkit::serve::{Served, Site};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;

const ISSUE: &str = "/v1/verifications";
const BATCH: &str = "/v1/verifications:batch";
/// What a relay of the tests takes before it answers to a mail.
const SLOW: &str = "slow:0.5";

/// A server, a relay each, and a backend of each of two projects.
struct Town {
    relays: Vec<Script>,
    crowded: Phone,
    other: Phone,
    server: Served,
    _folder: TempDir,
}

impl Town {
    /// `modes` are the relays, in the order in which the server tries them.
    async fn of(modes: &[&str], settings: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let store = Site::sqlite(&folder);
        let [crowded, other] = ["crowded", "other"].map(|project| {
            new_key(&store, project, &["--class", "secret"])["key"].as_str().unwrap().to_owned()
        });
        let relays: Vec<Script> =
            modes.iter().map(|mode| Script::start("smtp_server.py", &[mode], None)).collect();
        let providers: String = relays.iter().map(|relay| provider(relay.port)).collect();
        let server = Site::new(&store, &format!("{settings}\n{providers}")).serve();
        let phone = Phone::connect(&server).await;
        let (crowded, other) = (phone.with_key(&crowded), phone.with_key(&other));
        Self { relays, crowded, other, server, _folder: folder }
    }

    /// A hundred mails of the crowded project; how many were accepted, and the problem of the first that
    /// was not.
    async fn crowd(&self, from: usize) -> (usize, Option<Value>) {
        let items: Vec<Value> =
            (from..from + 100).map(|n| json!({"recipient": format!("crowd{n}@gmail.com")})).collect();
        let heard = self.crowded.post(BATCH, &Value::from(items)).await;
        let items = heard.body.as_array().unwrap();
        let accepted = items.iter().filter(|item| item["status"] == 202).count();
        (accepted, items.iter().find_map(|item| item.get("problem").cloned()))
    }

    /// As many mails as the crowded project gets in.
    async fn fill(&self) -> usize {
        let mut accepted = 0;
        for batch in 0..90 {
            let (more, refused) = self.crowd(batch * 100).await;
            accepted += more;
            if let Some(problem) = refused {
                assert_eq!(
                    (&problem["status"], &problem["code"]),
                    (&json!(503), &json!("delivery-unavailable"))
                );
                assert!(problem["retry_after"].as_u64().unwrap() >= 1, "{problem}");
                return accepted;
            }
        }
        panic!("{accepted} mails of one project, and no end");
    }

    /// `count` people sign up at the other project; all must be promised a code.
    async fn sign_up(&self, count: usize) {
        let issue = async |n: usize| {
            let recipient = format!("guest{n}@gmail.com");
            self.other.post(ISSUE, &json!({"recipient": recipient})).await.code().0
        };
        for from in (0..count).step_by(20) {
            let heard = join_all((from..count.min(from + 20)).map(issue)).await;
            assert!(heard.iter().all(|status| *status == 202), "{from}: {heard:?}");
        }
    }
}

fn provider(port: u16) -> String {
    format!(
        "[[delivery]]\nname = \"at-{port}\"\nkind = \"smtp\"\nurl = \"smtp://127.0.0.1:{port}\"\n\
         from = \"no-reply@mybrand.com\"\n"
    )
}

/// Mails for each address, of those that a relay has told of by now.
fn mailed(relay: &Script) -> HashMap<String, usize> {
    let mut mails = HashMap::new();
    for event in relay.events() {
        if let Some(to) = event["mail"]["to"][0].as_str() {
            *mails.entry(to.to_owned()).or_default() += 1;
        }
    }
    mails
}

fn guests(mails: &HashMap<String, usize>) -> usize {
    assert!(mails.values().all(|count| *count == 1), "somebody got two");
    mails.keys().filter(|to| to.starts_with("guest")).count()
}

async fn until_mailed(relay: &Script, count: usize) -> HashMap<String, usize> {
    let (mut mails, began) = (HashMap::new(), Instant::now());
    while guests(&mails) < count {
        assert!(began.elapsed() < authepy_testkit::PATIENCE, "{} of {count}", guests(&mails));
        tokio::time::sleep(Duration::from_millis(20)).await;
        for (to, more) in mailed(relay) {
            *mails.entry(to).or_default() += more;
        }
    }
    mails
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wave_of_one_project_at_a_slow_relay_costs_another_neither_place_nor_turn() {
    let town = Town::of(&[SLOW], "").await;
    let accepted = town.fill().await;
    assert!(accepted >= 3_840, "half of the places for mails: {accepted}");
    town.sign_up(200).await;
    let mails = until_mailed(&town.relays[0], 200).await;
    let crowd = mails.len() - 200;
    assert!(crowd + 400 < accepted, "{crowd} of the {accepted} that came before went first");
    // Who waits as long as was said finds a place.
    town.fill().await;
    let mut late = 0;
    let (body, refused) = loop {
        // A place may have become free in between: asked faster than the relay takes mails.
        let body = json!({"recipient": format!("late{late}@gmail.com")});
        let heard = town.crowded.post(ISSUE, &body).await;
        if heard.status != 202 {
            break (body, heard);
        }
        late += 1;
        assert!(late < 1_000, "no end of places");
    };
    assert_eq!(refused.code(), (503, "delivery-unavailable"));
    let seconds: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=10).contains(&seconds), "{seconds}");
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    assert_eq!(town.crowded.post(ISSUE, &body).await.status, 202);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_smallest_memory_leaves_room_for_others_and_for_alerts() {
    let town = Town::of(&["silent"], "memory.ceiling = \"16MiB\"\nalerts.to = [\"boss@authepy.org\"]").await;
    assert_eq!(town.fill().await, 240, "of 512 places 32 are for alerts, and of the rest it has half");
    town.sign_up(100).await;
    // The project that has its share can still say so, and not with every place for alerts.
    let alert = json!({"subject": "codes are late", "text": "x"});
    assert_eq!(town.crowded.post("/v1/alerts", &alert).await.status, 202);
    let resent = town.crowded.post(ISSUE, &json!({"recipient": "one@gmail.com"})).await;
    assert_eq!(resent.code(), (503, "delivery-unavailable"), "and its next code still has no place");
    assert_eq!(town.server.metric("authepy_mail_accepted_total"), 341);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_provider_does_not_keep_the_next_one_waiting() {
    let town = Town::of(&["slow:12", "ok"], "").await;
    let (accepted, _) = town.crowd(0).await;
    assert_eq!(accepted, 100);
    // Until the first relay is known to be slow; a mail that is there by then waits for its answer.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let began = Instant::now();
    town.sign_up(50).await;
    let second = until_mailed(&town.relays[1], 50).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let first = mailed(&town.relays[0]);
    assert_eq!(guests(&first), 0, "nobody waited for the slow one");
    assert!(first.keys().all(|to| !second.contains_key(to)), "nobody got two");
    assert!(first.len() <= 24, "half of the sends, at a relay that holds each for twelve seconds");
}

/// A relay may ask a recipient's host before it answers, and the attacker's host never does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recipients_that_stall_the_relay_stop_nobody_elses_mail() {
    let town = Town::of(&["stall-tarpits"], "").await;
    town.sign_up(1).await;
    let items: Vec<Value> = (0..15).map(|n| json!({"recipient": format!("eve{n}@tarpit{n}.org")})).collect();
    let heard = town.crowded.post(BATCH, &Value::from(items)).await;
    assert!(heard.body.as_array().unwrap().iter().all(|item| item["status"] == 202), "{:?}", heard.body);
    // Longer than a send may take, so that all of them time out.
    let (began, mut guests, mut events) = (Instant::now(), 1, Vec::new());
    while began.elapsed() < Duration::from_secs(25) {
        let body = json!({"recipient": format!("guest{guests}@gmail.com")});
        assert_eq!(town.other.post(ISSUE, &body).await.status, 202, "{guests} at {:?}", began.elapsed());
        guests += 1;
        tokio::time::sleep(Duration::from_millis(500)).await;
        events.extend(town.relays[0].events());
    }
    let count = |events: &[Value], kind: &str| events.iter().filter(|event| !event[kind].is_null()).count();
    while count(&events, "mail") < guests {
        assert!(began.elapsed() < Duration::from_secs(40), "{} of {guests}", count(&events, "mail"));
        tokio::time::sleep(Duration::from_millis(20)).await;
        events.extend(town.relays[0].events());
    }
    assert!(count(&events, "stalled") >= 15, "{}", count(&events, "stalled"));
    assert!(!town.server.log().contains("keeps failing"), "{}", town.server.log());
}
