//! A whole server and a real Postfix: what is mailed, what is refused, and a relay that is restarted.

use authepy_testkit::operator::new_key;
use authepy_testkit::phone::{Phone, Wire};
use authepy_testkit::postfix::Postfix;
use authepy_testkit::serve::{Served, Site};
use serde_json::json;
use tempfile::TempDir;

/// A server whose only provider is this relay, and a phone with a secret key. Its `outbox` is the Maildir of
/// the relay.
async fn with_relay() -> (Postfix, Served, Phone, TempDir) {
    let folder = TempDir::new().unwrap();
    let certificate = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let [pem, key_pem] = ["relay.pem", "relay.key"].map(|name| folder.path().join(name));
    std::fs::write(&pem, certificate.cert.pem()).unwrap();
    std::fs::write(&key_pem, certificate.signing_key.serialize_pem()).unwrap();
    let relay = Postfix::start(&pem, &key_pem);
    let store = Site::sqlite(&folder);
    let key = new_key(&store, "shop", &["--class", "secret"]);
    let config = format!(
        "[[delivery]]\nname = \"postfix\"\nkind = \"smtp\"\nurl = \"smtp://127.0.0.1:{}?tls=required\"\n\
         from = \"no-reply@mybrand.com\"\nca_file = \"{}\"\n",
        relay.port,
        pem.display()
    );
    let mut server = Site::new(&store, &config).serve();
    server.ready["outbox"] = json!(relay.maildir());
    let phone = Phone::over(Wire::H3, &server).await.with_key(key["key"].as_str().unwrap());
    (relay, server, phone, folder)
}

fn mails(server: &Served, outcome: &str) -> u64 {
    server.metric(&format!("authepy_mail_total{{outcome=\"{outcome}\"}}"))
}

async fn until(mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + authepy_testkit::PATIENCE;
    while !holds() {
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_arrives_through_a_real_relay_and_what_it_does_not_relay_fails() {
    let (relay, server, phone, _folder) = with_relay().await;
    let address = "Ada.Lovelace+x@gmail.com";
    let id = phone.issue(address).await;
    let code = server.code_for(address);
    assert_eq!(phone.check(&id, &code).await.body["valid"], true);
    let log = relay.log();
    assert!(
        log.contains("from=<no-reply@mybrand.com>") && log.contains("to=<Ada.Lovelace+x@gmail.com>"),
        "{log}"
    );
    phone.issue("eve@elsewhere.org").await;
    until(|| mails(&server, "failed") == 1).await;
    assert_eq!((mails(&server, "sent"), mails(&server, "maybe_sent")), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_is_restarted_gets_what_was_promised_meanwhile() {
    let (mut relay, server, phone, _folder) = with_relay().await;
    phone.issue("ada@gmail.com").await;
    until(|| mails(&server, "sent") == 1).await;
    relay.stop();
    let ids = [phone.issue("bob@gmail.com").await, phone.issue("eve@gmail.com").await];
    // Checks do not wait for mail.
    assert_eq!(phone.check(&ids[0], "000000").await.body["reason"], "incorrect");
    relay.resume();
    until(|| mails(&server, "sent") == 3).await;
    for (id, address) in ids.iter().zip(["bob@gmail.com", "eve@gmail.com"]) {
        assert_eq!(phone.check(id, &server.code_for(address)).await.body["valid"], true, "{address}");
    }
    assert_eq!(std::fs::read_dir(relay.maildir().join("new")).unwrap().count(), 3, "one mail each");
}
