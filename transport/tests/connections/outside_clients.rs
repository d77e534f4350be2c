//! Clients that are not ours each sign up: aioquic and libcurl over HTTP/3, Debian's curl over TCP, and
//! Chromium over both, from a page that is listed and from one that is not.
//!
//! They live in the virtual environment that `.ci/test` makes; without it these tests fail and say so.

use std::process::Command;

use authepy_testkit::DevServer;
use authepy_testkit::script::report;
use serde_json::{Value, json};

#[test]
fn aioquic_signs_up() {
    let server = DevServer::start(&[]);
    let heard = report("signup_aioquic.py", &server, &["aioquic@example.com"]);
    assert_eq!(heard, json!({"status": 200, "valid": true, "again": 404}));
}

#[test]
fn libcurl_signs_up() {
    let server = DevServer::start(&[]);
    let heard = report("signup_curl.py", &server, &["curl@example.com"]);
    assert_eq!(heard, json!({"status": 200, "valid": true, "again": 404}));
}

/// One request by Debian's curl; what it prints: all fields, the body, and the version it spoke.
fn curl(server: &DevServer, version: &str, path: &str, body: &Value) -> String {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--include", "--max-time", "20", version])
        .args(["--cacert", server.text("ca"), "--write-out", "\nversion %{http_version}"])
        .args(["--header", &format!("Authorization: Bearer {}", server.text("secret_key"))])
        .args(["--header", "Content-Type: application/json", "--data", &body.to_string()])
        .arg(format!("https://localhost:{}{path}", server.tcp().port()))
        .output()
        .unwrap_or_else(|_| panic!("curl is not installed: run the tests through .ci/test"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn debians_curl_signs_up_over_tcp_and_is_shown_the_way_to_http3() {
    let server = DevServer::start(&[]);
    for (option, status, version) in [("--http2", "HTTP/2 ", "2"), ("--http1.1", "HTTP/1.1 ", "1.1")] {
        let recipient = format!("curl{version}@example.com");
        let issued = curl(&server, option, "/v1/verifications", &json!({"recipient": recipient}));
        assert!(issued.starts_with(&format!("{status}202")), "{issued}");
        assert!(issued.ends_with(&format!("\nversion {version}")), "{issued}");
        let alt_svc = format!("alt-svc: h3=\":{}\"; ma=86400\r\n", server.h3().port());
        for field in [&alt_svc, "strict-transport-security: max-age=63072000\r\n"] {
            assert!(issued.contains(field), "{field} in {issued}");
        }
        let location = issued.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
        let code = json!({"code": server.code_for(&recipient)});
        let path = format!("{location}/check");
        assert!(curl(&server, option, &path, &code).contains("\"valid\":true"));
        assert!(curl(&server, option, &path, &code).starts_with(&format!("{status}404")));
    }
    assert_eq!(server.metric("authepy_connections_accepted_total{protocol=\"quic\"}"), 0);
}

/// The development key lists `localhost`, which is exactly that host.
const LISTED: &str = "localhost";
const UNLISTED: &str = "other.localhost";

/// What a page of this host could do over this protocol, and that it was this protocol.
fn browse(server: &DevServer, host: &str, wire: &str) -> Value {
    let heard = report("signup_chromium.py", server, &["chromium@example.com", host, wire]);
    let over_quic = server.metric("authepy_connections_accepted_total{protocol=\"quic\"}");
    let over_tcp = server.metric("authepy_connections_accepted_total{protocol=\"tcp\"}");
    match wire {
        // The script itself read the certificate over TCP, once.
        "quic" => assert!(over_quic >= 1 && over_tcp <= 1, "quic {over_quic}, tcp {over_tcp}: {heard}"),
        _ => assert!(over_quic == 0 && over_tcp >= 1, "quic {over_quic}, tcp {over_tcp}: {heard}"),
    }
    assert!(
        server.metric("authepy_requests_total{route=\"preflight\",outcome=\"ok\"}") >= 1,
        "at least the preflight came"
    );
    heard
}

/// It signs up, reads the fields the contract exposes and no others, and learns how long to wait.
fn a_listed_page_signs_up_over(wire: &str) {
    let server = DevServer::start(&["limits.recipient.issue=1/10m"]);
    let expected = json!({"status": 200, "valid": true, "again": 404, "located": true, "identified": true,
        "kept": null, "limited": 429, "waits": true});
    assert_eq!(browse(&server, LISTED, wire), expected);
}

/// The preflight has no `Access-Control-Allow-Origin`: the page's own browser keeps the request back.
fn an_unlisted_page_is_kept_out_over(wire: &str) {
    let server = DevServer::start(&[]);
    assert_eq!(browse(&server, UNLISTED, wire), json!({"fault": "TypeError: Failed to fetch"}));
    assert_eq!(server.metric("authepy_shard_messages_total"), 0);
    assert_eq!(server.metric("authepy_mail_total{outcome=\"sent\"}"), 0);
}

#[test]
fn a_listed_page_in_chromium_signs_up_over_quic() {
    a_listed_page_signs_up_over("quic");
}

#[test]
fn a_listed_page_in_chromium_signs_up_over_tcp() {
    a_listed_page_signs_up_over("tcp");
}

#[test]
fn an_unlisted_page_in_chromium_is_kept_out_over_quic() {
    an_unlisted_page_is_kept_out_over("quic");
}

#[test]
fn an_unlisted_page_in_chromium_is_kept_out_over_tcp() {
    an_unlisted_page_is_kept_out_over("tcp");
}
