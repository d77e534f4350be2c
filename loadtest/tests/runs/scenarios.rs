//! Every scenario, small, against the real server: no wrong answer, and the refusals that the contract
//! promises. Counts only: this machine's speed proves nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The server beside the program under test; a test of the workspace builds both.
fn authepy() -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_authepy-loadtest")).with_file_name("authepy");
    assert!(binary.is_file(), "{} is missing: build the workspace", binary.display());
    binary
}

/// Runs a scenario with these knobs; it must hold. Returns its report.
fn holds(scenario: &str, seconds: &str, knobs: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_authepy-loadtest"));
    command.args(["run", scenario, "--seconds", seconds, "--json", "--start"]).arg(authepy());
    for knob in knobs {
        command.args(["--set", *knob]);
    }
    let output = command.output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let report: Value = serde_json::from_str(stdout.lines().last().unwrap_or_default())
        .unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(output.status.code(), Some(0), "{stdout}");
    assert_eq!(report["answers"]["wrong"], 0);
    for figures in report["agreed"].as_object().unwrap().values() {
        assert_eq!(figures[0], figures[1], "{report}");
    }
    report
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

/// How often a role heard this refusal.
fn refused(report: &Value, role: &str, label: &str) -> u64 {
    number(&report["parts"][role]["refused"][label])
}

/// How many answers of this step were right.
fn right(report: &Value, role: &str, step: &str) -> u64 {
    number(&report["parts"][role]["latency_us"][step]["count"])
}

#[test]
fn a_wave_of_sign_ups_is_served_to_the_last() {
    let report = holds("signup-wave", "2", &["crowd.rate=100", "crowd.peers=100", "threads=2"]);
    let crowd = &report["parts"]["crowd"];
    assert!(number(&crowd["stories"]["started"]) > 100, "{crowd}");
    assert_eq!(crowd["stories"]["started"], crowd["stories"]["completed"]);
    assert_eq!(report["agreed"]["mails promised, mails found"][0], crowd["stories"]["started"]);
}

#[test]
fn a_crowd_of_new_phones_is_served_or_told_to_wait_and_the_canary_notices_nothing() {
    let report = holds("flash-crowd", "3", &["crowd.rate=20", "crowd.peers=300", "canary.peers=40"]);
    assert!(right(&report, "crowd", "right_code") > 50, "{report}");
    assert_eq!(report["parts"]["canary"]["success"], 1.0);
}

#[test]
fn no_more_guesses_are_compared_than_a_code_has_tries_and_codes_grow_after_twenty() {
    let knobs = ["guessers.rate=30", "guessers.inboxes=3", "guessers.burst=16", "canary.peers=40"];
    let report = holds("code-guessing", "3", &knobs);
    let issued = right(&report, "guessers", "issue");
    // Five mails for each of three inboxes, five tries each; who came too late was told so.
    assert_eq!(issued, 15, "{report}");
    assert_eq!(right(&report, "guessers", "replay"), issued, "the right code after the last try is refused");
    assert!(refused(&report, "guessers", "issue: 429 rate-limited recipient") > 10, "{report}");
    assert!(refused(&report, "guessers", "forged id: 429 rate-limited peer") > 10, "{report}");
}

#[test]
fn all_spellings_of_an_inbox_share_one_budget() {
    let knobs = ["mutators.rate=200", "mutators.inboxes=10", "canary.peers=40"];
    let report = holds("alias-mutation", "3", &knobs);
    assert_eq!(right(&report, "mutators", "issue"), 50, "five mails for each of ten inboxes: {report}");
    assert!(refused(&report, "mutators", "issue: 429 rate-limited recipient") > 200, "{report}");
    assert!(right(&report, "mutators", "forbidden") > 100, "{report}");
}

#[test]
fn a_foreign_page_is_refused_every_time_and_sends_no_mail() {
    let report = holds("origin-spoof", "3", &["spoofers.peers=5", "canary.peers=40"]);
    let spoofers = &report["parts"]["spoofers"];
    // 30 denials for each of five peers, and then 429.
    assert_eq!(right(&report, "spoofers", "forbidden"), 150, "{report}");
    assert!(refused(&report, "spoofers", "forbidden: 429 rate-limited peer") > 300, "{report}");
    assert_eq!(number(&spoofers["answers"]["right"]), 150);
    let mails = &report["agreed"]["mails promised, mails found"];
    assert_eq!(mails[1], report["parts"]["canary"]["stories"]["started"], "the canary's alone");
}

#[test]
fn every_address_of_a_rotating_attacker_meets_each_window_at_its_count_and_is_banned() {
    let knobs = ["server.bans.strikes=3/10m", "rotators.rate=2", "canary.peers=40"];
    let report = holds("ip-rotation", "3", &knobs);
    let addresses = number(&report["parts"]["rotators"]["stories"]["completed"]);
    assert!(addresses > 0, "{report}");
    assert_eq!(right(&report, "rotators", "issue"), 20 * addresses);
    assert_eq!(right(&report, "rotators", "forged_id"), 30 * addresses);
    assert_eq!(refused(&report, "rotators", "issue: 429 rate-limited peer"), 2 * addresses);
    assert_eq!(refused(&report, "rotators", "knock: no answer (banned)"), addresses);
    assert_eq!(report["agreed"]["peers gone silent, authepy_bans_active"][0], addresses);
}

#[test]
fn an_inbox_is_bombed_with_its_budget_of_mails_and_no_more() {
    let report = holds("bombing", "3", &["bombers.inboxes=2", "bombers.peers=100", "canary.peers=40"]);
    assert_eq!(right(&report, "bombers", "issue"), 10, "five mails for each of two inboxes: {report}");
    assert!(refused(&report, "bombers", "issue: 429 rate-limited recipient") > 400, "{report}");
}

#[test]
fn requests_without_an_end_are_ended() {
    let knobs = ["server.connections.deadline=1s", "slow.rate=10", "canary.peers=40"];
    let report = holds("slow-clients", "2", &knobs);
    let slow = &report["parts"]["slow"]["stories"];
    assert!(number(&slow["started"]) > 5, "{slow}");
    assert_eq!(slow["started"], slow["completed"]);
}

#[test]
fn every_connection_survives_a_change_of_port_and_of_network() {
    for lanes in [1, 8] {
        let lanes = format!("server.engine.shards={lanes}");
        let report = holds("migrating-phones", "2", &["migrants.rate=15", "migrants.peers=50", &lanes]);
        let stories = &report["parts"]["migrants"]["stories"];
        assert!(number(&stories["started"]) > 10, "{stories}");
        assert_eq!(stories["started"], stories["completed"]);
    }
}

#[test]
fn on_launch_day_everything_at_once_holds() {
    let knobs = ["server.bans.strikes=3/10m", "server.connections.deadline=1s", "rotators.rate=1"];
    let report = holds("mixed-launch-day", "4", &knobs);
    assert_eq!(report["parts"].as_object().unwrap().len(), 9);
    assert!(report["parts"]["canary"]["success"].as_f64().unwrap() >= 0.99);
}
