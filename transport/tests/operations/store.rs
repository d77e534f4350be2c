//! The store and what operators do to it, over SQLite and over a real PostgreSQL: each test runs on both.

use std::time::{Duration, Instant};

use authepy_testkit::operator::{authepy, new_key, refused, told};
use authepy_testkit::phone::Phone;
use authepy_testkit::postgres::Postgres;
use authepy_testkit::serve::Site;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Two tests of each behaviour: one per database.
macro_rules! on_both_stores {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test] async fn $name() {
                let folder = super::TempDir::new().unwrap();
                super::$name(&super::Site::sqlite(&folder)).await;
            })*
        }
        mod postgres {
            $(#[tokio::test] async fn $name() {
                let server = super::Postgres::start();
                super::$name(&server.url()).await;
            })*
        }
    };
}

on_both_stores!(
    projects_keys_and_origins_live_their_lives,
    bad_input_is_named_and_changes_nothing,
    a_change_from_another_process_acts_within_five_seconds,
    a_rotated_key_works_until_its_grace_ends,
    the_store_holds_digests_and_no_key,
);

fn ids(list: &Value) -> Vec<&str> {
    list["keys"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap()).collect()
}

async fn projects_keys_and_origins_live_their_lives(store: &str) {
    let run = |words: &[&str]| told(&[words, &["--store", store]].concat());
    let made = run(&["project", "create", "shop", "--alert-to", "ops@mybrand.com"]);
    assert_eq!((&made["name"], &made["alert_to"]), (&json!("shop"), &json!(["ops@mybrand.com"])));
    run(&["project", "create", "other"]);
    let projects = run(&["project", "list"]);
    assert_eq!(projects["projects"].as_array().unwrap().len(), 2);

    let key = new_key(
        store,
        "shop",
        &["--class", "restricted", "--origin", "MyBrand.COM.", "--origin", "*.mybrand.com"],
    );
    let (id, text) = (key["id"].as_str().unwrap(), key["key"].as_str().unwrap());
    assert_eq!(key.as_object().unwrap().len(), 2, "id and key, nothing else");
    assert!(id.starts_with("key_") && text.starts_with("rk_live_ath_") && text.len() == 40);
    let secret = new_key(store, "other", &["--class", "secret", "--test", "--expires", "90d"]);
    assert!(secret["key"].as_str().unwrap().starts_with("ath_sec_test_"));

    let listed = run(&["key", "list", "--project", "shop"]);
    let expected = json!({"id": id, "project": "shop", "class": "restricted", "test": false,
        "native": false, "last_four": text[36..], "state": "active", "expires_at": null,
        "revoked_at": null, "successor": null, "origins": ["*.mybrand.com", "mybrand.com"]});
    for (member, value) in expected.as_object().unwrap() {
        assert_eq!(&listed["keys"][0][member], value, "{member}");
    }
    assert_eq!(ids(&run(&["key", "list"])).len(), 2);

    let rules = run(&["origin", "add", id, "bücher.de"]);
    assert_eq!(rules["origins"], json!(["*.mybrand.com", "mybrand.com", "xn--bcher-kva.de"]));
    assert_eq!(run(&["origin", "add", id, "mybrand.com"])["origins"], rules["origins"], "once is enough");
    let rules = run(&["origin", "remove", id, "Bücher.de"]);
    assert_eq!(rules["origins"], json!(["*.mybrand.com", "mybrand.com"]));
    assert_eq!(run(&["origin", "list", id]), rules);

    let next = run(&["key", "rotate", id, "--grace", "1h"]);
    let listed = run(&["key", "list", "--project", "shop"]);
    let states: std::collections::BTreeMap<&str, &Value> =
        ids(&listed).into_iter().zip(listed["keys"].as_array().unwrap()).collect();
    let next_id = next["id"].as_str().unwrap();
    assert_eq!((&states[id]["state"], &states[id]["successor"]), (&json!("rotating"), &next["id"]));
    assert_eq!(
        (&states[next_id]["state"], &states[next_id]["origins"]),
        (&json!("active"), &rules["origins"])
    );

    run(&["key", "revoke", id]);
    let again = run(&["key", "revoke", id]);
    assert_eq!(again["state"], "revoked", "twice is once");
    let listed = run(&["key", "list", "--project", "shop"]);
    let revoked = listed["keys"].as_array().unwrap().iter().find(|key| key["id"] == *id).unwrap();
    assert_eq!(revoked["state"], "revoked");
}

