//! What the answers to issue and check must hold, member by member.
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{Findings, problem, text};
use crate::wire::Answer;

pub(super) fn issued(findings: &mut Findings, recipient: &str, purpose: &str, answer: &Answer, body: &Value) {
    findings.status(202, answer);
    let id = text(body, "id");
    // 22 base62 characters are the fewest that hold 128 bits.
    let secret = id.strip_prefix("vrf_").unwrap_or_default();
    let base62 = secret.len() >= 22 && secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
    findings.must(base62, "member id");
    let location = answer.header("location").unwrap_or_default();
    findings.must(location.ends_with(&format!("/v1/verifications/{id}")), "header location");
    for (name, must) in [("status", "pending"), ("channel", "email"), ("purpose", purpose)] {
        findings.member(body, name, &json!(must));
    }
    findings.must(hints_at(&text(body, "recipient_hint"), recipient), "member recipient_hint");
    let bounds = [
        ("code_length", 6, 10),
        ("expires_in", 60, 600),
        ("resend_in", 0, 600),
        ("sends_remaining", 0, 100),
        ("attempts_remaining", 1, 100),
    ];
    for (name, least, most) in bounds {
        let within = body.get(name).and_then(Value::as_u64).is_some_and(|n| (least..=most).contains(&n));
        findings.must(within, &format!("member {name}"));
    }
    findings.must(is_instant(&text(body, "expires_at")), "member expires_at");
    findings.must(body.get("code").is_none(), "a code in the answer");
}

pub(super) fn incorrect(findings: &mut Findings, id: &str, attempts: u64, answer: &Answer, body: &Value) {
    findings.status(200, answer);
    let left = attempts.saturating_sub(1);
    let must = json!({"id": id, "status": "pending", "valid": false, "reason": "incorrect",
                      "attempts_remaining": left});
    for (name, must) in must.as_object().into_iter().flatten() {
        findings.member(body, name, must);
    }
    findings.must(body.get("receipt").is_none(), "a receipt for a wrong code");
}

/// One of several at once: compared and wrong, the last one, or too late.
pub(super) fn guess(findings: &mut Findings, id: &str, answer: &Answer, body: &Value) {
    if answer.status != 200 {
        return problem(findings, 404, "verification-not-found", answer, body);
    }
    let left = body.get("attempts_remaining").and_then(Value::as_u64);
    let (status, reason) = if left == Some(0) { ("failed", "exhausted") } else { ("pending", "incorrect") };
    let must = json!({"id": id, "status": status, "valid": false, "reason": reason});
    for (name, must) in must.as_object().into_iter().flatten() {
        findings.member(body, name, must);
    }
    findings.must(left.is_some(), "member attempts_remaining");
    findings.must(body.get("receipt").is_none(), "a receipt for a wrong code");
}

pub(super) fn readable(answer: &Answer) -> bool {
    answer.headers.contains_key("access-control-allow-origin")
}

/// An accepted page may read the answer, and no cache may show it to another one.
pub(super) fn readable_by(findings: &mut Findings, origin: Option<&str>, answer: &Answer) {
    let allowed = answer.header("access-control-allow-origin");
    findings.must(allowed == origin, "header access-control-allow-origin");
    let vary = answer.header("vary").unwrap_or_default();
    findings.must(origin.is_none() || vary.to_ascii_lowercase().contains("origin"), "header vary");
    let with_credentials = answer.headers.contains_key("access-control-allow-credentials");
    findings.must(!with_credentials, "header access-control-allow-credentials");
}

pub(super) fn approved(
    findings: &mut Findings,
    id: &str,
    (purpose, recipient, mode): (&str, &str, &str),
    answer: &Answer,
    body: &Value,
) {
    findings.status(200, answer);
    for (name, must) in [("id", json!(id)), ("status", json!("approved")), ("valid", json!(true))] {
        findings.member(body, name, &must);
    }
    findings.must(is_instant(&text(body, "verified_at")), "member verified_at");
    let claims = claims(&text(body, "receipt"));
    let must = [
        ("sub", json!(id)),
        ("purpose", json!(purpose)),
        ("email", json!(recipient)),
        ("email_verified", json!(true)),
        ("mode", json!(mode)),
        ("amr", json!(["otp"])),
    ];
    for (name, must) in must {
        findings.must(claims.get(name) == Some(&must), &format!("receipt claim {name}"));
    }
    for name in ["iss", "aud", "iat", "exp", "jti"] {
        findings.must(claims.get(name).is_some(), &format!("receipt claim {name}"));
    }
}

/// `ada@x.org` → `a***@x.org`. How a domain is cased, and how one beyond ASCII is spelled, is left open; a
/// label that names the account is not shown.
pub(super) fn hints_at(hint: &str, recipient: &str) -> bool {
    let (local, domain) = recipient.rsplit_once('@').unwrap_or_default();
    let (shown, where_to) = hint.rsplit_once('@').unwrap_or_default();
    let first: String = local.chars().take(1).collect();
    let domain = domain.to_ascii_lowercase();
    let below = format!(".{}", where_to.to_ascii_lowercase());
    shown == format!("{first}***") && (format!(".{domain}").ends_with(&below) || !domain.is_ascii())
}

/// RFC 3339 in UTC, as far as a caller's parser would go.
fn is_instant(text: &str) -> bool {
    text.len() >= 20 && text.as_bytes()[10] == b'T' && text.ends_with('Z')
}

/// A receipt's claims; `Null` when it has none to read. The signature is not looked at here.
pub(super) fn claims(receipt: &str) -> Value {
    let mut parts = receipt.split('.');
    let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Value::Null;
    };
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}
