//! `authepy demo`: a server in this process, and a client that talks to it over real UDP and TLS.
//!
//! The client is the `h3` crate on quinn, an HTTP/3 implementation other than ours. Each step
//! prints one line; the first step that fails ends the demo with an error.

use std::time::Duration;

use serde_json::{Value, json};

use super::print::say;
use super::{Dev, Failure, Settings, dev};
use crate::serve::receipt;

mod outbox;
mod phone;

use phone::{Heard, Phone};

const INBOX: &str = "Ada.Lovelace@gmail.com";
/// Other spellings of the same inbox.
const ALIASES: [&str; 5] = [
    "adalovelace@gmail.com",
    "ada.lovelace+shop@gmail.com",
    "A.d.a.Lovelace@googlemail.com",
    "ADALOVELACE+1@gmail.com",
    "ada.love.lace+2@googlemail.com",
];

pub(super) async fn run() -> Result<(), Failure> {
    let listen = vec![std::net::SocketAddr::from(([127, 0, 0, 1], 0))];
    let settings = Settings { set: vec!["log.level=warn".into()] };
    let dev = dev::start(Dev { json: true, listen, admin: None, dir: None, settings }, None).await?;
    say(&format!("server    up on udp://{}, nothing installed, nothing configured", dev.ready.h3));
    let story = tokio::time::timeout(Duration::from_secs(60), tell(&dev.ready)).await;
    dev.server.stop().await;
    story.unwrap_or_else(|_| Err(broken("the demo took more than a minute")))
}

/// The steps of a phone, a person and a backend.
async fn tell(ready: &dev::Ready) -> Result<(), Failure> {
    let mut phone = Phone::connect(ready).await.ok_or_else(|| broken("the phone could not connect"))?;
    say("connect   a phone connects over HTTP/3 (QUIC, TLS 1.3)");

    let issued = phone.post("/v1/verifications", &json!({"recipient": INBOX, "purpose": "login"})).await?;
    let id = text(&issued, 202, "id")?;
    say(&format!("issue     202: a code is being sent to {}", text(&issued, 202, "recipient_hint")?));
    let code = outbox::newest_code(&ready.outbox).await.ok_or_else(|| broken("no mail arrived"))?;
    say(&format!("mail      the outbox holds it: \"Your code is {code}\""));

    let check = format!("/v1/verifications/{id}/check");
    let wrong = if code == "111111" { "222222" } else { "111111" };
    let heard = phone.post(&check, &json!({"code": wrong, "recipient": INBOX})).await?;
    expect(heard.status == 200 && heard.body["valid"] == false, "a wrong code is refused")?;
    say(&format!(
        "guess     a wrong code is refused, {} attempts are left",
        heard.body["attempts_remaining"]
    ));
    let heard = phone.post(&check, &json!({"code": code, "recipient": INBOX})).await?;
    let receipt = text(&heard, 200, "receipt")?;
    expect(heard.body["valid"] == true, "the right code is accepted")?;
    say("check     the right code is accepted, and wiped in the same step");

    let jwks = phone.get("/.well-known/jwks.json").await?;
    let claims = receipt::public_key(&jwks.body).and_then(|key| receipt::verify(&receipt, &key));
    let holds = claims.is_some_and(|claims| {
        let of_this = claims["sub"] == *id && claims["email"] == INBOX && claims["aud"] == "dev";
        of_this && claims["mode"] == "live"
    });
    expect(holds, "the receipt's signature and claims are valid")?;
    say("receipt   any backend can check it offline: Ed25519 signature and claims are valid");

    let heard = phone.post(&check, &json!({"code": code, "recipient": INBOX})).await?;
    expect(heard.refused(404, "verification-not-found"), "the code works only once")?;
    say("replay    the same code again: 404, it works exactly once");
    refusals(&mut phone).await
}

/// Requests that an attacker would try.
async fn refusals(phone: &mut Phone) -> Result<(), Failure> {
    let mut refused = None;
    for alias in ALIASES {
        let heard = phone.post("/v1/verifications", &json!({"recipient": alias})).await?;
        if heard.refused(429, "rate-limited") {
            refused = Some((alias, heard.retry_after.unwrap_or_default()));
        } else {
            expect(heard.status == 202 && refused.is_none(), "aliases share one budget")?;
        }
    }
    let (alias, wait) = refused.ok_or_else(|| broken("aliases share one budget"))?;
    say(&format!("alias     {alias} is the same inbox: 429, try again in {wait} s"));

    let heard = phone.post("/v1/verifications", &json!({"recipient": "bot@mail.mailinator.com"})).await?;
    expect(heard.refused(422, "disposable-domain"), "a disposable domain is refused")?;
    say("bot       bot@mail.mailinator.com: 422, a disposable domain");
    phone.origin = "https://mybrand.com.evil.example".into();
    let heard = phone.post("/v1/verifications", &json!({"recipient": "eve@gmail.com"})).await?;
    expect(heard.refused(403, "origin-not-allowed"), "a foreign origin is refused")?;
    say("origin    https://mybrand.com.evil.example: 403, before its body was read");
    say("done      every step succeeded");
    Ok(())
}

fn text(heard: &Heard, status: u16, member: &str) -> Result<String, Failure> {
    let text = heard.body.get(member).and_then(Value::as_str).filter(|_| heard.status == status);
    text.map(str::to_owned).ok_or_else(|| broken(member))
}

fn expect(holds: bool, what: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(broken(what)) }
}

fn broken(what: &str) -> Failure {
    Failure::Internal(format!("the demo failed at: {what}"))
}
