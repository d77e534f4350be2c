//! More phones than a lane can serve: it hears fewer of them, no backend notices, and all are heard again afterwards.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::{DevServer, NO_LIMITS};
use authepy_testkit::PATIENCE;
use authepy_testkit::canary::Canary;
use authepy_testkit::phone::Phone;

const PHONES: usize = 40;
/// Requests that a phone has under way.
const AT_ONCE: usize = 40;
/// When its owner gives one of them up and asks anew.
const WAIT: Duration = Duration::from_millis(400);
const SHED: &str = "authepy_datagrams_shed_total";

/// Runs `during` while the process stands still for nine in ten milliseconds.
async fn slowed_down<T>(server: &DevServer, during: impl Future<Output = T>) -> T {
    let (pid, is_over) = (Pid::from_raw(server.process_id() as i32), AtomicBool::new(false));
    let is_over: &'static AtomicBool = Box::leak(Box::new(is_over));
    let pulse = thread::spawn(move || {
        while !is_over.load(Ordering::Relaxed) {
            kill(pid, Signal::SIGSTOP).unwrap();
            thread::sleep(Duration::from_millis(9));
            kill(pid, Signal::SIGCONT).unwrap();
            thread::sleep(Duration::from_millis(1));
        }
    });
    let outcome = during.await;
    is_over.store(true, Ordering::Relaxed);
    pulse.join().unwrap();
    outcome
}

/// Asks on and on, and waits for nobody longer than he is willing to.
async fn impatient(phone: &Phone, name: String, is_over: &Cell<bool>, refused: &Cell<u32>) {
    for n in 0.. {
        if is_over.get() {
            return;
        }
        let body = json!({"recipient": format!("{name}.{n}@example.com")});
        let Ok(heard) = timeout(WAIT, phone.post("/v1/verifications", &body)).await else { continue };
        if heard.status != 202 {
            assert_eq!(heard.code(), (503, "overloaded"));
            assert_eq!(heard.header("retry-after"), "1");
            refused.set(refused.get() + 1);
            sleep(WAIT).await;
        }
    }
}

#[tokio::test]
async fn a_lane_that_is_behind_hears_fewer_phones_and_every_backend() {
    let _turn = crate::turn().await;
    let settings = ["engine.shards=1", "connections.resets=1000000"];
    let server = DevServer::start(&[&NO_LIMITS[..], &settings].concat());
    let backend = Canary::without_mail(&server, server.text("secret_test_key"), "backend").await;
    let mut phones = Vec::new();
    for _ in 0..PHONES {
        let phone = Phone::connect_with(&server, server.text("restricted_test_key")).await;
        phones.push(phone.with("origin", "https://mybrand.com"));
    }
    let (is_over, refused) = (Cell::new(false), Cell::new(0));
    let crowd = join_all(phones.iter().enumerate().flat_map(|(at, phone)| {
        let (is_over, refused) = (&is_over, &refused);
        (0..AT_ONCE).map(move |n| impatient(phone, format!("p{at}.{n}"), is_over, refused))
    }));
    let enough = async {
        let deadline = Instant::now() + 2 * PATIENCE;
        while server.metric(SHED) < 500 || refused.get() == 0 {
            assert!(Instant::now() < deadline, "{} shed, {} refused", server.metric(SHED), refused.get());
            sleep(Duration::from_millis(200)).await;
        }
        is_over.set(true);
    };
    slowed_down(&server, backend.beside(async { tokio::join!(crowd, enough) })).await;
    assert_eq!(server.metric("authepy_refusals_total{reason=\"overloaded\"}"), 0, "a test key's count apart");
    println!("{} datagrams shed, {} requests refused", server.metric(SHED), refused.get());

    // Whoever was not heard tries again as seldom as he had been silent for.
    let again = phones.iter().enumerate().map(|(at, phone)| async move {
        while phone
            .post("/v1/verifications", &json!({"recipient": format!("a{at}@example.com")}))
            .await
            .status
            != 202
        {
            sleep(Duration::from_millis(500)).await;
        }
    });
    assert!(timeout(PATIENCE, join_all(again)).await.is_ok(), "somebody is still not heard");
    // A lane tells its figures twice a second.
    let told = Duration::from_secs(1);
    sleep(told).await;
    let shed = server.metric(SHED);
    join_all(phones.iter().enumerate().map(|(at, phone)| phone.issue_owned(format!("b{at}@example.com"))))
        .await;
    sleep(told).await;
    assert_eq!(server.metric(SHED), shed, "there is no overload any more");
}
