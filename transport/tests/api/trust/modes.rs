//! Live and test keys sign with different keys, and neither believes the other's receipts.

use serde_json::{Value, json};

use super::{claims, introspect, live_receipt, part, test_receipt};
use authepy_testkit::DevServer;
use authepy_testkit::operator::new_key;
use authepy_testkit::phone::{Phone, Wire};
use authepy_testkit::serve::Site;

const LIVE_SET: &str = "/.well-known/jwks.json";
const TEST_SET: &str = "/.well-known/jwks-test.json";

/// The only key of a set.
async fn key_of(phone: &Phone, set: &str) -> Value {
    let heard = phone.get(set).await;
    let keys = heard.body["keys"].as_array().unwrap_or_else(|| panic!("{set}: {:?}", heard.body));
    assert_eq!((heard.status.as_u16(), keys.len()), (200, 1), "{set}");
    keys[0].clone()
}

pub(super) async fn anybody_may_read_and_keep_the_key_sets(wire: Wire) {
    let server = DevServer::start(&[]);
    let stranger = Phone::over(wire, &server).await.with_key("").with("origin", "https://shop.example");
    for set in [LIVE_SET, TEST_SET] {
        let heard = stranger.get(set).await;
        let fields = ["access-control-allow-origin", "cache-control", "content-type"];
        assert_eq!(fields.map(|name| heard.header(name)), ["*", "max-age=60", "application/json"], "{set}");
        assert_eq!(stranger.post(set, &json!({})).await.code(), (405, "method-not-allowed"));
    }
    let health = stranger.get("/healthz").await;
    let fields = ["access-control-allow-origin", "cache-control"];
    assert_eq!(fields.map(|name| health.header(name)), ["", "no-store"], "nothing else is everybody's");
    let (live, test) = (key_of(&stranger, LIVE_SET).await, key_of(&stranger, TEST_SET).await);
    assert!(live["kid"] != test["kid"] && live["x"] != test["x"], "{live} {test}");
}

/// Finding S1: with the public test key of a page, anybody can be issued a receipt for any address.
#[tokio::test]
async fn a_test_receipt_signs_nobody_in() {
    let server = DevServer::start(&[]);
    let backend = Phone::connect(&server).await;
    let tester = backend.with_key(server.text("secret_test_key"));
    let attacker = backend.as_page(&server).with_key(server.text("restricted_test_key"));
    let forged = test_receipt(&attacker, "ceo@victim.com").await;

    let (live_key, test_key) = (key_of(&backend, LIVE_SET).await, key_of(&backend, TEST_SET).await);
    assert_eq!((&part(&forged, 0)["kid"], &claims(&forged)["mode"]), (&test_key["kid"], &json!("test")));
    let published = authepy_transport::serve::receipt::public_key(&json!({"keys": [live_key]})).unwrap();
    assert!(
        authepy_transport::serve::receipt::verify(&forged, &published).is_none(),
        "the live key has not signed it"
    );
    for _ in 0..3 {
        assert_eq!(introspect(&backend, &forged).await, json!({"active": false}));
    }
    let believed = introspect(&tester, &forged).await;
    assert_eq!(
        (&believed["active"], &believed["mode"]),
        (&json!(true), &json!("test")),
        "and it was not spent"
    );
    assert_eq!(introspect(&tester, &forged).await, json!({"active": false}), "now it is");

    // The honest neighbour, and the other way round.
    let page = backend.as_page(&server);
    let receipt = live_receipt(&server, &page, "ada@example.com").await;
    assert_eq!((&part(&receipt, 0)["kid"], &claims(&receipt)["mode"]), (&live_key["kid"], &json!("live")));
    for _ in 0..3 {
        assert_eq!(introspect(&tester, &receipt).await, json!({"active": false}));
    }
    let believed = introspect(&backend, &receipt).await;
    let expected = (&json!(true), &json!("live"), &json!("ada@example.com"), &json!(true));
    assert_eq!(
        (&believed["active"], &believed["mode"], &believed["email"], &believed["email_verified"]),
        expected
    );
    assert_eq!(introspect(&backend, &receipt).await, json!({"active": false}), "once");
}