async fn bad_input_is_named_and_changes_nothing(store: &str) {
    let key = new_key(store, "shop", &["--class", "restricted", "--origin", "mybrand.com"]);
    let secret = new_key(store, "shop", &["--class", "secret"]);
    let (id, secret) = (key["id"].as_str().unwrap(), secret["id"].as_str().unwrap());
    let before = told(&["key", "list", "--store", store]);
    let restricted = ["key", "create", "--project", "shop", "--class", "restricted", "--origin"];
    let with = |rule| [&restricted[..], &[rule]].concat();
    for (words, why) in [
        (vec!["project", "create", "shop"], "already in use"),
        (vec!["project", "create", ""], "name:"),
        (vec!["project", "create", "a\nb"], "name:"),
        (vec!["project", "create", "x", "--alert-to", "not an address"], "alert_to:"),
        (vec!["key", "create", "--project", "nobody", "--class", "secret"], "no such project"),
        (vec!["key", "create", "--project", "shop", "--class", "secret", "--origin", "a.com"], "origin:"),
        (vec!["key", "create", "--project", "shop", "--class", "secret", "--native"], "native:"),
        (vec!["key", "create", "--project", "shop", "--class", "secret", "--expires", "0s"], "expires:"),
        (vec!["key", "create", "--project", "shop", "--class", "secret", "--expires", "11years"], "expires:"),
        (with("https://mybrand.com"), "without a scheme"),
        (with("mybrand.com:8443"), "without a port"),
        (with("mybrand.com/path"), "without path"),
        (with("a.*.mybrand.com"), "whole first label"),
        (with("*.com"), "public suffix"),
        (with("*.co.uk"), "public suffix"),
        (with("*.github.io"), "public suffix"),
        (with("*"), "wildcard"),
        (with("*.0.0.1"), "wildcard"),
        (with("127.0.0.1"), "not an IP address"),
        (with("null"), "no dot"),
        (vec!["key", "rotate", "key_none", "--grace", "1h"], "no such key"),
        (vec!["key", "rotate", id, "--grace", "11years"], "grace:"),
        (vec!["key", "revoke", "key_none"], "no such key"),
        (vec!["origin", "add", secret, "mybrand.com"], "secret key"),
        (vec!["origin", "add", id, "*.com"], "public suffix"),
        (vec!["origin", "remove", id, "other.com"], "no such origin"),
        (vec!["origin", "list", "key_none"], "no such key"),
    ] {
        let (code, told) = refused(&[&words[..], &["--store", store]].concat());
        assert!(code == 2 && told.contains(why), "{words:?}: {code} {told}");
    }
    assert_eq!(told(&["key", "list", "--store", store]), before);
    assert_eq!(told(&["project", "list", "--store", store])["projects"].as_array().unwrap().len(), 1);
}

