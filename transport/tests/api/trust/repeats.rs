//! Whose an idempotency key is, what it stands for, and for how long. The last also by a clock that jumps:
//! `faults/clocks.rs`.

use std::net::Ipv4Addr;

use serde_json::json;

use authepy_testkit::DevServer;
use authepy_testkit::phone::{Heard, Phone, Wire};

const KEY: &str = "idempotency-key";
const UUID: &str = "8e03978e-40d5-43dd-bc93-6894a57f9324";
const VICTIM: Ipv4Addr = Ipv4Addr::new(127, 40, 0, 1);
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 40, 0, 2);

/// A page at this address that asks under this idempotency key.
async fn page(server: &DevServer, address: Ipv4Addr, key: &str) -> Phone {
    Phone::connect_from(server, address).await.as_page(server).with(KEY, key)
}

async fn issue(phone: &Phone, recipient: &str) -> Heard {
    phone.post("/v1/verifications", &json!({"recipient": recipient, "purpose": "login"})).await
}

fn id(heard: &Heard) -> &str {
    heard.body["id"].as_str().unwrap_or_else(|| panic!("no id in {:?}", heard.body))
}

fn wrong(code: &str) -> &'static str {
    if code == "000000" { "111111" } else { "000000" }
}

/// Finding S12: a restricted key is public, and an idempotency key can be guessed.
#[tokio::test]
async fn a_stranger_who_guesses_an_idempotency_key_learns_nothing_of_anothers_verification() {
    let server = DevServer::start(&["engine.shards=2"]);
    const ADA: &str = "ada@example.com";
    let victim = page(&server, VICTIM, "signup-ada").await;
    let first = issue(&victim, ADA).await;
    let code = server.code_for(ADA);

    let stranger = page(&server, STRANGER, "signup-ada").await;
    let other_body = issue(&stranger, "eve@example.com").await;
    assert_eq!(other_body.status, 202, "not even that the key is in use: {:?}", other_body.body);
    let same_body = issue(&page(&server, Ipv4Addr::new(127, 40, 0, 3), "signup-ada").await, ADA).await;
    assert_eq!((same_body.status.as_u16(), same_body.header("idempotency-replayed")), (202, ""));
    assert_ne!(id(&same_body), id(&first));
    let plain = Phone::connect_from(&server, STRANGER).await.as_page(&server);
    for left in (0..5).rev() {
        let heard = plain.check_of(ADA, id(&same_body), wrong(&code)).await;
        assert_eq!(heard.body["attempts_remaining"], left, "{:?}", heard.body);
    }

    // The victim asks again from the same network, and signs in with all its tries.
    let again = issue(&victim, ADA).await;
    assert_eq!((again.header("idempotency-replayed"), &again.bytes), ("true", &first.bytes));
    let unkeyed = Phone::connect_from(&server, VICTIM).await.as_page(&server);
    let heard = unkeyed.check_of(ADA, id(&first), wrong(&code)).await;
    assert_eq!(heard.body["attempts_remaining"], 4);
    let check = page(&server, VICTIM, "check-ada").await;
    let (once, again) =
        (check.check_of(ADA, id(&first), &code).await, check.check_of(ADA, id(&first), &code).await);
    assert_eq!((&once.body["valid"], &again.bytes), (&json!(true), &once.bytes), "with the same receipt");
    assert_eq!(again.header("idempotency-replayed"), "true");
}

/// A phone that lost the answer on its way from the house into the street finds it by a key that nobody guesses.
#[tokio::test]
async fn a_random_uuid_finds_the_first_answer_from_another_network() {
    let server = DevServer::start(&[
        "engine.shards=2",
        "limits.recipient.issue=off",
        "limits.recipient_peer.issue=off",
    ]);
    for (n, (key, is_found)) in [
        (UUID, true),
        ("\"8E03978E-40D5-43DD-BC93-6894A57F9325\"", true),
        ("017f22e2-79b0-7cc3-98c4-dc0c0c07398f", true),
        ("c232ab00-9414-11ec-b3c8-9f6bdeced846", false),
        ("00000000-0000-0000-0000-000000000000", false),
        ("8e03978e40d543ddbc936894a57f9324", false),
    ]
    .into_iter()
    .enumerate()
    {
        let recipient = format!("ada{n}@example.com");
        let at_home = issue(&page(&server, VICTIM, key).await, &recipient).await;
        let outside = page(&server, STRANGER, key).await;
        let in_the_street = issue(&outside, &recipient).await;
        assert_eq!(in_the_street.status, 202);
        assert_eq!(id(&at_home) == id(&in_the_street), is_found, "{key}");
        assert_eq!(in_the_street.header("idempotency-replayed"), if is_found { "true" } else { "" }, "{key}");
        let other = issue(&outside, "eve@example.com").await;
        assert_eq!(other.code(), (422, "idempotency-key-reused"), "one body a key: {key}");
    }
}

