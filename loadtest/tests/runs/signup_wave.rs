//! The program from outside: it passes a server that keeps the contract, and its exit code tells on one that
//! does not.

use std::process::{Command, Output};

use serde_json::Value;

use super::stand_in::{Fault, StandIn};

fn wave(server: &StandIn, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_authepy-loadtest"))
        .args(["run", "signup-wave", "--seconds", "1", "--set", "crowd.rate=200", "--set", "crowd.peers=40"])
        .args(["--set", "crowd.replay_share=0.2", "--json", "--test-keys", "--target"])
        .arg(server.ready_file())
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
    assert!(report["parts"]["crowd"]["wrong"][kind].as_u64().is_some_and(|count| count > 0), "{report}");
    assert_eq!(report["holds"], false);
}

#[test]
fn a_server_that_keeps_the_contract_passes() {
    let output = wave(&StandIn::start(Fault::None), &["--set", "threads=2"]);
    let report = report(&output);
    assert_eq!(output.status.code(), Some(0), "{report}");
    let crowd = &report["parts"]["crowd"];
    assert_eq!(crowd["stories"]["started"], crowd["stories"]["completed"]);
    assert_eq!(report["answers"]["wrong"], 0);
    assert_eq!(crowd["latency_us"]["connect"]["count"], 40);
    assert_eq!(crowd["latency_us"]["sign_up"]["count"], crowd["stories"]["completed"]);
    assert!(crowd["latency_us"]["replay"]["count"].as_u64().unwrap() > 0, "{report}");
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
    assert!(report["parts"]["crowd"]["refused"]["issue: 503 overloaded"].as_u64().unwrap() > 10, "{report}");
}

#[test]
fn above_the_cap_sign_ups_are_reported_not_delayed() {
    let output = wave(&StandIn::start(Fault::Slow), &["--set", "in_flight=20"]);
    let report = report(&output);
    assert_eq!(output.status.code(), Some(0), "{report}");
    assert!(report["parts"]["crowd"]["stories"]["not_started"].as_u64().unwrap() > 100, "{report}");
}

#[test]
fn a_foreign_target_is_refused_before_anything_is_sent() {
    let server = StandIn::start(Fault::None);
    let foreign = server.ready().replace("127.0.0.1:", "192.0.2.1:");
    std::fs::write(server.ready_file(), foreign).unwrap();
    let output = wave(&server, &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not a loopback address"));
}

#[test]
fn a_printed_profile_is_the_run_again() {
    let server = StandIn::start(Fault::None);
    let program = env!("CARGO_BIN_EXE_authepy-loadtest");
    let printed = Command::new(program)
        .args(["profile", "signup-wave", "--seed", "9", "--seconds", "0.5", "--set", "crowd.peers=50"])
        .output()
        .unwrap();
    let file = server.ready_file().with_file_name("profile.toml");
    std::fs::write(&file, &printed.stdout).unwrap();
    let again = || {
        let output = Command::new(program)
            .args(["run", "--json", "--test-keys", "--profile"])
            .args([&file, std::path::Path::new("--target"), &server.ready_file()])
            .output()
            .unwrap();
        report(&output)
    };
    let (first, second) = (again(), again());
    assert_eq!(first["profile"]["seed"], 9);
    assert_eq!(first["profile"], second["profile"]);
    assert_eq!(first["parts"]["crowd"]["stories"]["started"], second["parts"]["crowd"]["stories"]["started"]);
}

#[test]
fn the_report_is_one_file_that_needs_no_other() {
    let server = StandIn::start(Fault::None);
    let file = server.ready_file().with_file_name("report.html");
    let output = wave(&server, &["--html", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let page = std::fs::read_to_string(&file).unwrap();
    assert!(page.matches("<svg").count() >= 4 && page.contains("</html>"));
    for foreign in ["http://", "https://", "<script src", "<link", "@import", "url("] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}