/// What the header of a receipt claims of it is not what it is checked by.
#[tokio::test]
async fn a_receipt_with_another_header_is_inactive() {
    let server = DevServer::start(&[]);
    let backend = Phone::connect(&server).await;
    let tester = backend.with_key(server.text("secret_test_key"));
    let attacker = backend.as_page(&server).with_key(server.text("restricted_test_key"));
    let forged = test_receipt(&attacker, "ceo@victim.com").await;
    let live = live_receipt(&server, &backend.as_page(&server), "ada@example.com").await;
    let [header, body, signature] = parts(&forged);
    let [live_header, _, live_signature] = parts(&live);
    for (what, token) in [
        ("the live key's name", format!("{live_header}.{body}.{signature}")),
        ("the live signature", format!("{live_header}.{body}.{live_signature}")),
        ("alg none", format!("{}.{body}.", super::encode(&json!({"alg": "none", "typ": "JWT"})))),
        (
            "alg none with a name",
            format!("{}.{body}.", super::encode(&json!({"alg": "none", "kid": part(&live, 0)["kid"]}))),
        ),
        ("no signature", format!("{header}.{body}.")),
        ("two parts", format!("{live_header}.{body}")),
        ("a part more", format!("{live}.{signature}")),
    ] {
        for phone in [&backend, &tester] {
            assert_eq!(introspect(phone, &token).await, json!({"active": false}), "{what}");
        }
    }
    assert_eq!(introspect(&backend, &live).await["active"], true);
    assert_eq!(introspect(&tester, &forged).await["active"], true);
}

fn parts(receipt: &str) -> [&str; 3] {
    let parts: Vec<&str> = receipt.split('.').collect();
    parts.try_into().unwrap()
}

/// `receipts.key_file` makes both keys as stable as the file, and never the same.
#[tokio::test]
async fn both_keys_survive_a_restart_with_the_file_they_come_from() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("receipts.pem");
    std::fs::write(&file, rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem())
        .unwrap();
    let (store, outbox) = (Site::sqlite(&folder), Site::outbox(&folder));
    let settings = format!("receipts.key_file = \"{}\"\n{outbox}", file.display());
    let server = Site::new(&store, &settings).serve();
    let phone = Phone::connect(&server).await;
    let before = (key_of(&phone, LIVE_SET).await, key_of(&phone, TEST_SET).await);
    assert_ne!(before.0["x"], before.1["x"]);
    let server = server.serve_again();
    let phone = Phone::connect(&server).await;
    assert_eq!((key_of(&phone, LIVE_SET).await, key_of(&phone, TEST_SET).await), before);

    let made_at_start = Site::new(&store, &outbox).serve();
    let phone = Phone::connect(&made_at_start).await;
    let other = (key_of(&phone, LIVE_SET).await, key_of(&phone, TEST_SET).await);
    assert!(other.0["x"] != before.0["x"] && other.1["x"] != before.1["x"]);
}

/// Finding I17: tests in a pipeline use the addresses that are reserved for tests.
#[tokio::test]
async fn a_test_key_may_name_reserved_domains_where_a_live_key_may_not() {
    let folder = tempfile::TempDir::new().unwrap();
    let (store, outbox) = (Site::sqlite(&folder), Site::outbox(&folder));
    let [live, test] = [&["--class", "secret"][..], &["--class", "secret", "--test"]]
        .map(|how| new_key(&store, "shop", how)["key"].as_str().unwrap().to_owned());
    let server = Site::new(&store, &outbox).serve();
    let phone = Phone::connect(&server).await;
    let (live, test) = (phone.with_key(&live), phone.with_key(&test));
    for recipient in ["ada@example.com", "ada@mail.example.org", "ada@shop.test", "ada@shop.example"] {
        let asked = json!({"recipient": recipient});
        assert_eq!(
            live.post("/v1/verifications", &asked).await.code(),
            (422, "invalid-recipient"),
            "{recipient}"
        );
        let id = test.issue(recipient).await;
        let resent = test.post(&format!("/v1/verifications/{id}/resend"), &asked).await;
        assert_ne!(resent.code(), (422, "invalid-recipient"), "{recipient}");
        assert_eq!(test.check_of(recipient, &id, "000000").await.body["valid"], true, "{recipient}");
    }
    for recipient in ["ada", "a@b@example.com", "ada@shop.invalid", "ada@[127.0.0.1]"] {
        let asked = json!({"recipient": recipient});
        assert_eq!(
            test.post("/v1/verifications", &asked).await.code(),
            (422, "invalid-recipient"),
            "{recipient}"
        );
    }
    let disposable = json!({"recipient": "ada@mailinator.com"});
    assert_eq!(test.post("/v1/verifications", &disposable).await.code(), (422, "disposable-domain"));
}
