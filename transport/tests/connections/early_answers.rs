//! Refusals that come while the client still sends: Debian's curl sees every one of them.

use std::process::Command;

use authepy_testkit::DevServer;
use authepy_testkit::NO_LIMITS;

/// One request by curl, with a body of this size: its exit code, and what it prints.
fn curl(server: &DevServer, version: &str, more: &[&str], body: &str) -> (Option<i32>, String) {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20", version, "--cacert", server.text("ca")])
        .args(["--header", "Content-Type: application/json", "--data-binary", body])
        .args(["--write-out", "\n%{http_code} %{http_version}"])
        .args(more)
        .arg(format!("https://localhost:{}/v1/verifications", server.tcp().port()))
        .output()
        .unwrap_or_else(|_| panic!("curl is not installed: run the tests through .ci/test"));
    let said = [&output.stdout[..], &output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn curl_sees_every_early_refusal_over_tcp() {
    let server = DevServer::start(&NO_LIMITS);
    let restricted = format!("Authorization: Bearer {}", server.text("restricted_key"));
    let secret = format!("Authorization: Bearer {}", server.text("secret_key"));
    let small = r#"{"recipient":"ada@gmail.com","purpose":"login"}"#;
    let large = format!("{{\"recipient\":\"ada@gmail.com\",\"x\":\"{}\"}}", "y".repeat(7_000));
    let too_large = "z".repeat(9_000);
    let elsewhere: &[&str] = &["--header", &restricted, "--header", "Origin: https://elsewhere.com"];
    let nobody: &[&str] = &["--header", "Authorization: Bearer rk_live_ath_nobody"];
    let text: &[&str] = &["--header", &secret, "--header", "Content-Encoding: gzip"];
    let known: &[&str] = &["--header", &secret];
    for (version, number) in [("--http2", "2"), ("--http1.1", "1.1")] {
        for (tries, more, body, status) in [
            (100, elsewhere, small, 403),
            (30, elsewhere, &*large, 403),
            (30, nobody, small, 401),
            (30, text, small, 415),
            (30, known, &*too_large, 413),
            (30, nobody, &*too_large, 401),
        ] {
            for n in 0..tries {
                let (code, said) = curl(&server, version, more, body);
                assert!(said.ends_with(&format!("\n{status} {number}")), "{n}: {code:?} {said}");
                assert_eq!(code, Some(0), "{n}: {said}");
            }
        }
    }
}

#[test]
fn a_client_that_waits_for_leave_to_send_is_told_at_once() {
    let server = DevServer::start(&NO_LIMITS);
    let expects: &[&str] = &["--header", "Expect: 100-continue", "--expect100-timeout", "10"];
    let began = std::time::Instant::now();
    let (code, said) = curl(&server, "--http1.1", expects, r#"{"recipient":"ada@gmail.com"}"#);
    assert!(said.ends_with("\n401 1.1") && code == Some(0), "{code:?} {said}");
    assert!(began.elapsed() < std::time::Duration::from_secs(5));
}
