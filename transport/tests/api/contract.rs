//! The API of the contract, section 4, over HTTP/3, HTTP/2 and HTTP/1.1 against the built binary.

authepy_testkit::over_every_wire!(
    a_code_is_issued_mailed_checked_once_and_purged,
    the_last_wrong_code_ends_the_verification,
    a_resend_adds_a_code_and_no_tries,
    cancel_is_idempotent_and_purges,
    a_repeated_request_gets_the_first_answer_and_no_second_mail,
    bad_input_is_named_and_changes_nothing,
    keys_and_origins_are_judged_before_the_body,
    aliases_share_one_budget_and_test_keys_have_their_own,
    an_operator_may_teach_how_a_provider_folds,
);

use authepy_testkit::phone::{Heard, Phone, Wire};
use authepy_testkit::{DevServer, NO_LIMITS};
use serde_json::{Value, json};

async fn a_code_is_issued_mailed_checked_once_and_purged(wire: Wire) {
    let server = DevServer::start(&[]);
    let phone = Phone::over(wire, &server).await;
    let body = json!({"recipient": "Ada.Lovelace+x@gmail.com", "purpose": "login", "locale": "en-GB",
        "nonce": "n-1", "metadata": {"ref": "cart-42"}});
    let issued = phone.post("/v1/verifications", &body).await;
    assert_eq!(issued.status, 202);
    let id = issued.body["id"].as_str().unwrap();
    assert_eq!(issued.header("location"), format!("/v1/verifications/{id}"));
    let expected = json!({"status": "pending", "channel": "email", "purpose": "login",
        "recipient_hint": "A***@gmail.com", "code_length": 6, "expires_in": 300, "resend_in": 30,
        "sends_remaining": 4, "attempts_remaining": 5});
    for (member, value) in expected.as_object().unwrap() {
        assert_eq!(&issued.body[member], value, "{member}");
    }
    assert_common_headers(&issued, wire);
    if wire != Wire::H3 {
        assert_eq!(issued.header("alt-svc"), format!("h3=\":{}\"; ma=86400", server.h3().port()));
    }

    let status = phone.get(&format!("/v1/verifications/{id}")).await;
    assert_eq!((status.status.as_u16(), &status.body["metadata"]["ref"]), (200, &json!("cart-42")));
    let code = server.code_for("Ada.Lovelace+x@gmail.com");
    assert!(!String::from_utf8_lossy(&status.bytes).contains(&code));

    let path = format!("/v1/verifications/{id}/check");
    let spaced = format!(" {}-{} ", &code[..3], &code[3..]);
    assert_eq!(phone.post(&path, &json!({"code": spaced})).await.code(), (422, "nonce-mismatch"));
    let other = json!({"code": spaced, "nonce": "n-1", "recipient": "ada.lovelace@gmail.com"});
    assert_eq!(phone.post(&path, &other).await.code(), (422, "recipient-mismatch"));
    let right =
        json!({"code": spaced, "nonce": "n-1", "recipient": "Ada.Lovelace+x@gmail.com", "receipt": true});
    let approved = phone.post(&path, &right).await;
    assert_eq!(
        (approved.status.as_u16(), &approved.body["status"], &approved.body["valid"]),
        (200, &json!("approved"), &json!(true))
    );

    let receipt = approved.body["receipt"].as_str().unwrap();
    let jwks = phone.get("/.well-known/jwks.json").await.body;
    let key = authepy_transport::serve::receipt::public_key(&jwks).unwrap();
    let claims = authepy_transport::serve::receipt::verify(receipt, &key).unwrap();
    assert_eq!(claims["sub"], id);
    assert_eq!(claims["email"], "Ada.Lovelace+x@gmail.com");
    assert_eq!(
        (&claims["nonce"], &claims["aud"], &claims["purpose"]),
        (&json!("n-1"), &json!("dev"), &json!("login"))
    );
    let introspect = json!({"receipt": receipt});
    assert_eq!(phone.post("/v1/receipts/introspect", &introspect).await.body["active"], true);
    assert_eq!(phone.post("/v1/receipts/introspect", &introspect).await.body, json!({"active": false}));

    let replay = phone.post(&path, &right).await;
    let unknown = phone.post("/v1/verifications/vrf_0000000000000000000000000/check", &right).await;
    assert_eq!(replay.code(), (404, "verification-not-found"));
    assert_eq!(without_id(&replay), without_id(&unknown), "consumed and unknown look the same");
    assert_eq!(phone.get(&format!("/v1/verifications/{id}")).await.code(), (404, "verification-not-found"));
}

