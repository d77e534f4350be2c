//! Bodies that are not what they should be (attack rows A59 and A09), over every wire: the contract's answer,
//! nothing changed, nobody hurt, nothing said.

authepy_testkit::over_every_wire!(
    no_file_of_the_json_test_suite_changes_anything,
    hostile_bodies_are_named_for_what_they_are,
    only_a_string_of_digits_is_a_code,
    naughty_strings_get_the_contracts_answers_and_stay_out_of_the_log,
);

use std::path::PathBuf;

use authepy_testkit::phone::{Heard, Phone, Wire};
use authepy_testkit::{DevServer, NO_LIMITS};
use http::{HeaderValue, Uri};
use serde_json::{Value, json};

const BODY_BYTES: usize = 8 << 10;

fn corpora(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpora").join(path)
}

/// Name and content of each file of JSONTestSuite, in the order of their names.
fn json_test_suite() -> Vec<(String, Vec<u8>)> {
    let text = std::fs::read_to_string(corpora("JSONTestSuite/test_parsing.hex")).unwrap();
    let octet = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    let file = |line: &str| {
        // One of them is empty.
        let (name, hex) = line.split_once(' ').unwrap_or((line, ""));
        (name.to_owned(), hex.as_bytes().chunks(2).map(octet).collect())
    };
    text.lines().map(file).collect()
}

/// The routes that read a body. No verification has this id.
fn routes() -> [String; 4] {
    let id = "/v1/verifications/vrf_0000000000000000000000000";
    [
        "/v1/verifications".to_owned(),
        format!("{id}/check"),
        format!("{id}/resend"),
        "/v1/receipts/introspect".to_owned(),
    ]
}

async fn no_file_of_the_json_test_suite_changes_anything(wire: Wire) {
    let server = DevServer::start(&NO_LIMITS);
    let phone = Phone::over(wire, &server).await;
    let files = json_test_suite();
    assert_eq!((files.len(), files.iter().filter(|(name, _)| name.starts_with("y_")).count()), (318, 95));
    for (name, body) in &files {
        // None of them is a request, not even the ones that are JSON.
        let expected =
            if body.len() > BODY_BYTES { (413, "body-too-large") } else { (400, "malformed-request") };
        for route in routes() {
            let heard = phone.send("POST", &route, Some(body)).await;
            assert_eq!(heard.code(), expected, "{name} to {route}");
        }
    }
    assert_eq!(server.metric("authepy_shard_messages_total"), 0, "no shard heard of any of it");
    // Under an idempotency key the body is read for its digest first.
    let keyed = phone.with("idempotency-key", "json");
    for (name, body) in &files {
        let expected = if body.len() > BODY_BYTES { 413 } else { 400 };
        let heard = keyed.send("POST", "/v1/verifications", Some(body)).await;
        assert_eq!(heard.status, expected, "{name} under a key");
    }
    assert_eq!(server.metric("authepy_mail_total{outcome=\"sent\"}"), 0);
    let refused = server.metric("authepy_refusals_total{reason=\"malformed_request\"}");
    assert_eq!(refused + server.metric("authepy_refusals_total{reason=\"body_too_large\"}"), 5 * 318);
    phone.issue("alive@example.com").await;
}

