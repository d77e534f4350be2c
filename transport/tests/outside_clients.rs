//! HTTP/3 clients that are not ours each sign up: aioquic, libcurl, and Chromium.
//!
//! They live in the virtual environment that `.ci/test` makes; without it these tests fail and say so.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is the point")]

mod common;

use std::path::Path;
use std::process::Command;

use common::DevServer;
use serde_json::{Value, json};

/// Runs one script against a fresh server and returns what it reports.
fn sign_up(script: &str, recipient: &str, server: &DevServer) -> Value {
    let clients = std::env::var("AUTHEPY_CLIENTS").unwrap_or_else(|_| {
        panic!("AUTHEPY_CLIENTS is not set: run the tests through .ci/test, which installs the clients")
    });
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    let output = Command::new(format!("{clients}/bin/python"))
        .arg(scripts.join(script))
        .args([server.ready.to_string().as_str(), recipient])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().last().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    serde_json::from_str(line).unwrap()
}

fn expected() -> Value {
    json!({"status": 200, "valid": true, "again": 404})
}

#[test]
fn aioquic_signs_up() {
    let server = DevServer::start(&[]);
    assert_eq!(sign_up("signup_aioquic.py", "aioquic@example.com", &server), expected());
}

#[test]
fn libcurl_signs_up() {
    let server = DevServer::start(&[]);
    assert_eq!(sign_up("signup_curl.py", "curl@example.com", &server), expected());
}

#[test]
fn chromium_signs_up_over_quic_from_a_listed_origin() {
    let server = DevServer::start(&[]);
    assert_eq!(sign_up("signup_chromium.py", "chromium@example.com", &server), expected());
    let over_quic = server.metric("authepy_connections_accepted_total{protocol=\"quic\"}");
    // The script itself read the certificate over TCP, once; the browser used QUIC for everything.
    let over_tcp = server.metric("authepy_connections_accepted_total{protocol=\"tcp\"}");
    assert!(over_quic >= 1 && over_tcp <= 1, "quic {over_quic}, tcp {over_tcp}");
}