fn assert_common_headers(heard: &Heard, wire: Wire) {
    assert_eq!(heard.header("cache-control"), "no-store");
    assert_eq!(heard.header("x-content-type-options"), "nosniff");
    assert!(heard.header("x-request-id").starts_with("req_"));
    assert!(heard.header("date").ends_with("GMT"));
    assert_transport_headers(heard, wire);
}

/// TCP answers point to HTTP/3 and forbid plain HTTP; HTTP/3 has nothing to say of either.
fn assert_transport_headers(heard: &Heard, wire: Wire) {
    let (alt_svc, hsts) = (heard.header("alt-svc"), heard.header("strict-transport-security"));
    match wire {
        Wire::H3 => assert_eq!((alt_svc, hsts), ("", "")),
        Wire::H2 | Wire::H1 => {
            assert!(alt_svc.starts_with("h3=\":") && alt_svc.ends_with("\"; ma=86400"), "{alt_svc}");
            assert_eq!(hsts, "max-age=63072000");
        }
    }
}

fn without_id(heard: &Heard) -> (u16, usize, Value) {
    let mut body = heard.body.clone();
    body["request_id"] = Value::Null;
    (heard.status.as_u16(), heard.bytes.len(), body)
}

async fn the_last_wrong_code_ends_the_verification(wire: Wire) {
    let server = DevServer::start(&[]);
    let phone = Phone::over(wire, &server).await;
    let id = phone.issue("bob@example.com").await;
    let code = server.code_for("bob@example.com");
    let wrong = if code == "000000" { "000001" } else { "000000" };
    for left in (1..5).rev() {
        let heard = phone.check(&id, wrong).await;
        let expected = json!({"id": id, "status": "pending", "valid": false, "reason": "incorrect", "attempts_remaining": left});
        assert_eq!((heard.status.as_u16(), heard.body), (200, expected));
    }
    for malformed in ["12345", "12345678901", "abcdef", "+123456", "1234567"] {
        assert_eq!(phone.check(&id, malformed).await.code(), (422, "malformed-code"), "{malformed}");
    }
    let heard = phone.check(&id, wrong).await;
    let expected =
        json!({"id": id, "status": "failed", "valid": false, "reason": "exhausted", "attempts_remaining": 0});
    assert_eq!((heard.status.as_u16(), heard.body), (200, expected));
    assert_eq!(phone.check(&id, &code).await.code(), (404, "verification-not-found"));
}

async fn a_resend_adds_a_code_and_no_tries(wire: Wire) {
    let server = DevServer::start(&["codes.resend_after=0s", "codes.sends=2"]);
    let phone = Phone::over(wire, &server).await;
    let id = phone.issue("eve@example.com").await;
    let first = server.code_for("eve@example.com");
    let path = format!("/v1/verifications/{id}/resend");
    assert_eq!(
        phone.post(&path, &json!({"recipient": "mallory@example.com"})).await.code(),
        (422, "recipient-mismatch")
    );
    let resent = phone.post(&path, &json!({"recipient": "eve@example.com"})).await;
    assert_eq!((resent.status.as_u16(), &resent.body["sends_remaining"]), (202, &json!(0)));
    let codes = server.codes_for("eve@example.com", 2);
    let used_up = phone.post(&path, &json!({"recipient": "eve@example.com"})).await;
    assert_eq!((used_up.code(), &used_up.body["policy"]), ((429, "rate-limited"), &json!("resend")));
    assert!(used_up.header("retry-after").parse::<u64>().unwrap() <= 300);
    assert!(codes.contains(&first));
    assert_eq!(phone.check(&id, &first).await.body["valid"], true, "the first code still works");
}

