//! What a backend may believe, and what a stranger with the same public key may not learn: receipts by mode and
//! meaning, and whose an idempotency key is.

mod meaning;
mod modes;
mod repeats;
mod stock;

use authepy_testkit::phone::{Heard, Phone};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

authepy_testkit::over_every_wire!(
    anybody_may_read_and_keep_the_key_sets,
    a_page_says_whose_code_it_checks,
    the_query_belongs_to_a_request,
);
use meaning::a_page_says_whose_code_it_checks;
use modes::anybody_may_read_and_keep_the_key_sets;
use repeats::the_query_belongs_to_a_request;

/// Signs up with a test key, whose code is known; returns the receipt.
async fn test_receipt(phone: &Phone, recipient: &str) -> String {
    let id = phone.issue(recipient).await;
    receipt(&phone.check_of(recipient, &id, "000000").await)
}

/// Signs up with a live key; returns the receipt.
async fn live_receipt(server: &authepy_testkit::DevServer, phone: &Phone, recipient: &str) -> String {
    let id = phone.issue(recipient).await;
    receipt(&phone.check_of(recipient, &id, &server.code_for(recipient)).await)
}

fn receipt(heard: &Heard) -> String {
    heard.body["receipt"].as_str().unwrap_or_else(|| panic!("no receipt in {:?}", heard.body)).to_owned()
}

/// One of the three parts of a receipt, as JSON. Nothing is verified.
fn part(receipt: &str, nth: usize) -> Value {
    let text = receipt.split('.').nth(nth).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
}

fn claims(receipt: &str) -> Value {
    part(receipt, 1)
}

fn encode(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

async fn introspect(phone: &Phone, receipt: &str) -> Value {
    phone.post("/v1/receipts/introspect", &json!({"receipt": receipt})).await.body
}
