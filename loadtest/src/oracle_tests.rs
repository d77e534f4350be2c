//! The oracle is the only thing between a wrong answer and a green run, so it is fed wrong ones here.
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::answers::hints_at;
use super::*;

const ID: &str = "vrf_0123456789abcdefghijAB";
const RECIPIENT: &str = "user1-1@example.com";

fn answer(status: u16, body: &Value) -> Answer {
    let kind = if status >= 400 { "application/problem+json" } else { "application/json" };
    let location = format!("/v1/verifications/{ID}");
    let head = http::Response::builder()
        .status(status)
        .header("cache-control", "no-store")
        .header("x-content-type-options", "nosniff")
        .header("x-request-id", "req_1")
        .header("date", "Mon, 23 Nov 2026 10:00:00 GMT")
        .header("content-type", kind)
        .header("location", location);
    let (parts, ()) = head.body(()).unwrap().into_parts();
    Answer { status, headers: parts.headers, body: body.to_string().into() }
}

fn issue() -> Value {
    json!({"id": ID, "status": "pending", "channel": "email", "purpose": "login",
           "recipient_hint": "u***@example.com", "code_length": 6, "expires_in": 300,
           "expires_at": "2026-11-23T10:05:00Z", "resend_in": 30, "sends_remaining": 4, "attempts_remaining": 5})
}

fn approval() -> Value {
    let claims = json!({"iss": "authepy", "aud": "dev", "sub": ID, "purpose": "login", "amr": ["otp"],
                        "email": RECIPIENT, "email_verified": true, "mode": "test",
                        "iat": 1, "exp": 121, "jti": "x"});
    approval_with(&claims)
}

fn approval_with(claims: &Value) -> Value {
    let claims = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
    json!({"id": ID, "status": "approved", "valid": true, "verified_at": "2026-11-23T10:00:01Z",
           "receipt": format!("eyJ9.{claims}.sig")})
}

fn problem(status: u16, code: &str) -> Value {
    json!({"type": format!("/problems/{code}"), "title": "t", "status": status, "detail": "d", "code": code,
           "request_id": "req_1"})
}

fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

const ISSUED: Expect<'_> =
    Expect::Issued { recipient: "user1-1@example.com", purpose: "login", inbox: None, origin: None };
const APPROVED: Expect<'_> =
    Expect::Approved { id: ID, purpose: "login", recipient: RECIPIENT, mode: "test" };
const INCORRECT: Expect<'_> = Expect::Incorrect { id: ID, attempts: 5 };

fn wrong(expect: &Expect<'_>, answer: &Answer) -> Vec<String> {
    match judge(expect, answer) {
        Verdict::Wrong(kinds) => kinds,
        other => panic!("{other:?} for {answer:?}"),
    }
}

#[test]
fn answers_of_the_contract_are_right() {
    let incorrect = json!({"id": ID, "status": "pending", "valid": false, "reason": "incorrect", "attempts_remaining": 4});
    assert_eq!(judge(&ISSUED, &answer(202, &issue())), Verdict::Right);
    assert_eq!(judge(&INCORRECT, &answer(200, &incorrect)), Verdict::Right);
    assert_eq!(judge(&APPROVED, &answer(200, &approval())), Verdict::Right);
    let gone = answer(404, &problem(404, "verification-not-found"));
    assert_eq!(judge(&Expect::Gone, &gone), Verdict::Right);
}

#[test]
fn every_changed_member_of_an_issue_answer_is_seen() {
    for name in issue().as_object().unwrap().keys() {
        let kinds = wrong(&ISSUED, &answer(202, &with(issue(), name, json!({}))));
        assert!(kinds.contains(&format!("member {name}")), "{name}: {kinds:?}");
    }
    let leaked = with(issue(), "code", json!("123456"));
    assert_eq!(wrong(&ISSUED, &answer(202, &leaked)), ["a code in the answer"]);
}

#[test]
fn a_replay_that_is_approved_is_wrong() {
    assert!(wrong(&Expect::Gone, &answer(200, &approval())).contains(&"status 200 for 404".into()));
}

#[test]
fn a_wrong_code_that_costs_no_try_or_passes_is_wrong() {
    let free = json!({"id": ID, "status": "pending", "valid": false, "reason": "incorrect", "attempts_remaining": 5});
    assert_eq!(wrong(&INCORRECT, &answer(200, &free)), ["member attempts_remaining"]);
    assert!(wrong(&INCORRECT, &answer(200, &approval())).contains(&"a receipt for a wrong code".into()));
}

#[test]
fn a_receipt_for_another_verification_is_wrong() {
    let other = Expect::Approved { id: "vrf_other", purpose: "login", recipient: RECIPIENT, mode: "test" };
    assert!(wrong(&other, &answer(200, &approval())).contains(&"receipt claim sub".into()));
}

