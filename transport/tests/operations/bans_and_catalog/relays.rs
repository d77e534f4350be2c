//! `recipients.relays`, and what a test key may name.

use serde_json::json;
use tempfile::TempDir;

use super::{class_and_refused, until};
use authepy_testkit::operator::new_key;
use authepy_testkit::phone::Phone;
use authepy_testkit::serve::{Served, Site};

const ISSUE: &str = "/v1/verifications";
const TAKEN: &str = "the config was read again";
const NOT_TAKEN: &str = "the config can't be used";
const RELAYS: [&str; 7] = [
    "ada@privaterelay.appleid.com",
    "ada@mozmail.com",
    "shop@ada.mozmail.com",
    "ada@duck.com",
    "x@y.ada.simplelogin.com",
    "ada@passmail.net",
    "shop@ada.anonaddy.me",
];

/// A server, its config without `recipients` and `catalog`, and a key of each mode.
fn served(more: &str) -> (Served, String, [String; 2], TempDir) {
    let folder = TempDir::new().unwrap();
    let store = Site::sqlite(&folder);
    let keys = [&["--class", "secret"][..], &["--class", "secret", "--test"]]
        .map(|how| new_key(&store, "shop", how)["key"].as_str().unwrap().to_owned());
    let site = Site::new(&store, "");
    let own = std::fs::read_to_string(site.path("authepy.toml")).unwrap();
    let config = format!("{own}{}\n", Site::outbox(&folder));
    // Keys of the root stand before sections.
    std::fs::write(site.path("authepy.toml"), format!("{more}\n{config}")).unwrap();
    (site.serve(), config, keys, folder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relays_are_mailed_to_until_the_operator_refuses_them() {
    let (server, config, [key, test_key], _folder) = served("");
    let phone = Phone::connect_with(&server, &key).await;
    let file = server.site.path("authepy.toml");
    let reload = |more: &str, word, time| {
        std::fs::write(&file, format!("{more}\n{config}")).unwrap();
        server.reload(word, time);
    };
    for relay in RELAYS {
        phone.issue(relay).await;
    }
    assert_eq!(class_and_refused(&server, "x.duck.com"), ("relay".into(), false));

    reload("recipients.relays = \"refuse\"\ncatalog.allow = [\"duck.com\"]", TAKEN, 1);
    assert_eq!(class_and_refused(&server, "anonaddy.me"), ("relay".into(), true));
    for phone in [&phone, &phone.with_key(&test_key)] {
        for relay in RELAYS {
            let heard = phone.post(ISSUE, &json!({"recipient": relay})).await;
            match relay.ends_with("duck.com") {
                true => assert_eq!(heard.status, 202, "the operator allows it by name"),
                false => assert_eq!(heard.code(), (422, "disposable-domain"), "{relay}"),
            }
        }
    }
    phone.issue("ada@icloud.com").await;

    reload("recipients.relays = \"perhaps\"", NOT_TAKEN, 1);
    assert!(server.log().contains("recipients.relays: allow or refuse"));
    let refused = phone.post(ISSUE, &json!({"recipient": RELAYS[0]})).await;
    assert_eq!(refused.code(), (422, "disposable-domain"), "what acted before acts on");
    reload("", TAKEN, 2);
    until("relays are mailed to again", || !class_and_refused(&server, "mozmail.com").1);
    phone.issue("eve@mozmail.com").await;
    assert!(!server.log().contains("need a restart"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_key_names_what_dev_takes_and_a_live_one_what_can_be_mailed() {
    let (server, _config, [key, test_key], _folder) = served("");
    let (live, test) =
        (Phone::connect_with(&server, &key).await, Phone::connect_with(&server, &test_key).await);
    for recipient in ["ada@example.com", "ada@mail.example.org", "ada@corp.test", "ada@corp.example"] {
        let id = test.issue(recipient).await;
        let body = json!({"code": "000000", "recipient": recipient});
        assert_eq!(test.post(&format!("{ISSUE}/{id}/check"), &body).await.body["valid"], true, "{recipient}");
        let heard = live.post(ISSUE, &json!({"recipient": recipient})).await;
        assert_eq!(heard.code(), (422, "invalid-recipient"), "{recipient}");
    }
    // What a caller's tests want to see refused is.
    for (recipient, code) in [
        ("ada@mailinator.com", "disposable-domain"),
        ("ada@corp.invalid", "invalid-recipient"),
        ("ada@localhost", "invalid-recipient"),
        ("ada", "invalid-recipient"),
    ] {
        assert_eq!(
            test.post(ISSUE, &json!({"recipient": recipient})).await.code(),
            (422, code),
            "{recipient}"
        );
    }
}