async fn cancel_is_idempotent_and_purges(wire: Wire) {
    let server = DevServer::start(&[]);
    let phone = Phone::over(wire, &server).await;
    let id = phone.issue("joe@example.com").await;
    let code = server.code_for("joe@example.com");
    let path = format!("/v1/verifications/{id}");
    for path in [path.as_str(), path.as_str(), "/v1/verifications/vrf_nonsense"] {
        assert_eq!(phone.send("DELETE", path, None).await.status, 204);
    }
    assert_eq!(phone.check(&id, &code).await.code(), (404, "verification-not-found"));
}

async fn a_repeated_request_gets_the_first_answer_and_no_second_mail(wire: Wire) {
    let server = DevServer::start(&["codes.resend_after=0s"]);
    let phone =
        Phone::over(wire, &server).await.with("idempotency-key", "8e03978e-40d5-43dd-bc93-6894a57f9324");
    let body = json!({"recipient": "ida@example.com", "purpose": "login"});
    let first = phone.post("/v1/verifications", &body).await;
    let second = phone
        .send("POST", "/v1/verifications", Some(br#" {"purpose":"login", "recipient":"ida@example.com"}"#))
        .await;
    assert_eq!((second.status.as_u16(), &second.bytes), (202, &first.bytes));
    assert_eq!((first.header("idempotency-replayed"), second.header("idempotency-replayed")), ("", "true"));
    let other = phone.post("/v1/verifications", &json!({"recipient": "ida@example.com"})).await;
    assert_eq!(other.code(), (422, "idempotency-key-reused"));
    let id = first.body["id"].as_str().unwrap();
    let code = server.code_for("ida@example.com");
    let phone = Phone::over(wire, &server).await.with("idempotency-key", "check-1");
    let (once, again) = (phone.check(id, &code).await, phone.check(id, &code).await);
    assert_eq!(once.body["valid"], true);
    assert_eq!((once.bytes, again.header("idempotency-replayed")), (again.bytes.clone(), "true"));
    assert_eq!(server.metric("authepy_mail_total{outcome=\"sent\"}"), 1);
}

async fn bad_input_is_named_and_changes_nothing(wire: Wire) {
    let server = DevServer::start(&NO_LIMITS);
    let phone = Phone::over(wire, &server).await;
    let issue = |text: &'static str| {
        let phone = phone.clone();
        async move { phone.send("POST", "/v1/verifications", Some(text.as_bytes())).await }
    };
    for (text, status, code) in [
        ("", 400, "malformed-request"),
        ("[]", 400, "malformed-request"),
        (r#"["ada@example.com"]"#, 400, "malformed-request"),
        ("{}", 400, "malformed-request"),
        (r#"{"recipient":null}"#, 400, "malformed-request"),
        (r#"{"recipient":5}"#, 400, "malformed-request"),
        (r#"{"recipient":"a@example.com","x":1}"#, 400, "malformed-request"),
        (r#"{"recipient":"a@example.com","recipient":"a@example.com"}"#, 400, "malformed-request"),
        (r#"{"recipient":"a@example.com","metadata":{"a":"1","a":"2"}}"#, 400, "malformed-request"),
        (r#"{"recipient":"a@example.com","lifetime":601}"#, 400, "malformed-request"),
        (r#"{"recipient":"a@example.com","code_length":5}"#, 400, "malformed-request"),
        (r#"{"recipient":"a@example.com"} x"#, 400, "malformed-request"),
        ("\u{feff}{\"recipient\":\"a@example.com\"}", 400, "malformed-request"),
        (r#"{"recipient":"not an address"}"#, 422, "invalid-recipient"),
        (r#"{"recipient":"a@b@c.com"}"#, 422, "invalid-recipient"),
        (r#"{"recipient":"x@a.b.mailinator.com"}"#, 422, "disposable-domain"),
    ] {
        let heard = issue(text).await;
        assert_eq!(heard.code(), (status, code), "{text}");
        assert_eq!(heard.header("content-type"), "application/problem+json");
        assert_eq!(heard.body["type"], format!("/problems/{code}"));
        assert_eq!(heard.body["request_id"], heard.header("x-request-id"));
        assert_common_headers(&heard, wire);
    }
    let big = format!(r#"{{"recipient":"{}"}}"#, "a".repeat(9_000));
    assert_eq!(
        phone.send("POST", "/v1/verifications", Some(big.as_bytes())).await.code(),
        (413, "body-too-large")
    );
    let form = phone.with("content-type", "application/x-www-form-urlencoded");
    assert_eq!(
        form.send("POST", "/v1/verifications", Some(b"{}")).await.code(),
        (415, "unsupported-media-type")
    );
    let put = phone.send("PUT", "/v1/verifications", Some(b"{}")).await;
    assert_eq!((put.code(), put.header("allow")), ((405, "method-not-allowed"), "POST, OPTIONS"));
    assert_eq!(phone.get("/v1/nothing").await.code(), (404, "not-found"));
    let in_url = format!("/v1/verifications?key={}", server.text("secret_key"));
    assert_eq!(phone.get(&in_url).await.code(), (400, "malformed-request"));
    let early = phone.with("early-data", "1").get("/v1/verifications/x").await;
    assert_eq!((early.code(), early.header("retry-after")), ((425, "too-early"), "1"));
    assert_eq!(server.metric("authepy_shard_messages_total"), 0, "no inbox heard of any of it");
    assert_eq!(server.metric("authepy_mail_total{outcome=\"sent\"}"), 0);
}

/// Refused before any inbox hears of it, which `authepy_shard_messages_total` counts. With the default limits, where
/// the shard of the peer does hear: a denial is charged to it before it is answered (`attacks/peers/denials.rs`).
async fn keys_and_origins_are_judged_before_the_body(wire: Wire) {
    let server = DevServer::start(&[]);
    let phone = Phone::over(wire, &server).await;
    let body = json!({"recipient": "ada@example.com"});
    let secret = server.text("secret_key").to_owned();
    let flipped = format!("{}{}", &secret[..secret.len() - 1], if secret.ends_with('a') { 'b' } else { 'a' });
    for key in ["", "nonsense", &flipped, &secret.to_uppercase(), "ath_sec_live_0000000000000000000000000000"]
    {
        let heard = phone.with_key(key).post("/v1/verifications", &body).await;
        assert_eq!(
            (heard.code(), heard.header("www-authenticate")),
            ((401, "invalid-key"), "Bearer"),
            "{key}"
        );
    }
    let restricted = phone.with_key(server.text("restricted_key"));
    for origin in [
        "https://evil.com",
        "https://evilmybrand.com",
        "https://mybrand.com.evil.com",
        "null",
        "https://mybrand.com@evil.com",
        "file://mybrand.com",
        "",
    ] {
        let heard =
            restricted.with("origin", origin).post("/v1/verifications", &json!("no body is read")).await;
        assert_eq!(heard.code(), (403, "origin-not-allowed"), "{origin}");
        assert_eq!(heard.header("access-control-allow-origin"), "");
    }
    assert_eq!(restricted.post("/v1/verifications", &body).await.code(), (403, "origin-not-allowed"));
    let inboxes_heard = || server.metric("authepy_shard_messages_total");
    assert_eq!(inboxes_heard(), 0);
    for origin in ["https://mybrand.com", "https://a.b.MyBrand.com:8443", "capacitor://localhost"] {
        let heard = restricted.with("origin", origin).post("/v1/verifications", &body).await;
        assert_eq!((heard.status.as_u16(), heard.header("access-control-allow-origin")), (202, origin));
        assert_eq!(heard.header("vary"), "Origin");
    }
    assert_eq!(inboxes_heard(), 3, "the counter counts what it is read for");
    let app = restricted.with("origin", "https://mybrand.com");
    let configured =
        app.post("/v1/verifications", &json!({"recipient": "ada@example.com", "lifetime": 60})).await;
    assert_eq!(configured.code(), (403, "key-class-forbidden"));
    assert_eq!(app.get("/v1/verifications/vrf_x").await.code(), (403, "key-class-forbidden"));
    let preflight = phone
        .with_key("")
        .with("origin", "https://mybrand.com")
        .send("OPTIONS", "/v1/verifications", None)
        .await;
    assert_eq!(
        (preflight.status.as_u16(), preflight.header("access-control-allow-origin")),
        (204, "https://mybrand.com")
    );
    let preflight = phone
        .with_key("")
        .with("origin", "https://evil.com")
        .send("OPTIONS", "/v1/verifications", None)
        .await;
    assert_eq!((preflight.status.as_u16(), preflight.header("access-control-allow-origin")), (204, ""));
    let exposed = server.metric("authepy_key_exposed_total");
    assert_eq!(phone.with("origin", "https://evil.com").post("/v1/verifications", &body).await.status, 202);
    assert_eq!(server.metric("authepy_key_exposed_total"), exposed + 1);
}

async fn an_operator_may_teach_how_a_provider_folds(wire: Wire) {
    let server = DevServer::start(&[
        "limits.recipient.issue=2/10m",
        r#"recipients.families=[{domains=["corp.example.net", "corp.example.org"], cut_before="-", ignored="_", one_account=true}]"#,
    ]);
    let phone = Phone::over(wire, &server).await;
    phone.issue("ada@corp.example.net").await;
    phone.issue("a_d_a-shop@corp.example.org").await;
    let heard = phone.post("/v1/verifications", &json!({"recipient": "ADA-2@corp.example.net"})).await;
    assert_eq!((heard.code(), &heard.body["policy"]), ((429, "rate-limited"), &json!("recipient")));
}

async fn aliases_share_one_budget_and_test_keys_have_their_own(wire: Wire) {
    let server = DevServer::start(&["limits.recipient.issue=2/10m"]);
    let phone = Phone::over(wire, &server).await;
    phone.issue("ada@gmail.com").await;
    phone.issue("a.d.a+1@googlemail.com").await;
    let heard = phone.post("/v1/verifications", &json!({"recipient": "ADA+2@gmail.com"})).await;
    assert_eq!((heard.code(), &heard.body["policy"]), ((429, "rate-limited"), &json!("recipient")));
    assert!((590..=600).contains(&heard.header("retry-after").parse::<u64>().unwrap()));
    for [first, second, third] in [
        ["a@ada.anonaddy.com", "b+1@x.ada.anonaddy.me", "c@ada.addymail.com"],
        ["a@ada.mozmail.com", "b@ada.mozmail.com", "c@x.y.ada.mozmail.com"],
        ["a@ada.simplelogin.com", "b@ada.simplelogin.com", "c@x.ada.simplelogin.com"],
        ["ada@mailbox.org", "ada@secure.mailbox.org", "ada+1@tls.mailbox.org"],
    ] {
        phone.issue(first).await;
        phone.issue(second).await;
        let heard = phone.post("/v1/verifications", &json!({"recipient": third})).await;
        assert_eq!((heard.code(), &heard.body["policy"]), ((429, "rate-limited"), &json!("recipient")));
        assert!(!heard.body["detail"].as_str().unwrap().contains("ada"));
    }
    phone.issue("a@eve.anonaddy.com").await;
    phone.issue("a@eve.mozmail.com").await;
    let test = phone.with_key(server.text("secret_test_key"));
    let id = test.issue("ada@gmail.com").await;
    assert_eq!(
        phone.check(&id, "000000").await.code(),
        (404, "verification-not-found"),
        "a live key sees no test code"
    );
    assert_eq!(test.check(&id, "000000").await.body["valid"], true);
    assert_eq!(server.codes_for("ada@gmail.com", 1).len(), 1);
}