/// A secret key is nobody else's: its claims are found from every address of the backend.
#[tokio::test]
async fn a_backend_finds_its_first_answer_from_everywhere() {
    let server = DevServer::start(&["engine.shards=2"]);
    let [one, other] = [
        Phone::connect_from(&server, VICTIM).await.with(KEY, "signup-ada"),
        Phone::connect_from(&server, STRANGER).await.with(KEY, "signup-ada"),
    ];
    let (first, again) = (issue(&one, "ada@example.com").await, issue(&other, "ada@example.com").await);
    assert_eq!((again.header("idempotency-replayed"), &again.bytes), ("true", &first.bytes));
    // Of another API key, test or live, it is another.
    let test = other.with_key(server.text("secret_test_key"));
    assert_eq!(issue(&test, "ada@example.com").await.header("idempotency-replayed"), "");
}

/// Mission line R03: any order is the same request, any change another, and nothing is said twice.
pub(super) async fn the_query_belongs_to_a_request(wire: Wire) {
    let server = DevServer::start(&[]);
    let phone = Phone::over(wire, &server).await.with_key(server.text("secret_test_key"));
    let keyed = phone.with(KEY, "sorted");
    let post = |query: &'static str, body: &'static str| {
        let keyed = keyed.clone();
        async move { keyed.send("POST", &format!("/v1/verifications{query}"), Some(body.as_bytes())).await }
    };
    const BODY: &str = r#"{"recipient":"ada@example.com","purpose":"login"}"#;
    let first = post("?b=2&a=1&c=x%20y", BODY).await;
    assert_eq!(first.status, 202, "{:?}", first.body);
    for (query, body) in [
        ("?b=2&a=1&c=x%20y", BODY),
        ("?a=1&b=2&c=x+y", r#"{ "purpose":"login", "recipient":"ada@example.com" }"#),
        ("?c=x%20y&&%61=1&b=%32", r#"{"recipient":"ada@example.com","purpose":"login","nonce":null}"#),
    ] {
        let again = post(query, body).await;
        assert_eq!((again.header("idempotency-replayed"), &again.bytes), ("true", &first.bytes), "{query}");
    }
    for query in ["", "?", "?z=1", "?a=1&b=2", "?a=1&b=2&c=x", "?a=2&b=1&c=x+y", "?A=1&b=2&c=x+y"] {
        assert_eq!(post(query, BODY).await.code(), (422, "idempotency-key-reused"), "{query}");
    }
    for query in ["?a=1&a=1", "?a=1&b=2&a=3", "?a&%61"] {
        assert_eq!(post(query, BODY).await.code(), (400, "malformed-request"), "{query}");
        let unkeyed = phone.send("POST", &format!("/v1/verifications{query}"), Some(BODY.as_bytes())).await;
        assert_eq!(unkeyed.code(), (400, "malformed-request"), "{query}, whether there is a key or not");
    }
    let id = id(&first);
    let check = format!("/v1/verifications/{id}/check");
    let code = json!({"code": "000000"});
    let checking = phone.with(KEY, "check");
    let (once, again) = (checking.post(&check, &code).await, checking.post(&check, &code).await);
    assert_eq!((once.body["valid"] == true, again.header("idempotency-replayed")), (true, "true"));
    let other = checking.post(&format!("{check}?z=1"), &code).await;
    assert_eq!(other.code(), (422, "idempotency-key-reused"));
    assert_eq!(
        phone
            .post("/v1/verifications?utm_source=mail", &json!({"recipient": "bob@example.com"}))
            .await
            .status,
        202
    );
}
