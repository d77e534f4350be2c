//! What one project does to what all projects share: each table is filled by one, as far as it can, and the people of
//! another sign up all the same (findings S6, S7, S17, S24; contract, section 8).

use authepy_testkit::NO_LIMITS;
use authepy_testkit::operator::new_key;
use authepy_testkit::phone::{Heard, Phone};
use authepy_testkit::serve::{Served, Site};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;

const ISSUE: &str = "/v1/verifications";
const BATCH: &str = "/v1/verifications:batch";
const INTROSPECT: &str = "/v1/receipts/introspect";
/// People of the other project who sign up, and how many at a time.
const PEOPLE: usize = 1_000;
const AT_ONCE: usize = 50;

/// A server with little memory, and backends of two projects with test keys.
struct Town {
    greedy: Phone,
    other: Phone,
    server: Served,
    _folder: TempDir,
}

impl Town {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let store = Site::sqlite(&folder);
        let [greedy, other] = ["greedy", "other"].map(|project| {
            let key = new_key(&store, project, &["--class", "secret", "--test"]);
            key["key"].as_str().unwrap().to_owned()
        });
        let limits: Vec<String> = NO_LIMITS.iter().map(|limit| limit_line(limit)).collect();
        let outbox = Site::outbox(&folder);
        let settings = format!("memory.ceiling = \"16MiB\"\n{}\n{outbox}", limits.join("\n"));
        let server = Site::new(&store, &settings).serve();
        let phone = Phone::connect(&server).await;
        let (greedy, other) = (phone.with_key(&greedy), phone.with_key(&other));
        Self { greedy, other, server, _folder: folder }
    }

    /// A thousand people of the other project: issue under an idempotency key, check, receipt, introspect.
    async fn all_sign_up(&self, table: &str) {
        for from in (0..PEOPLE).step_by(AT_ONCE) {
            let signed_up = join_all((from..from + AT_ONCE).map(|n| self.signs_up(table, n))).await;
            let refused: Vec<_> = signed_up.into_iter().filter_map(Result::err).collect();
            assert!(refused.is_empty(), "{table}, from {from}: {refused:?}");
        }
    }

    async fn signs_up(&self, table: &str, n: usize) -> Result<(), Value> {
        let keyed = self.other.with("idempotency-key", &format!("{table}-{n}"));
        let recipient = format!("{table}{n}@example.com");
        let issued = accepted(keyed.post(ISSUE, &json!({"recipient": recipient})).await, 202)?;
        let path = format!("{ISSUE}/{}/check", issued["id"].as_str().unwrap());
        let check = json!({"code": "000000", "recipient": recipient, "receipt": true});
        let checked = accepted(self.other.post(&path, &check).await, 200)?;
        let receipt = json!({"receipt": checked["receipt"]});
        let told = accepted(self.other.post(INTROSPECT, &receipt).await, 200)?;
        if told["active"] == true { Ok(()) } else { Err(told) }
    }

    /// A hundred inboxes of the greedy project; how many it got.
    async fn take_hundred(&self, from: usize) -> usize {
        let items: Vec<Value> =
            (from..from + 100).map(|n| json!({"recipient": format!("greedy{n}@example.com")})).collect();
        let heard = self.greedy.post(BATCH, &json!(items)).await;
        heard.body.as_array().unwrap().iter().filter(|item| item["status"] == 202).count()
    }
}

/// `a.b.c=off` as a line of TOML.
fn limit_line(setting: &str) -> String {
    let (key, value) = setting.split_once('=').unwrap();
    format!("{key} = \"{value}\"")
}

fn accepted(heard: Heard, status: u16) -> Result<Value, Value> {
    if heard.status == status { Ok(heard.body) } else { Err(heard.body) }
}

fn overloaded(heard: &Heard) -> bool {
    let told = heard.code() == (503, "overloaded");
    assert!(!told || heard.header("retry-after").parse::<u64>().unwrap() >= 1);
    told
}

#[tokio::test]
async fn inboxes_that_one_project_fills_have_room_for_another() {
    let _turn = crate::turn().await;
    let town = Town::new().await;
    let mut taken = 0;
    // Two rounds in which it gets hardly anything: the table is as full as one project can make it.
    for from in (0..400_000).step_by(400) {
        let more: usize =
            join_all([0, 100, 200, 300].map(|n| town.take_hundred(from + n))).await.into_iter().sum();
        taken += more;
        if more == 0 {
            break;
        }
    }
    assert!(taken > 10_000, "{taken} inboxes of 16 MiB");
    assert_eq!(town.take_hundred(1_000_000).await, 0, "it holds its share");
    town.all_sign_up("inbox").await;
    assert!(town.server.metric("authepy_memory_bytes") <= 16 << 20);
}

#[tokio::test]
async fn claims_that_one_project_makes_and_loses_leave_room_for_another() {
    let _turn = crate::turn().await;
    let town = Town::new().await;
    // Refused: each claims a key and releases it. More than the table has places for.
    let unknown = format!("{ISSUE}/vrf_{}/check", "0".repeat(25));
    for from in (0..12_000).step_by(200) {
        let refused = (from..from + 200).map(|n| {
            let keyed = town.greedy.with("idempotency-key", &format!("released-{n}"));
            let unknown = unknown.clone();
            async move { keyed.post(&unknown, &json!({"code": "123456"})).await.status }
        });
        assert!(join_all(refused).await.into_iter().all(|status| status == 404));
    }
    town.all_sign_up("released").await;
    // Accepted: each keeps its key for as long as the verification lives.
    let mut is_full = false;
    for from in (0..24_000).step_by(200) {
        let kept = (from..from + 200).map(|n| {
            let keyed = town.greedy.with("idempotency-key", &format!("kept-{n}"));
            async move { keyed.post(ISSUE, &json!({"recipient": format!("kept{n}@example.com")})).await }
        });
        is_full = join_all(kept).await.iter().filter(|heard| overloaded(heard)).count() > 100;
        if is_full {
            break;
        }
    }
    assert!(is_full, "it has met its share");
    town.all_sign_up("kept").await;
}

#[tokio::test]
async fn receipts_that_one_project_spends_leave_room_for_another() {
    let _turn = crate::turn().await;
    let town = Town::new().await;
    let mut is_full = false;
    for from in (0..20_000).step_by(100) {
        let items: Vec<Value> =
            (from..from + 100).map(|n| json!({"recipient": format!("spent{n}@example.com")})).collect();
        let issued = town.greedy.post(BATCH, &json!(items)).await;
        let spent = issued.body.as_array().unwrap().iter().map(|item| {
            let path = format!("{ISSUE}/{}/check", item["verification"]["id"].as_str().unwrap());
            let greedy = town.greedy.clone();
            async move {
                let checked = greedy.post(&path, &json!({"code": "000000", "receipt": true})).await;
                greedy.post(INTROSPECT, &json!({"receipt": checked.body["receipt"]})).await
            }
        });
        is_full = join_all(spent).await.iter().filter(|heard| overloaded(heard)).count() > 50;
        if is_full {
            break;
        }
    }
    assert!(is_full, "it has met its share");
    town.all_sign_up("spent").await;
}
