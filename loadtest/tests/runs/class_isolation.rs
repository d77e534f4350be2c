//! The class-isolation scenario from outside, against a server that sheds or misleads its flood.

use std::process::{Command, Output};

use serde_json::Value;

use super::stand_in::{Fault, StandIn};

fn isolation(server: &StandIn) -> (Output, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_authepy-loadtest"))
        .args(["class-isolation", "--rate", "50", "--seconds", "1", "--flood-rate", "200"])
        .args(["--flood-connections", "8", "--json", "--target"])
        .arg(server.ready_file())
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let report = serde_json::from_str(stdout.lines().last().unwrap_or_default());
    let report = report.unwrap_or_else(|_| panic!("{output:?}"));
    (output, report)
}

#[test]
fn both_phases_are_reported_with_their_ratio_and_the_floods_refusals_by_code() {
    let (output, report) = isolation(&StandIn::start(Fault::Sheds));
    assert_eq!(output.status.code(), Some(0), "{report}");
    for phase in ["alone", "flooded"] {
        let backend = &report[phase]["parts"]["crowd"];
        assert_eq!(backend["stories"]["started"], backend["stories"]["completed"], "{phase}: {backend}");
        assert!(backend["latency_us"]["issue"]["p99"].as_u64().unwrap() > 0, "{phase}");
        assert_eq!(backend["answers"]["refused"], 0, "{phase}");
    }
    assert!(
        report["flood"]["parts"]["crowd"]["refused"]["issue: 503 overloaded"].as_u64().unwrap() > 10,
        "{report}"
    );
    assert!(report["flood"]["answers"]["right"].as_u64().unwrap() > 10, "{report}");
    for quantile in ["p50", "p99"] {
        assert!(report["ratio"]["issue"][quantile].as_f64().unwrap() > 0.0, "{report}");
    }
}

#[test]
fn canary_a_flood_that_is_answered_wrongly() {
    let (output, report) = isolation(&StandIn::start(Fault::Scolds));
    assert_eq!(output.status.code(), Some(1), "{report}");
    assert!(
        report["flood"]["parts"]["crowd"]["wrong"]["issue: status 403 for 202"].as_u64().unwrap() > 0,
        "{report}"
    );
    assert_eq!(report["flooded"]["answers"]["wrong"], 0);
    assert_eq!(report["holds"], false);
}
