//! Mail to the people who run it: `POST /v1/alerts`, and what the service tells by itself.

use authepy_testkit::DevServer;
use authepy_testkit::operator::{authepy, told};
use authepy_testkit::phone::{Phone, Wire};
use authepy_testkit::script::Script;
use authepy_testkit::serve::{Served, Site};
use serde_json::{Value, json};
use tempfile::TempDir;

const ALERT: &str = "/v1/alerts";

/// A server with these providers, and a secret key of a project with these alert addresses.
fn served(providers: &str, more: &str, alert_to: &[&str]) -> (Served, String, TempDir) {
    let folder = TempDir::new().unwrap();
    let store = Site::sqlite(&folder);
    let to: Vec<&str> = alert_to.iter().flat_map(|to| ["--alert-to", *to]).collect();
    let made = authepy(&[&["project", "create", "shop", "--store", &store], &to[..]].concat());
    assert!(made.status.success(), "{made:?}");
    let key = told(&["key", "create", "--project", "shop", "--class", "secret", "--store", &store]);
    let mut server = Site::new(&store, &format!("{more}\n{providers}")).serve();
    server.ready["outbox"] = json!(folder.path().join("outbox"));
    (server, key["key"].as_str().unwrap().to_owned(), folder)
}

fn outbox() -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    let provider = Site::outbox(&folder);
    (folder, provider)
}

/// All mails in an outbox, once there are `count`.
async fn mails(folder: &TempDir, count: usize) -> Vec<String> {
    let new = folder.path().join("outbox/new");
    let deadline = std::time::Instant::now() + authepy_testkit::PATIENCE;
    loop {
        let mails: Vec<String> = std::fs::read_dir(&new)
            .into_iter()
            .flatten()
            .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
            .collect();
        if mails.len() >= count {
            return mails;
        }
        assert!(std::time::Instant::now() < deadline, "{} of {count} mails", mails.len());
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

async fn over_h3(server: &DevServer, key: &str) -> Phone {
    Phone::over(Wire::H3, server).await.with_key(key)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_goes_to_the_projects_own_addresses_and_nowhere_else() {
    let (mail, provider) = outbox();
    let (server, key, _folder) =
        served(&provider, "alerts.to = ['boss@authepy.org']", &["ops@shop.org", "night@shop.org"]);
    let phone = over_h3(&server, &key).await;
    let body = json!({"subject": "Ärger im Lager", "text": "Zeile 1\nTo: eve@evil.org\n.\nEnde"});
    let heard = phone.post(ALERT, &body).await;
    assert_eq!(heard.status, 202, "{heard:?}");
    let mails = mails(&mail, 2).await;
    for to in ["ops@shop.org", "night@shop.org"] {
        let mail = mails.iter().find(|mail| mail.contains(&format!("To: {to}\r\n"))).unwrap();
        let (head, body) = mail.split_once("\r\n\r\n").unwrap();
        assert!(!head.contains("eve@evil.org") && body.contains("To: eve@evil.org"), "{mail}");
    }
    assert_eq!(mails.len(), 2, "the operator of the service is not the project's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_addresses_the_operators_hear_and_without_those_nobody_is_promised_anything() {
    let (mail, provider) = outbox();
    let (server, key, _folder) = served(&provider, "alerts.to = ['boss@authepy.org']", &[]);
    let phone = over_h3(&server, &key).await;
    assert_eq!(phone.post(ALERT, &json!({"subject": "x", "text": "y"})).await.status, 202);
    assert!(mails(&mail, 1).await[0].contains("To: boss@authepy.org\r\n"));
    let (_mail, provider) = outbox();
    let (server, key, _folder) = served(&provider, "", &[]);
    let heard = over_h3(&server, &key).await.post(ALERT, &json!({"subject": "x", "text": "y"})).await;
    assert_eq!(heard.code(), (503, "delivery-unavailable"));
    assert!(heard.header("retry-after").parse::<u64>().unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_that_is_none_is_refused_and_costs_nothing() {
    let (mail, provider) = outbox();
    let (server, key, _folder) = served(&provider, "", &["ops@shop.org"]);
    let phone = over_h3(&server, &key).await;
    let long = "x".repeat(151);
    for body in [
        json!({}),
        json!({"subject": "x"}),
        json!({"text": "x"}),
        json!({"subject": "", "text": "x"}),
        json!({"subject": "x", "text": " \n"}),
        json!({"subject": "x\r\nBcc: eve@evil.org", "text": "x"}),
        json!({"subject": "x\nBcc: eve@evil.org", "text": "x"}),
        json!({"subject": long, "text": "x"}),
        json!({"subject": "x", "text": "x\u{1b}[2J"}),
        json!({"subject": 1, "text": "x"}),
        json!({"subject": "x", "text": "x", "to": "eve@evil.org"}),
    ] {
        assert_eq!(phone.post(ALERT, &body).await.code(), (400, "malformed-request"), "{body}");
    }
    for nth in 0..10 {
        assert_eq!(phone.post(ALERT, &json!({"subject": "x", "text": "y"})).await.status, 202, "{nth}");
    }
    let heard = phone.post(ALERT, &json!({"subject": "x", "text": "y"})).await;
    assert_eq!((heard.code(), &heard.body["policy"]), ((429, "rate-limited"), &json!("key")));
    let wait: u64 = heard.header("retry-after").parse().unwrap();
    assert!((590..=600).contains(&wait), "{wait}");
    assert_eq!(mails(&mail, 10).await.len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_secret_key_may_alert_and_a_test_key_mails_nobody() {
    let server = DevServer::start(&["alerts.to=['boss@authepy.org']"]);
    let phone = Phone::connect(&server).await;
    let alert = json!({"subject": "x", "text": "y"});
    assert_eq!(phone.as_page(&server).post(ALERT, &alert).await.code(), (403, "key-class-forbidden"));
    assert_eq!(phone.get(ALERT).await.code(), (405, "method-not-allowed"));
    assert_eq!(phone.with_key(server.text("secret_test_key")).post(ALERT, &alert).await.status, 202);
    assert_eq!(server.metric("authepy_mail_accepted_total"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_tells_its_operators_of_a_failing_provider_and_an_exposed_key() {
    let hook = Script::start("webhook_server.py", &[&"s".repeat(32), "503"], None);
    let (mail, outbox) = outbox();
    let failing = format!(
        "[[delivery]]\nname = \"first\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{}/\"\n\
         from = \"no-reply@mybrand.com\"\nsecret = \"{}\"\n",
        hook.port,
        "s".repeat(32)
    );
    let (server, key, _folder) =
        served(&format!("{failing}{outbox}"), "alerts.to = ['boss@authepy.org']", &["ops@shop.org"]);
    let phone = over_h3(&server, &key).await;
    for n in 0..6 {
        phone.issue(&format!("user{n}@gmail.com")).await;
    }
    phone.with("Origin", "https://mybrand.com").issue("ada@gmail.com").await;
    let told: Vec<String> =
        mails(&mail, 9).await.into_iter().filter(|mail| mail.contains("To: boss@")).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    for subject in ["A mail provider fails", "A secret key was used from a browser"] {
        assert_eq!(told.iter().filter(|mail| mail.contains(subject)).count(), 1, "{told:?}");
    }
    assert!(told.iter().all(|mail| !mail.contains(&key[..20]) && !mail.contains("gmail")), "{told:?}");
    assert_eq!(server.metric("authepy_mail_failovers_total"), 1);
    let ready: Value = serde_json::from_str(&server.admin("/readyz").1).unwrap();
    assert_eq!(ready["status"], "ready");
}
