//! A panic in a running server (A60), brought about by `AUTHEPY_FAULT` and SIGUSR1 (`transport/src/ground/fault.rs`).
#![cfg(debug_assertions)] // optimised builds have no way to do it

use std::time::{Duration, Instant};

use authepy_testkit::canary::Canary;
use authepy_testkit::phone::Phone;
use authepy_testkit::{DevServer, NO_LIMITS, PATIENCE};

/// What a panic says in these tests; an address, as a slice's or a parser's panic would quote.
const SAID: &str = "eve@example.com";

fn server(fault: &str) -> DevServer {
    let mut arguments = vec!["dev", "--json", "--listen", "127.0.0.1:0", "--set", "engine.shards=2"];
    NO_LIMITS.iter().for_each(|setting| arguments.extend(["--set", *setting]));
    DevServer::run_with(&[("AUTHEPY_FAULT", fault)], &arguments)
}

async fn ended(server: &mut DevServer) -> Option<i32> {
    let deadline = Instant::now() + PATIENCE;
    while server.is_running() {
        assert!(Instant::now() < deadline, "the process goes on: {}", server.log());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.exit_code()
}

/// The log has the place and nothing of what was said; returns it for the drop's own look at it.
fn told_without_words(server: &DevServer) {
    let log = server.log();
    assert!(log.contains("panicked") && log.contains(".rs:"), "{log}");
    assert!(!log.contains(SAID), "{log}");
}

#[tokio::test]
async fn a_shard_that_panics_verifies_nobody_while_the_others_serve_and_then_all_is_over() {
    let mut server = server("shard:1");
    let phone = Phone::connect_with(&server, server.text("secret_test_key")).await;
    let issues = (0..40).map(|n| phone.issue_owned(format!("user{n}@gmail.com")));
    let ids = futures_util::future::join_all(issues).await;

    server.signal("-USR1");
    server.log_says("panicked", 1);
    let began = Instant::now();
    // The log has the place of a panic before its end has turned readiness red.
    while server.readiness() == Some(200) {
        assert!(began.elapsed() < PATIENCE, "still green");
        tokio::task::yield_now().await;
    }
    // Half a second, in which the other shard serves; all at once, as machines are slow.
    let wrong = futures_util::future::join_all(ids.iter().map(|id| phone.check(id, "111111")));
    let wrong: Vec<_> =
        wrong.await.iter().map(|heard| (heard.code().0, heard.body["valid"].clone())).collect();
    let right = futures_util::future::join_all(ids.iter().map(|id| phone.check(id, "000000")));
    let right: Vec<_> = right.await;
    let took = began.elapsed();
    assert!(wrong.iter().all(|(_, valid)| valid != true), "{wrong:?}");
    let served = wrong.iter().filter(|(status, valid)| *status == 200 && *valid == false).count();
    let refused = wrong.iter().filter(|(status, _)| *status == 503).count();
    assert!(
        served > 0 && refused > 0 && served + refused == ids.len(),
        "{served} and {refused} of {wrong:?}"
    );
    for (heard, (status, _)) in right.iter().zip(&wrong) {
        let expected = if *status == 200 { (200, "") } else { (503, "not-ready") };
        assert_eq!(heard.code(), expected, "the same shard says the same; after {took:?}");
        assert_eq!(heard.body["valid"] == true, *status == 200);
    }
    assert_eq!(ended(&mut server).await, Some(70));
    println!("from the panic to the end of the process: {:?}", began.elapsed());
    told_without_words(&server);
    server.forget_panics();
}

#[tokio::test]
async fn a_lane_that_can_not_go_on_ends_the_process() {
    let mut server = server("vital:0");
    assert_eq!(server.readiness(), Some(200));
    server.signal("-USR1");
    server.log_says("panicked", 1);
    assert_eq!(ended(&mut server).await, Some(70));
    told_without_words(&server);
    server.forget_panics();
}

#[tokio::test]
async fn a_task_of_one_connection_that_panics_is_its_own_loss() {
    let server = server("task:0");
    let canary = Canary::with_mail(&server, "task").await;
    canary
        .beside(async {
            for n in 1..=20 {
                server.signal("-USR1");
                server.log_says("panicked", n);
                assert_eq!(server.readiness(), Some(200));
            }
        })
        .await;
    told_without_words(&server);
    server.forget_panics();
}
