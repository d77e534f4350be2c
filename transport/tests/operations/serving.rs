//! `authepy serve` with TLS files and an SMTP relay, and `authepy demo`, as an operator runs them.

use std::process::Command;

use authepy_testkit::phone::Phone;
use authepy_testkit::sink::Sink;
use authepy_testkit::{DevServer, code_in};
use serde_json::json;

#[tokio::test]
async fn serve_mails_through_a_relay_and_ends_on_sigterm() {
    let sink = Sink::start();
    let folder = tempfile::TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let store = format!("sqlite://{}", path("authepy.db"));
    let secret = authepy_testkit::operator::new_key(&store, "shop", &["--class", "secret"])["key"].clone();
    let secret = secret.as_str().unwrap();
    let ca = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(path("cert.pem"), ca.cert.pem()).unwrap();
    std::fs::write(path("key.pem"), ca.signing_key.serialize_pem()).unwrap();
    let config = format!(
        "listen = [\"127.0.0.1:0\"]\nadmin.listen = \"127.0.0.1:0\"\nstore.url = \"{}\"\n\
         tls.cert = \"{}\"\ntls.key = \"{}\"\n{}",
        store,
        path("cert.pem"),
        path("key.pem"),
        sink.config()
    );
    std::fs::write(path("authepy.toml"), config).unwrap();
    let mut server = DevServer::run(&["serve", "--json", "--config", &path("authepy.toml")]);
    server.ready["ca"] = json!(path("cert.pem"));

    let phone = Phone::connect_with(&server, secret).await;
    assert_eq!(phone.get("/readyz").await.status, 200);
    let id = phone.issue("Ada+relay@gmail.com").await;
    let mail = sink.mail_to("Ada+relay@gmail.com");
    let heard = phone.check(&id, &code_in(&mail)).await;
    assert_eq!(heard.body["valid"], true, "{:?}", heard.body);
    let example = phone.post("/v1/verifications", &json!({"recipient": "ada@mail.example"})).await;
    assert_eq!(example.code(), (422, "invalid-recipient"), "reserved domains are for development");
    assert_eq!(server.end("-TERM"), Some(0));
}

#[test]
fn the_demo_holds_every_step() {
    let output = Command::new(authepy_testkit::binary()).arg("demo").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    for step in ["issue", "mail", "guess", "check", "receipt", "replay", "alias", "bot", "origin", "done"] {
        assert!(text.lines().any(|line| line.starts_with(step)), "{step} in {text}");
    }
}

#[test]
fn wrong_settings_and_wrong_words_end_with_their_exit_codes() {
    for (arguments, code) in [
        (vec!["dev", "--set", "codes.lifetime=601s"], 78),
        (vec!["dev", "--set", "limits.peers.issue=off"], 78),
        (vec!["serve", "--config", "/nonexistent.toml"], 78),
        (vec!["fly"], 2),
        (vec!["dev", "--listen", "localhost"], 2),
        (vec!["dev", "--json", "--listen", "192.0.2.1:0"], 69),
    ] {
        let output = Command::new(authepy_testkit::binary()).args(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

/// Issued codes and addresses never reach the disk except as mail, nor the log.
#[tokio::test]
async fn the_log_and_the_folder_hold_no_secret() {
    let folder = tempfile::TempDir::new().unwrap();
    let dir = folder.path().to_str().unwrap();
    let arguments = ["dev", "--json", "--listen", "127.0.0.1:0", "--dir", dir, "--set", "log.level=trace"];
    let server = DevServer::run(&arguments);
    let phone = Phone::connect(&server).await;
    // Ten digits: six would turn up among a trace log's numbers by chance.
    let body = json!({"recipient": "canary.local.part@example.com", "code_length": 10});
    let id = phone.post("/v1/verifications", &body).await.body["id"].as_str().unwrap().to_owned();
    let code = server.code_for("canary.local.part@example.com");
    assert_eq!(phone.check(&id, &code).await.body["valid"], true);
    // A line for each answer at this level.
    server.log_says("\"answered\"", 2);
    let log = server.log();
    let kept: Vec<u8> = ["authepy.db", "authepy.db-wal"]
        .iter()
        .flat_map(|file| std::fs::read(folder.path().join(file)).unwrap_or_default())
        .collect();
    let kept = String::from_utf8_lossy(&kept);
    assert!(kept.contains("mybrand.com"), "the store is there");
    for secret in
        [&id[4..], "canary.local.part", server.text("secret_key"), server.text("restricted_key"), &code]
    {
        assert!(!log.contains(secret) && !kept.contains(secret), "a secret of {} characters", secret.len());
    }
}
