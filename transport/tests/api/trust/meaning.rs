//! What a receipt says is what the server knows, not what a page typed.

use serde_json::{Value, json};

use super::{claims, receipt};
use authepy_testkit::phone::{Phone, Wire};
use authepy_testkit::{DevServer, NO_LIMITS};

/// Finding S2: a receipt without an address leaves a backend to believe the page.
pub(super) async fn a_page_says_whose_code_it_checks(wire: Wire) {
    let server = DevServer::start(&NO_LIMITS);
    let backend = Phone::over(wire, &server).await;
    for (n, (page_key, secret_key)) in
        [("restricted_key", "secret_key"), ("restricted_test_key", "secret_test_key")].into_iter().enumerate()
    {
        let page = backend.as_page(&server).with_key(server.text(page_key));
        let own = backend.with_key(server.text(secret_key));
        let recipient = format!("ada{n}@example.com");
        let id = page.issue(&recipient).await;
        let code = if n == 0 { server.code_for(&recipient) } else { "000000".to_owned() };
        let check = format!("/v1/verifications/{id}/check");
        for body in [
            json!({"code": code}),
            json!({"code": code, "recipient": null}),
            json!({"code": code, "receipt": true}),
            json!({"code": code, "receipt": false}),
            json!({"code": "111111"}),
            json!({"code": "not a code"}),
        ] {
            assert_eq!(page.post(&check, &body).await.code(), (422, "recipient-required"), "{body}");
        }
        let standing = own.get(&format!("/v1/verifications/{id}")).await;
        assert_eq!(standing.body["attempts_remaining"], 5, "no try is spent");
        let heard = page.post(&check, &json!({"code": code, "recipient": "eve@example.com"})).await;
        assert_eq!(heard.code(), (422, "recipient-mismatch"));
        let heard = page.check_of(&recipient, &id, &code).await;
        assert_eq!(heard.body["valid"], true, "{:?}", heard.body);
        assert_eq!(claims(&receipt(&heard))["email"], recipient);
    }
    let refused = "authepy_refusals_total{reason=\"recipient_required\"}";
    assert_eq!(server.metric(refused), 6, "test keys are not in it");
}

/// A page gets a receipt unless it wants none, a backend gets none unless it wants one.
#[tokio::test]
async fn who_hears_the_verdict_itself_asks_for_a_receipt() {
    let server = DevServer::start(&NO_LIMITS);
    let backend = Phone::connect(&server).await.with_key(server.text("secret_test_key"));
    let page = backend.as_page(&server).with_key(server.text("restricted_test_key"));
    let cases = [
        (&page, json!(null), true),
        (&page, json!(true), true),
        (&page, json!(false), false),
        (&backend, json!(null), false),
        (&backend, json!(true), true),
        (&backend, json!(false), false),
    ];
    for (n, (phone, wanted, expected)) in cases.into_iter().enumerate() {
        let recipient = format!("ada{n}@example.com");
        let check = format!("/v1/verifications/{}/check", phone.issue(&recipient).await);
        let body = json!({"code": "000000", "recipient": recipient, "receipt": wanted});
        let heard = phone.post(&check, &body).await;
        assert_eq!(
            (&heard.body["valid"], heard.body.get("receipt").is_some()),
            (&json!(true), expected),
            "{body}"
        );
    }
    let check = format!("/v1/verifications/{}/check", backend.issue("bob@example.com").await);
    for wrong in [json!("true"), json!(1), json!({})] {
        let body = json!({"code": "000000", "receipt": wrong});
        assert_eq!(backend.post(&check, &body).await.code(), (400, "malformed-request"), "{wrong}");
    }
    // A backend that does not say whose code it is gets a receipt that does not say so either.
    let heard = backend.post(&check, &json!({"code": "000000", "receipt": true})).await;
    let claims = claims(&receipt(&heard));
    assert!(claims.get("email").is_none() && claims.get("email_verified").is_none(), "{claims}");
}

/// Findings S14 and I3: one mailbox has many spellings, and a receipt has one. Issued to, checked as, signed.
const SPELLINGS: &[(&str, &str, &str)] = &[
    ("ada@mail.corp.com", "ada@ｍａｉｌ。corp．com", "ada@mail.corp.com"),
    ("ada@mail.corp.com", "ada@MAIL.Corp.COM", "ada@mail.corp.com"),
    ("ada@ｍａｉｌ。corp．com", "ada@mail.corp.com", "ada@mail.corp.com"),
    ("ada@bücher.example", "ada@BÜCHER.example", "ada@xn--bcher-kva.example"),
    ("ada@xn--bcher-kva.example", "ada@bücher.example", "ada@xn--bcher-kva.example"),
    ("ada@straße.example", "ada@straße.example", "ada@xn--strae-oqa.example"),
    // The spelling of the issue is not kept, so the local part is the check's.
    ("Ada.L@mail.corp.com", "ada.l@mail.corp.com", "ada.l@mail.corp.com"),
    ("ada.l@mail.corp.com", "Ada.L@Mail.corp.com", "Ada.L@mail.corp.com"),
    ("Ada+News@gmail.com", "ada+news@GMAIL.com", "ada+news@gmail.com"),
];

#[tokio::test]
async fn a_receipt_has_one_spelling_of_an_address() {
    let server = DevServer::start(&[&NO_LIMITS[..], &["codes.resend_after=0s"]].concat());
    let backend = Phone::connect(&server).await;
    let page = backend.as_page(&server).with_key(server.text("restricted_test_key"));
    for (issued_to, checked_as, signed) in SPELLINGS {
        let id = page.issue(issued_to).await;
        let again = json!({"recipient": checked_as});
        let resent = page.post(&format!("/v1/verifications/{id}/resend"), &again).await;
        assert_eq!(resent.status, 202, "{issued_to} as {checked_as}: {:?}", resent.body);
        let heard = page.check_of(checked_as, &id, "000000").await;
        let expected = json!({"email": signed, "email_verified": true});
        assert_eq!(said_of_the_address(&claims(&receipt(&heard))), expected, "{issued_to} as {checked_as}");
    }
}

fn said_of_the_address(claims: &Value) -> Value {
    json!({"email": claims["email"], "email_verified": claims["email_verified"]})
}

/// Limits take aliases for one inbox; an address is no other one because of that.
#[tokio::test]
async fn an_alias_is_not_the_address_that_was_mailed() {
    let server = DevServer::start(&[&NO_LIMITS[..], &["codes.resend_after=0s"]].concat());
    let backend = Phone::connect(&server).await;
    let page = backend.as_page(&server).with_key(server.text("restricted_test_key"));
    let id = page.issue("ada.l@gmail.com").await;
    for other in
        ["adal@gmail.com", "ada.l+1@gmail.com", "ada.l@googlemail.com", "âda.l@gmail.com", "ad.al@gmail.com"]
    {
        assert_eq!(page.check_of(other, &id, "000000").await.code(), (422, "recipient-mismatch"), "{other}");
        let resent = page.post(&format!("/v1/verifications/{id}/resend"), &json!({"recipient": other})).await;
        assert_eq!(resent.code(), (422, "recipient-mismatch"), "{other}");
    }
    let beyond_ascii = page.issue("Âda@gmail.com").await;
    let heard = page.check_of("âda@gmail.com", &beyond_ascii, "000000").await;
    assert_eq!(heard.code(), (422, "recipient-mismatch"), "case beyond ASCII is not folded");
    assert_eq!(page.check_of("ADA.L@gmail.com", &id, "000000").await.body["valid"], true);
}
