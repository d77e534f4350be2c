//! The operator's word on a running server: who is banned, and which domains are disposable.

mod bans;
mod catalog;
mod lifted;
mod relays;

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use authepy_testkit::DevServer;
use serde_json::Value;

const BANS: &str = "/admin/v1/bans";
const CATALOG: &str = "/admin/v1/catalog";
/// Far longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a command against this server.
fn run(server: &DevServer, words: &[&str]) -> Output {
    Command::new(authepy_testkit::binary())
        .args(words)
        .args(["--admin", server.text("admin")])
        .env("AUTHEPY_ADMIN_TOKEN", server.text("admin_token"))
        .output()
        .unwrap()
}

/// Runs one that must succeed; returns the JSON it prints.
fn told(server: &DevServer, words: &[&str]) -> Value {
    let output = run(server, &[words, &["--json"]].concat());
    assert!(output.status.success(), "{words:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{words:?}: {output:?}"))
}

fn exit_code(server: &DevServer, words: &[&str]) -> i32 {
    let output = run(server, words);
    assert!(output.stdout.is_empty() || output.status.success(), "{words:?}: {output:?}");
    output.status.code().unwrap()
}

/// What `catalog lookup` says of a domain.
fn class_and_refused(server: &DevServer, domain: &str) -> (String, bool) {
    let said = told(server, &["catalog", "lookup", domain]);
    (said["class"].as_str().unwrap().to_owned(), said["refused"].as_bool().unwrap())
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