async fn hostile_bodies_are_named_for_what_they_are(wire: Wire) {
    let server = DevServer::start(&NO_LIMITS);
    let phone = Phone::over(wire, &server).await;
    let good = r#"{"recipient":"a@example.com"}"#;
    let utf16 = |units: fn(u16) -> [u8; 2]| good.encode_utf16().flat_map(units).collect::<Vec<u8>>();
    let nested = |open: &str, close: &str, depth: usize| {
        [open.repeat(depth), close.repeat(depth)].concat().into_bytes()
    };
    let text = |text: &str| text.as_bytes().to_vec();
    let many: String = (0..1_000_000).map(|n| format!("\"k{n}\":1,")).collect();
    let (malformed, too_large) = ((400, "malformed-request"), (413, "body-too-large"));
    for (name, body, expected) in [
        ("arrays 100,000 deep", nested("[", "]", 100_000), too_large),
        ("arrays 4,000 deep", nested("[", "]", 4_000), malformed),
        ("objects 1,000 deep", nested("{\"a\":", "}", 1_000), malformed),
        (
            "deep metadata",
            text(&format!(r#"{{"recipient":"a@example.com","metadata":{}}}"#, "[".repeat(4_000))),
            malformed,
        ),
        ("10^6 members", format!("{{{many}\"recipient\":\"a@example.com\"}}").into_bytes(), too_large),
        ("recipient twice", text(r#"{"recipient":"a@example.com","recipient":"b@example.com"}"#), malformed),
        (
            "recipient twice, once escaped",
            text(r#"{"recipient":"a@example.com","\u0072ecipient":"b@example.com"}"#),
            malformed,
        ),
        (
            "client.ip twice",
            text(r#"{"recipient":"a@example.com","client":{"ip":"1.1.1.1","ip":"2.2.2.2"}}"#),
            malformed,
        ),
        ("client as an array", text(r#"{"recipient":"a@example.com","client":["1.1.1.1"]}"#), malformed),
        ("a byte order mark", [b"\xef\xbb\xbf", good.as_bytes()].concat(), malformed),
        ("UTF-16LE", utf16(u16::to_le_bytes), malformed),
        ("UTF-16BE", utf16(u16::to_be_bytes), malformed),
        ("UTF-16 with its mark", [&[0xff, 0xfe][..], &utf16(u16::to_le_bytes)].concat(), malformed),
        ("invalid UTF-8", b"{\"recipient\":\"a\xff@example.com\"}".to_vec(), malformed),
        ("overlong UTF-8", b"{\"recipient\":\"a\xc0\xaf@example.com\"}".to_vec(), malformed),
        ("a lone high surrogate", text(r#"{"recipient":"a\ud800@example.com"}"#), malformed),
        ("a lone low surrogate", text(r#"{"recipient":"a\udc00@example.com"}"#), malformed),
        ("surrogates the wrong way round", text(r#"{"recipient":"a\udc00\ud800@example.com"}"#), malformed),
        ("__proto__", text(r#"{"recipient":"a@example.com","__proto__":{"admin":true}}"#), malformed),
        ("constructor", text(r#"{"recipient":"a@example.com","constructor":{"prototype":{}}}"#), malformed),
        ("NaN", text(r#"{"recipient":"a@example.com","lifetime":NaN}"#), malformed),
        ("infinity", text(r#"{"recipient":"a@example.com","lifetime":1e999}"#), malformed),
        ("a fraction", text(r#"{"recipient":"a@example.com","lifetime":60.0}"#), malformed),
        ("below zero", text(r#"{"recipient":"a@example.com","lifetime":-60}"#), malformed),
        (
            "a number too long",
            text(r#"{"recipient":"a@example.com","lifetime":18446744073709551676}"#),
            malformed,
        ),
        ("text behind it", text(&format!("{good}x")), malformed),
        ("itself behind it", text(&good.repeat(2)), malformed),
        ("a zero behind it", text(&format!("{good}\0")), malformed),
        ("a comment", text(&format!("/*x*/{good}")), malformed),
        ("single quotes", text("{'recipient':'a@example.com'}"), malformed),
        ("a comma too many", text(r#"{"recipient":"a@example.com",}"#), malformed),
        ("a raw line end in a string", text("{\"recipient\":\"a\n@example.com\"}"), malformed),
        ("gzip that is not announced", gzip(), malformed),
    ] {
        let heard = phone.send("POST", "/v1/verifications", Some(&body)).await;
        assert_eq!(heard.code(), expected, "{name}");
    }
    let unsupported = (415, "unsupported-media-type");
    for coding in ["gzip", "GZIP", "deflate", "br", "zstd", "gzip, identity", "x-gzip"] {
        let heard =
            phone.with("content-encoding", coding).send("POST", "/v1/verifications", Some(&gzip())).await;
        assert_eq!(heard.code(), unsupported, "{coding}");
    }
    for media in
        ["text/json", "application/json; charset=utf-16", "application/jsonp", "application/json5", "*/*", ""]
    {
        let heard =
            phone.with("content-type", media).send("POST", "/v1/verifications", Some(good.as_bytes())).await;
        assert_eq!(heard.code(), unsupported, "{media}");
    }
    assert_eq!(server.metric("authepy_shard_messages_total"), 0);
    assert_eq!(server.metric("authepy_mail_total{outcome=\"sent\"}"), 0);
    phone.issue("alive@example.com").await;
}

/// `{"recipient":"a@example.com"}` in one stored block (RFC 1952).
fn gzip() -> Vec<u8> {
    let body = br#"{"recipient":"a@example.com"}"#;
    let head = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 29, 0, 0xe2, 0xff];
    [&head[..], body, &[0; 4], &[29, 0, 0, 0]].concat()
}

async fn only_a_string_of_digits_is_a_code(wire: Wire) {
    let server = DevServer::start(&NO_LIMITS);
    let phone = Phone::over(wire, &server).await.with_key(server.text("secret_test_key"));
    let id = phone.issue("ada@example.com").await;
    let path = format!("/v1/verifications/{id}/check");
    let (malformed, no_code, too_large) =
        ((400, "malformed-request"), (422, "malformed-code"), (413, "body-too-large"));
    let long = |digits: usize| format!("\"{}\"", "0".repeat(digits));
    let (eight_thousand, million) = (long(8_000), long(1_000_000));
    // Every one of them would be 000000 to a reader who is kind enough.
    for (typed, expected) in [
        ("0", malformed),
        ("000000", malformed),
        ("0.0", malformed),
        ("null", malformed),
        ("true", malformed),
        ("false", malformed),
        ("[]", malformed),
        ("[\"000000\"]", malformed),
        ("[0,0,0,0,0,0]", malformed),
        ("{}", malformed),
        ("{\"$ne\":\"\"}", malformed),
        ("{\"$gt\":\"\"}", malformed),
        ("\"\"", no_code),
        ("\"0\"", no_code),
        ("\"00000\"", no_code),
        ("\"0000000\"", no_code),
        ("\"+000000\"", no_code),
        ("\"000000.0\"", no_code),
        ("\"0e0\"", no_code),
        ("\"0x0000\"", no_code),
        ("\"0b0000\"", no_code),
        ("\"000000\\u0000\"", no_code),
        ("\"\\u0000000000\"", no_code),
        ("\"000000;\"", no_code),
        ("\"000000' OR '1'='1\"", no_code),
        ("\"OOOOOO\"", no_code),
        ("\"%30%30%30%30%30%30\"", no_code),
        ("\"²²²²²²\"", no_code),
        ("\"ⅠⅠⅠⅠⅠⅠ\"", no_code),
        ("\"①①①①①①\"", no_code),
        ("\"〇〇〇〇〇〇\"", no_code),
        (&eight_thousand, no_code),
        (&million, too_large),
    ] {
        let heard = phone.send("POST", &path, Some(format!("{{\"code\":{typed}}}").as_bytes())).await;
        assert_eq!(heard.code(), expected, "{}", &typed[..typed.len().min(40)]);
    }
    let wrong = phone.check(&id, "111111").await;
    assert_eq!(wrong.body["attempts_remaining"], 4, "none of them spent a try");
    // The documented kindness: white space, dashes, and decimal digits of any script.
    for typed in
        ["000000", " 000 000 ", "000-000", "\t0 0-0 0-0 0\u{a0}", "００００００", "٠٠٠٠٠٠", "０००-०೦𝟎"]
    {
        let id = phone.issue("ada@example.com").await;
        assert_eq!(phone.check(&id, typed).await.body["valid"], true, "{typed:?}");
    }
}

/// Whether an answer is one of the contract's, in its own form.
fn assert_answer(heard: &Heard, what: &str) {
    let status = heard.status.as_u16();
    match status {
        200 | 202 | 204 => {}
        400 | 401 | 403 | 404 | 422 => {
            assert_eq!(heard.header("content-type"), "application/problem+json", "{what}");
            assert_eq!(heard.body["type"], format!("/problems/{}", heard.body["code"].as_str().unwrap()));
            assert_eq!(heard.body["status"], status, "{what}");
        }
        other => panic!("{other} to {what}"),
    }
}

async fn naughty_strings_get_the_contracts_answers_and_stay_out_of_the_log(wire: Wire) {
    let server = DevServer::start(&[&NO_LIMITS[..], &["log.level=debug"]].concat());
    let phone = Phone::over(wire, &server).await.with_key(server.text("secret_test_key"));
    let app = phone.with_key(server.text("restricted_test_key"));
    let strings: Vec<String> =
        serde_json::from_slice(&std::fs::read(corpora("blns/blns.json")).unwrap()).unwrap();
    assert!(strings.len() > 500);
    let [issue, _, _, introspect] = routes();
    let id = phone.issue("live@example.com").await;
    let (check, resend) = (format!("/v1/verifications/{id}/check"), format!("/v1/verifications/{id}/resend"));
    let (mut as_header, mut as_path) = (0, 0);
    for (n, text) in strings.iter().enumerate() {
        // A fresh inbox each time: one inbox has room for so many live codes.
        let fresh = |member: &str| format!("{member}{n}@example.com");
        let with = |member: &str| {
            let mut body = json!({"recipient": fresh(member)});
            body[member] = Value::from(text.as_str());
            body
        };
        for member in ["recipient", "purpose", "locale", "nonce", "template"] {
            assert_answer(&phone.post(&issue, &with(member)).await, &format!("{member} {text:?}"));
        }
        let client = json!({"recipient": fresh("client"), "client": {"ip": text}});
        assert_eq!(phone.post(&issue, &client).await.code(), (400, "malformed-request"), "ip {text:?}");
        let metadata = json!({"recipient": fresh("metadata"), "metadata": {text: text}});
        assert_answer(&phone.post(&issue, &metadata).await, &format!("metadata {text:?}"));
        // A nonce that was never given is a mismatch before anything is compared.
        let body = json!({"code": text, "nonce": text, "recipient": text});
        assert_answer(&phone.post(&check, &body).await, &format!("check {text:?}"));
        let heard = phone.post(&check, &json!({"code": text})).await;
        assert!(heard.body["valid"] != true, "code {text:?}");
        assert_answer(&heard, &format!("code {text:?}"));
        assert_answer(&phone.post(&resend, &json!({"recipient": text})).await, &format!("resend {text:?}"));
        assert_eq!(phone.post(&introspect, &json!({"receipt": text})).await.body, json!({"active": false}));

        // White space around a value is no part of it on one wire, and malformed on the others.
        if HeaderValue::from_str(text).is_ok_and(|value| value.to_str().is_ok()) && text.trim() == text {
            as_header += 1;
            let keyed = phone.with("idempotency-key", text);
            assert_answer(&keyed.post(&issue, &json!({"recipient": fresh("keyed")})).await, text);
            let heard = app.with("origin", text).post(&issue, &json!({"recipient": fresh("app")})).await;
            assert_eq!(heard.code(), (403, "origin-not-allowed"), "{text:?}");
        }
        let path = format!("/v1/verifications/{text}");
        if text.starts_with(|first: char| !matches!(first, '/' | '?' | '#'))
            && path.parse::<Uri>().is_ok_and(|uri| uri.path() == path && path.is_ascii())
        {
            as_path += 1;
            assert_answer(&phone.get(&path).await, &path);
        }
    }
    assert!(as_header > 250 && as_path > 50, "{as_header} headers, {as_path} paths");
    assert_eq!(phone.get("/healthz").await.status, 200);
    // What surely is logged shows that the log was on, and that all before it has been read.
    let exposed = phone.with_key(server.text("secret_key")).with("sec-fetch-mode", "cors");
    assert_eq!(exposed.get("/v1/verifications/vrf_x").await.status, 404);
    server.log_says("key.exposed", 1);
    let log = server.log();
    for text in strings.iter().filter(|text| text.len() >= 12) {
        assert!(!log.contains(text.as_str()), "{text:?} is in the log");
    }
}
