//! The oracle's canary: a server that signs anybody up, keeps no limit and knows no origin must fail every
//! attack, and for the reason of the attack.

use std::process::Command;

use serde_json::Value;

use super::stand_in::{Fault, StandIn};

/// Runs an attack against the stand-in; it must fail. Returns the attackers' findings.
fn fails(scenario: &str, role: &str, knobs: &[&str]) -> Value {
    let server = StandIn::start(Fault::None);
    let mut command = Command::new(env!("CARGO_BIN_EXE_authepy-loadtest"));
    command.args(["run", scenario, "--seconds", "1", "--set", "canary.peers=20", "--json", "--test-keys"]);
    for knob in knobs {
        command.args(["--set", *knob]);
    }
    let output = command.arg("--target").arg(server.ready_file()).output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let report: Value = serde_json::from_str(stdout.lines().last().unwrap_or_default())
        .unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    assert_eq!(
        report["parts"]["canary"]["answers"]["wrong"], 0,
        "the canary is served as it should be: {stdout}"
    );
    report["parts"][role]["wrong"].clone()
}

#[test]
fn a_server_without_budgets_fails_bombing() {
    let wrong = fails("bombing", "bombers", &[]);
    assert!(wrong["issue: a mail past limits.recipient.issue"].as_u64().unwrap() > 10, "{wrong}");
}

#[test]
fn a_server_that_takes_every_spelling_for_another_inbox_fails_alias_mutation() {
    let wrong = fails("alias-mutation", "mutators", &[]);
    assert!(wrong["issue: a mail past limits.recipient.issue"].as_u64().unwrap() > 0, "{wrong}");
    assert!(wrong["forbidden: status 202 for 422"].as_u64().unwrap() > 10, "{wrong}");
}

#[test]
fn a_server_that_lets_every_page_in_fails_origin_spoof() {
    let wrong = fails("origin-spoof", "spoofers", &[]);
    assert!(wrong["forbidden: status 202 for 403"].as_u64().unwrap() > 50, "{wrong}");
    assert!(wrong["forbidden: readable by a foreign page"].as_u64().unwrap() > 50, "{wrong}");
}

#[test]
fn a_server_without_windows_and_bans_fails_ip_rotation() {
    let wrong = fails("ip-rotation", "rotators", &["rotators.rate=3"]);
    assert!(wrong["issue: 202 for one past limits.peer.issue"].as_u64().unwrap() > 0, "{wrong}");
    assert!(wrong["forged id: 404 for one past limits.peer.denied"].as_u64().unwrap() > 0, "{wrong}");
}

#[test]
fn a_server_that_gives_a_try_away_twice_fails_code_guessing() {
    let wrong = fails("code-guessing", "guessers", &[]);
    assert!(wrong["guess: one try given away twice"].as_u64().unwrap() > 0, "{wrong}");
    assert!(wrong["replay: status 200 for 404"].is_null(), "no code is exhausted here: {wrong}");
}

#[test]
fn a_server_that_waits_forever_fails_slow_clients() {
    let wrong = fails("slow-clients", "slow", &["server.connections.deadline=100ms", "slow.rate=5"]);
    assert!(wrong["stall: held past connections.deadline"].as_u64().unwrap() > 0, "{wrong}");
}