/// Asks until the answer is as expected; fails after the five seconds of the contract.
async fn within_five_seconds(phone: &Phone, expected: (u16, &str)) {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let heard = phone.post("/v1/verifications", &json!({"recipient": "ada@gmail.com"})).await;
        if heard.code() == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{:?} instead of {expected:?}", heard.code());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn a_change_from_another_process_acts_within_five_seconds(store: &str) {
    let key = new_key(store, "shop", &["--class", "restricted", "--origin", "mybrand.com", "--test"]);
    let (id, text) = (key["id"].as_str().unwrap(), key["key"].as_str().unwrap());
    let folder = TempDir::new().unwrap();
    let limits = "[limits.recipient]\nissue = \"off\"\n";
    let server = Site::new(store, &format!("{limits}{}", Site::outbox(&folder))).serve();
    let phone = Phone::connect_with(&server, text).await;
    let page = phone.with("origin", "https://shop.example.net");
    let first = page.post("/v1/verifications", &json!({"recipient": "ada@gmail.com"})).await;
    assert_eq!(first.code(), (403, "origin-not-allowed"));

    told(&["origin", "add", id, "*.example.net", "--store", store]);
    within_five_seconds(&page, (202, "")).await;
    told(&["origin", "remove", id, "*.example.net", "--store", store]);
    within_five_seconds(&page, (403, "origin-not-allowed")).await;

    let newer = new_key(store, "later", &["--class", "secret", "--test"]);
    let backend = phone.with_key(newer["key"].as_str().unwrap());
    let at_once = backend.post("/v1/verifications", &json!({"recipient": "bob@gmail.com"})).await;
    assert_eq!(at_once.status, 202, "a key that was made a moment ago works at its first request");
    told(&["key", "revoke", newer["id"].as_str().unwrap(), "--store", store]);
    within_five_seconds(&backend, (401, "invalid-key")).await;
}

async fn a_rotated_key_works_until_its_grace_ends(store: &str) {
    let old = new_key(store, "shop", &["--class", "secret", "--test"]);
    let next = told(&["key", "rotate", old["id"].as_str().unwrap(), "--grace", "3s", "--store", store]);
    let folder = TempDir::new().unwrap();
    let server = Site::new(store, &Site::outbox(&folder)).serve();
    let old = Phone::connect_with(&server, old["key"].as_str().unwrap()).await;
    let next = old.with_key(next["key"].as_str().unwrap());
    let id = old.issue("ada@gmail.com").await;
    assert_eq!(next.check(&id, "000000").await.body["valid"], true, "both are keys of one project");
    within_five_seconds(&old, (401, "invalid-key")).await;
    assert_eq!(next.get("/v1/verifications/vrf_x").await.code(), (404, "verification-not-found"));
}

async fn the_store_holds_digests_and_no_key(store: &str) {
    let key = new_key(store, "shop", &["--class", "secret"]);
    let token = told(&["admin-token", "create", "--store", store]);
    let secrets = [&key["key"].as_str().unwrap()[13..35], &token["admin_token"].as_str().unwrap()[10..]];
    let kept = match store.strip_prefix("sqlite://") {
        Some(file) => {
            let files = [file.to_owned(), format!("{file}-wal")];
            files.iter().flat_map(|file| std::fs::read(file).unwrap_or_default()).collect()
        }
        None => dump(store),
    };
    let kept = String::from_utf8_lossy(&kept);
    assert!(kept.contains(key["id"].as_str().unwrap()), "this is where it is kept");
    for secret in secrets {
        assert!(!kept.contains(secret) && !kept.to_lowercase().contains(&secret.to_lowercase()));
    }
    let again = authepy(&["key", "list", "--store", store, "--json"]);
    assert!(!String::from_utf8_lossy(&again.stdout).contains(secrets[0]), "shown once");
}

/// Every row of every table.
fn dump(url: &str) -> Vec<u8> {
    let output = std::process::Command::new("pg_dump").arg(url).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn a_store_that_is_not_there_ends_a_command_with_its_code() {
    let nobody = "postgres://postgres@127.0.0.1:1/postgres";
    for (store, expected) in [(nobody, 69), ("mysql://x", 78), ("sqlite:///nonexistent/folder/x.db", 69)] {
        let (code, told) = refused(&["key", "list", "--store", store]);
        assert_eq!(code, expected, "{told}");
        let site =
            Site::new(store, "[[delivery]]\nname=\"o\"\nkind=\"outbox\"\nurl=\"/tmp\"\nfrom=\"a@b.com\"");
        let (code, told) = refused(&["serve", "--json", "--config", &site.path("authepy.toml")]);
        assert_eq!(code, expected, "{told}");
    }
}

#[test]
fn a_key_file_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = TempDir::new().unwrap();
    new_key(&Site::sqlite(&folder), "shop", &["--class", "secret"]);
    let mode = std::fs::metadata(folder.path().join("authepy.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
