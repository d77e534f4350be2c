use super::*;

fn claims(mode: Mode) -> Claims<'static> {
    Claims {
        issuer: "authepy",
        audience: "shop",
        subject: "vrf_1",
        purpose: "login",
        nonce: None,
        email: Some("ada@example.com"),
        mode,
        issued_at: 100,
        expires_at: 220,
        id: "j",
    }
}

fn keys(pem: Option<&str>) -> ReceiptKeys {
    ReceiptKeys::new("authepy", Duration::from_secs(120), pem).unwrap()
}

fn published(key: &ReceiptKey) -> Vec<u8> {
    public_key(&serde_json::from_slice(&key.jwks()).unwrap()).unwrap()
}

#[test]
fn a_receipt_is_checked_with_the_published_key_alone() {
    let keys = keys(None);
    for (mode, other, name) in [(Mode::Live, Mode::Test, "live"), (Mode::Test, Mode::Live, "test")] {
        let token = keys.sign(&claims(mode));
        let read = verify(&token, &published(keys.of(mode))).unwrap();
        assert_eq!((&read["email"], &read["email_verified"]), (&json!("ada@example.com"), &json!(true)));
        assert_eq!(read["amr"], json!(["otp"]));
        assert_eq!(read["mode"], name);
        assert!(read.get("nonce").is_none());
        assert_eq!(token, keys.sign(&claims(mode)), "the same claims give the same receipt");
        assert!(
            verify(&token, &published(keys.of(other))).is_none(),
            "the other mode's key has not signed it"
        );
        assert!(keys.of(other).read(&token, 150).is_none());
    }
}

#[test]
fn a_receipt_without_an_address_says_nothing_of_one() {
    let keys = keys(None);
    let token = keys.sign(&Claims { email: None, ..claims(Mode::Live) });
    let read = verify(&token, &published(keys.of(Mode::Live))).unwrap();
    assert!(read.get("email").is_none() && read.get("email_verified").is_none(), "{read}");
}

#[test]
fn a_changed_foreign_or_expired_receipt_is_none() {
    let (ours, other) = (keys(None), keys(None));
    for mode in [Mode::Live, Mode::Test] {
        let (key, token) = (ours.of(mode), ours.sign(&claims(mode)));
        assert!(key.read(&token, 219).is_some());
        assert!(key.read(&token, 220).is_none());
        assert!(other.of(mode).read(&token, 150).is_none());
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(key.read(&changed, 150).is_none() || changed == token, "byte {at}");
        }
    }
}

/// RFC 8032, 7.1, test 1, as PKCS#8.
const PEM: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----";

#[test]
fn both_keys_of_a_file_are_the_same_after_a_restart_and_never_each_other() {
    let (before, after) = (keys(Some(PEM)), keys(Some(PEM)));
    for mode in [Mode::Live, Mode::Test] {
        assert_eq!(before.of(mode).jwks(), after.of(mode).jwks());
    }
    assert_eq!(
        encode(&published(before.of(Mode::Live))),
        "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "RFC 8037, A.2"
    );
    assert_ne!(before.of(Mode::Live).key_id, before.of(Mode::Test).key_id);
    assert_ne!(published(before.of(Mode::Live)), published(before.of(Mode::Test)));
    let without = keys(None);
    assert_ne!(published(without.of(Mode::Test)), published(before.of(Mode::Test)), "and others have others");
}
