//! A panic in each task of the control plane (R02): nothing else ends with it, the task begins anew and does its work.
//! Brought about by `AUTHEPY_FAULT=control:TASK` and SIGUSR1 (`transport/src/ground/fault.rs`).
#![cfg(debug_assertions)] // optimised builds have no way to do it

use std::time::{Duration, Instant};

use rcgen::generate_simple_self_signed;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::stores::lock;
use authepy_testkit::PATIENCE;
use authepy_testkit::canary::Canary;
use authepy_testkit::operator::{admin, new_key, told};
use authepy_testkit::phone::Phone;
use authepy_testkit::postgres::Postgres;
use authepy_testkit::serve::{Served, Site};

/// What an injected panic says; the log must not.
const SAID: &str = "eve@example.com";
const TASKS: [&str; 7] = ["keeper", "news", "reload", "watch", "exposure", "admin", "certificate"];

/// A server with a fault, its store, and keys for a canary and for changes.
struct World {
    server: Served,
    store: String,
    canary: Canary,
    backend: Phone,
    folder: TempDir,
}

impl World {
    async fn new(task: &str, store: Option<String>) -> Self {
        let folder = TempDir::new().unwrap();
        let store = store.unwrap_or_else(|| Site::sqlite(&folder));
        let test = new_key(&store, "shop", &["--class", "secret", "--test"]);
        let live = new_key(&store, "shop", &["--class", "secret"]);
        let text = |key: &Value| key["key"].as_str().unwrap().to_owned();
        let more = format!(
            "limits.recipient.issue = \"off\"\nkeys.revoke_exposed = true\nalerts.to = ['boss@authepy.org']\n{}",
            Site::outbox(&folder)
        );
        let mut server =
            Site::new(&store, &more).serve_with(&[("AUTHEPY_FAULT", &format!("control:{task}"))]);
        server.ready["outbox"] = json!(folder.path().join("outbox"));
        let canary = Canary::without_mail(&server, &text(&test), "control").await;
        let backend = Phone::connect_with(&server, &text(&live)).await;
        Self { server, store, canary, backend, folder }
    }

    /// Has the task panic, for the `nth` time.
    fn strike(&self, nth: usize) {
        self.server.signal("-USR1");
        self.server.log_says("a control task has failed and begins anew", nth);
    }

    fn restarts(&self, task: &str) -> u64 {
        self.server.metric(&format!("authepy_control_restarts_total{{task=\"{task}\"}}"))
    }

    fn probe(&self) -> (u16, Value) {
        let (status, body) = self.server.admin("/readyz");
        (status, serde_json::from_str(&body).unwrap())
    }

    /// Waits until every task runs again.
    async fn recovers(&self) {
        until(|| self.probe() == (200, json!({"status": "ready"}))).await;
    }

    /// All that the control plane is for.
    async fn works(&self) {
        let key = new_key(&self.store, "later", &["--class", "secret", "--test"]);
        let phone = self.backend.with_key(key["key"].as_str().unwrap());
        assert_eq!(phone.get("/v1/verifications/vrf_x").await.status, 404, "a new key");
        told(&["key", "revoke", key["id"].as_str().unwrap(), "--store", &self.store]);
        within_five_seconds(&phone, 401).await;
        let made = admin(
            &self.server,
            "POST",
            "/admin/v1/keys",
            Some(&json!({"project": "shop", "class": "secret"})),
        );
        assert_eq!(made.0, 201, "the admin API");
        let exposed = self.backend.with_key(made.1["key"].as_str().unwrap());
        assert_eq!(
            exposed.with("origin", "https://a.example").get("/v1/verifications/vrf_x").await.status,
            404
        );
        within_five_seconds(&exposed, 401).await;
        self.alarm().await;
        let taken = self.server.log().matches("the config was read again").count();
        self.server.reload("the config was read again", taken + 1);
        let pair = generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(self.server.site.path("key.pem"), pair.signing_key.serialize_pem()).unwrap();
        std::fs::write(self.server.site.path("cert.pem"), pair.cert.pem()).unwrap();
        let replaced = self.server.log().matches("the certificate was replaced").count();
        self.server.log_says("the certificate was replaced", replaced + 1);
    }

    /// The alert of the exposed key, in the outbox.
    async fn alarm(&self) {
        until(|| {
            let mails =
                std::fs::read_dir(self.folder.path().join("outbox/new")).into_iter().flatten().flatten();
            mails
                .flat_map(|mail| std::fs::read_to_string(mail.path()))
                .any(|mail| mail.contains("from a browser"))
        })
        .await;
    }

