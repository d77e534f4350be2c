//! The program from outside: it passes a server that keeps the contract, and its exit code tells on one that
//! does not.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation in a test is the point")]
use std::process::{Command, Output};

use serde_json::Value;

mod stand_in;
use stand_in::{Fault, StandIn};

fn wave(server: &StandIn, more: &[&str]) -> Output {
    let ready = serde_json::json!({"h3": server.address, "ca": server.ca, "secret_key": "ath_sec_test_x"});
    let file = server.dir().join("ready.json");
    std::fs::write(&file, ready.to_string()).unwrap();
    Command::new(env!("CARGO_BIN_EXE_authepy-loadtest"))
        .args(["signup-wave", "--rate", "200", "--seconds", "1", "--connections", "4", "--json", "--target"])
        .arg(file)
        .args(more)
        .output()
        .unwrap()
}

fn report(output: &Output) -> Value {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let last = stdout.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|_| panic!("{output:?}"))
}

/// The run failed, and for this reason.
fn sings(fault: Fault, kind: &str) {
    let output = wave(&StandIn::start(fault), &[]);
    let report = report(&output);
    assert_eq!(output.status.code(), Some(1), "{report}");
    assert!(report["wrong"][kind].as_u64().is_some_and(|count| count > 0), "{report}");
    assert_eq!(report["holds"], false);
}

#[test]
fn a_server_that_keeps_the_contract_passes() {
    let output = wave(&StandIn::start(Fault::None), &["--peers", "4", "--threads", "2"]);
    let report = report(&output);
    assert_eq!(output.status.code(), Some(0), "{report}");
    assert_eq!(report["signups"]["started"], report["signups"]["completed"]);
    assert_eq!(report["answers"]["wrong"], 0);
    assert_eq!(report["latency_us"]["connect"]["count"], 4);
    assert_eq!(report["latency_us"]["sign_up"]["count"], report["signups"]["completed"]);
    assert!(report["latency_us"]["replay"]["count"].as_u64().unwrap() > 0, "{report}");
}

#[test]
fn canary_a_code_that_works_twice() {
    sings(Fault::ReplayWorks, "replay: status 200 for 404");
}

#[test]
fn canary_a_wrong_code_that_costs_nothing() {
    sings(Fault::FreeGuesses, "wrong code: member attempts_remaining");
}

#[test]
fn canary_a_refusal_without_an_end() {
    sings(Fault::RefusesForGood, "issue: header retry-after");
}

#[test]
fn canary_a_request_without_an_answer() {
    sings(Fault::Resets, "issue: stream failed");
}

#[test]
fn a_refusal_in_the_form_of_the_contract_is_counted_and_right() {
    let output = wave(&StandIn::start(Fault::Refuses), &[]);
    let report = report(&output);
    assert_eq!(output.status.code(), Some(0), "{report}");
    assert!(report["refused"]["issue: 429 rate-limited peer"].as_u64().unwrap() > 10, "{report}");
}

#[test]
fn above_the_cap_sign_ups_are_reported_not_delayed() {
    let output = wave(&StandIn::start(Fault::Slow), &["--in-flight", "20"]);
    let report = report(&output);
    assert_eq!(output.status.code(), Some(0), "{report}");
    assert!(report["signups"]["not_started"].as_u64().unwrap() > 100, "{report}");
    assert!(report["latency_us"]["own_lag"]["p50"].as_u64().unwrap() < 100_000, "{report}");
}

#[test]
fn a_foreign_target_is_refused_before_anything_is_sent() {
    let server = StandIn::start(Fault::None);
    let output = wave(&server, &["--h3", "192.0.2.1:443"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not a loopback address"));
}
