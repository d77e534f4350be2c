//! What a peer may ask, seen from outside: windows, denials, strikes, bans, shares, and the fields that
//! tell of them. Peers are loopback addresses over HTTP/3, or addresses that a trusted proxy passes on.

mod any;
mod bans;
mod blameless;
mod claims;
mod crowded;
mod crowds;
mod denials;
mod exempt;
mod fields;
mod prefixes;
mod shares;
mod windows;

use authepy_testkit::DevServer;
use authepy_testkit::phone::{Heard, Phone};
use serde_json::{Value, json};

/// Believes what this machine says about where requests came from.
const BEHIND_A_PROXY: &str = r#"proxy.trusted=["127.0.0.0/8"]"#;

/// Asks for a code for this recipient.
async fn ask(phone: &Phone, recipient: &str) -> Heard {
    phone.post("/v1/verifications", &json!({"recipient": recipient})).await
}

/// Asks for a code as the backend of whoever is at this address.
async fn ask_for(phone: &Phone, recipient: &str, address: &str) -> Heard {
    phone.post("/v1/verifications", &json!({"recipient": recipient, "client": {"ip": address}})).await
}

/// Asks for another code; waits until the mail before it is out of our hands.
async fn ask_again(phone: &Phone, id: &str, recipient: &str) -> Heard {
    loop {
        let heard =
            phone.post(&format!("/v1/verifications/{id}/resend"), &json!({"recipient": recipient})).await;
        if heard.code() != (503, "delivery-unavailable") {
            return heard;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// Status and, of a limit that was met, its policy.
fn limit_met(heard: &Heard) -> (u16, &str) {
    (heard.status.as_u16(), heard.body["policy"].as_str().unwrap_or_default())
}

/// What the answer says about when to come back.
fn retry_after(heard: &Heard) -> u64 {
    heard.header("retry-after").parse().unwrap_or_else(|_| panic!("no Retry-After on {heard:?}"))
}

/// Asks until `what` is answered so; at most as long as a test may take.
async fn until(phone: &Phone, path: &str, status: u16) {
    for _ in 0..6_000 {
        if phone.get(path).await.status == status {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("{path} never became {status}");
}

/// Waits until this many mails were handed over; then there are no more than that.
async fn await_mails(server: &DevServer, count: u64) {
    const SENT: &str = "authepy_mail_total{outcome=\"sent\"}";
    for _ in 0..4_000 {
        if server.metric(SENT) >= count {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(server.metric(SENT), count);
}

/// An id that could be one, made from one that is.
fn forged(id: &str, n: usize) -> String {
    let digits = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let (kept, _) = id.split_at(id.len() - 4);
    let digit = |place: u32| char::from(digits[n / 36usize.pow(place) % 36]);
    format!("{kept}{}{}{}{}", digit(3), digit(2), digit(1), digit(0))
}

fn code(length: &Value) -> String {
    "0".repeat(length.as_u64().unwrap() as usize)
}