    /// Nothing of what a panic said is in the log, and the end is a good one.
    fn ends_well(mut self) {
        let log = self.server.log();
        assert!(!log.contains(SAID), "{log}");
        self.server.signal("-TERM");
        assert_eq!(self.server.exit_code(), Some(0), "{}", self.server.log());
        self.server.forget_panics();
    }
}

async fn until(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "it never came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn within_five_seconds(phone: &Phone, status: u16) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while phone.get("/v1/verifications/vrf_x").await.status != status {
        assert!(Instant::now() < deadline, "not {status} within five seconds");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Live codes outlast it, canary unhurt, and afterwards all of the control plane is at work.
async fn begins_anew(task: &str) {
    let world = World::new(task, None).await;
    let id = world.backend.issue("ada@gmail.com").await;
    let code = world.server.code_for("ada@gmail.com");
    world
        .canary
        .beside(async {
            for nth in 1..=3 {
                world.strike(nth);
                world.recovers().await;
                assert_eq!(world.restarts(task), nth as u64);
            }
        })
        .await;
    assert_eq!(world.backend.check(&id, &code).await.body["valid"], true, "a code of before");
    world.works().await;
    world.ends_well();
}

macro_rules! each_task {
    ($($task:ident),*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $task() {
            begins_anew(stringify!($task)).await;
        })*
        #[test]
        fn are_all() {
            assert_eq!([$(stringify!($task)),*], super::TASKS);
        }
    };
}

mod a_task_that_panics_begins_anew_and_works {
    use super::begins_anew;

    each_task!(keeper, news, reload, watch, exposure, admin, certificate);
}

/// The same with the store whose library minds how its connections end, all tasks at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_them_at_once_begin_anew_with_postgresql() {
    let postgres = Postgres::start();
    let world = World::new("all", Some(postgres.url())).await;
    world
        .canary
        .beside(async {
            for round in 1..=2 {
                world.strike(round * TASKS.len());
                world.recovers().await;
            }
        })
        .await;
    for task in TASKS {
        assert_eq!(world.restarts(task), 2, "{task}");
    }
    world.works().await;
    world.ends_well();
}

/// Without the keeper no change of keys would act, so nobody is to send new work here; what is here is served.
/// Without the others callers notice nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_tells_of_a_task_that_fails_again_and_again() {
    for (task, status, word) in [("keeper", 503, "not ready"), ("watch", 200, "ready")] {
        let world = World::new(task, None).await;
        let public = world.backend.with_key("");
        world
            .canary
            .beside(async {
                // The pauses double: the sixth is 3.2 s.
                for nth in 1..=5 {
                    world.strike(nth);
                    world.recovers().await;
                }
                world.strike(6);
                let told = world.probe();
                assert_eq!(told, (status, json!({"status": word, "restarting": [task]})));
                assert_eq!(public.get("/readyz").await.status, status, "to callers too");
                let heard = admin(&world.server, "GET", "/admin/v1/status", None).1;
                assert_eq!(heard["control"], json!({"restarting": [task], "restarts": 6}));
                assert_eq!(heard["ready"], json!(status == 200));
            })
            .await;
        world.recovers().await;
        world.ends_well();
    }
}

/// It stood in memory only, as the store did not take it: a keeper that begins anew must not forget it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_that_is_not_written_yet_outlives_the_keepers_panic() {
    let world = World::new("keeper", None).await;
    let key = new_key(&world.store, "shop", &["--class", "secret", "--test"]);
    let (id, text) = (key["id"].as_str().unwrap(), key["key"].as_str().unwrap());
    let phone = world.backend.with_key(text);
    assert_eq!(phone.get("/v1/verifications/vrf_x").await.status, 404);
    let mut lock = lock(&world.folder.path().join("authepy.db"));
    let (status, answer) = admin(&world.server, "DELETE", &format!("/admin/v1/keys/{id}"), None);
    assert_eq!((status, &answer["status"]), (202, &json!("revoked-in-memory")), "{answer}");
    world.strike(1);
    world.recovers().await;
    assert_eq!(phone.get("/v1/verifications/vrf_x").await.status, 401);
    lock.kill().unwrap();
    lock.wait().unwrap();
    until(|| {
        let keys = told(&["key", "list", "--store", &world.store]);
        let listed = keys["keys"].as_array().unwrap().iter().find(|key| key["id"] == id).unwrap().clone();
        listed["state"] == "revoked"
    })
    .await;
    assert_eq!(phone.get("/v1/verifications/vrf_x").await.status, 401);
    world.ends_well();
}