#[test]
fn a_receipt_that_says_something_else_is_wrong() {
    let receipt = answers::claims(approval()["receipt"].as_str().unwrap());
    for name in ["sub", "purpose", "email", "email_verified", "mode", "amr"] {
        let other = approval_with(&with(receipt.clone(), name, json!("other")));
        assert_eq!(wrong(&APPROVED, &answer(200, &other)), [format!("receipt claim {name}")]);
    }
}

#[test]
fn a_missing_or_repeated_header_is_wrong() {
    for name in
        ["cache-control", "x-content-type-options", "x-request-id", "date", "location", "content-type"]
    {
        let (mut without, mut twice) = (answer(202, &issue()), answer(202, &issue()));
        let value = without.headers.remove(name).unwrap();
        twice.headers.append(http::HeaderName::from_static(name), value);
        assert_eq!(wrong(&ISSUED, &without), [format!("header {name}")]);
        assert_eq!(wrong(&ISSUED, &twice), [format!("header {name}")]);
    }
}

#[test]
fn a_refusal_is_right_only_with_its_reason_and_its_end() {
    let limited = with(problem(429, "rate-limited"), "policy", json!("peer"));
    let mut refusal = answer(429, &limited);
    assert_eq!(wrong(&ISSUED, &refusal), ["header retry-after"]);
    refusal.headers.insert("retry-after", http::HeaderValue::from_static("soon"));
    assert_eq!(wrong(&ISSUED, &refusal), ["header retry-after"]);
    refusal.headers.insert("retry-after", http::HeaderValue::from_static("17"));
    assert_eq!(judge(&ISSUED, &refusal), Verdict::Refused("429 rate-limited peer".into()));
    refusal.body = with(limited, "policy", json!("resend")).to_string().into();
    assert_eq!(wrong(&ISSUED, &refusal), ["refusal 429 rate-limited resend out of place"]);
}

#[test]
fn a_body_that_is_no_json_is_wrong() {
    let mut garbled = answer(202, &issue());
    garbled.body = "<html>".into();
    assert!(wrong(&ISSUED, &garbled).contains(&"member id".into()));
}

#[test]
fn a_guess_at_a_time_is_incorrect_exhausted_or_too_late() {
    let guess = Expect::Guess { id: ID, inbox: "ada" };
    let last =
        json!({"id": ID, "status": "failed", "valid": false, "reason": "exhausted", "attempts_remaining": 0});
    assert_eq!(judge(&guess, &answer(200, &last)), Verdict::Right);
    assert_eq!(judge(&guess, &answer(404, &problem(404, "verification-not-found"))), Verdict::Right);
    let more = with(last, "attempts_remaining", json!(1));
    assert_eq!(wrong(&guess, &answer(200, &more)), ["member reason", "member status"]);
    assert!(wrong(&guess, &answer(200, &approval())).contains(&"a receipt for a wrong code".into()));
}

#[test]
fn a_page_may_read_what_its_own_origin_was_answered_and_nothing_else() {
    let page = Expect::Issued {
        recipient: "user1-1@example.com",
        purpose: "login",
        inbox: None,
        origin: Some("https://mybrand.com"),
    };
    assert_eq!(wrong(&page, &answer(202, &issue())), ["header access-control-allow-origin", "header vary"]);
    let mut read = answer(202, &issue());
    read.headers.insert("access-control-allow-origin", http::HeaderValue::from_static("https://mybrand.com"));
    read.headers.insert("vary", http::HeaderValue::from_static("Origin"));
    assert_eq!(judge(&page, &read), Verdict::Right);
    assert!(wrong(&ISSUED, &read).contains(&"header access-control-allow-origin".into()));
    let denied = Expect::Denied { status: 403, code: "origin-not-allowed" };
    let mut refusal = answer(403, &problem(403, "origin-not-allowed"));
    assert_eq!(judge(&denied, &refusal), Verdict::Right);
    refusal.headers.insert("access-control-allow-origin", http::HeaderValue::from_static("*"));
    assert_eq!(wrong(&denied, &refusal), ["readable by a foreign page"]);
}

#[test]
fn a_hint_shows_one_letter_and_the_domain() {
    assert!(hints_at("A***@example.com", "Ada@Example.com"));
    assert!(hints_at("t***@fastmail.com", "t7@ada.fastmail.com"), "the label names the account");
    for hint in ["ada***@example.com", "b***@example.com", "a***@le.com", "a***", "ada@example.com"] {
        assert!(!hints_at(hint, "ada@example.com"), "{hint}");
    }
}
