//! Bodies of answers.

use std::io::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use authepy_engine::clock::{Moment, whole_seconds_up};
use authepy_engine::request::Standing;

use super::Members;

/// Capacity for an answer without texts that the caller chose. Longer answers grow it.
const USUAL_BODY_BYTES: usize = 192;

/// Describes a live verification: the answer to issue, resend and status.
pub(crate) fn standing(id: &str, standing: &Standing, hint: Option<&str>, metadata: Option<&str>) -> Vec<u8> {
    let span = |end: Moment| end.since(standing.at);
    let expires_ms = standing.unix_ms.saturating_add(span(standing.expires).as_millis() as u64);
    Members::with_room(2 * USUAL_BODY_BYTES)
        .plain("id", id)
        .plain("status", "pending")
        .plain("channel", "email")
        .text("purpose", &standing.purpose)
        .with(hint, |members, hint| members.text("recipient_hint", hint))
        .number("code_length", standing.code_length.into())
        .number("expires_in", span(standing.expires).as_secs())
        .plain("expires_at", Timestamp::of(expires_ms).as_str())
        .number("resend_in", whole_seconds_up(span(standing.resend_at)))
        .number("sends_remaining", standing.sends_remaining.into())
        .number("attempts_remaining", standing.attempts_remaining.into())
        .with(metadata, |members, canonical| members.json("metadata", canonical))
        .end()
}

/// The code was right. With a receipt if one was requested.
pub(crate) fn approved(id: &str, unix_ms: u64, receipt: Option<&str>) -> Vec<u8> {
    Members::with_room(USUAL_BODY_BYTES + receipt.map_or(0, str::len))
        .plain("id", id)
        .plain("status", "approved")
        .json("valid", "true")
        .plain("verified_at", Timestamp::of(unix_ms).as_str())
        .with(receipt, |members, receipt| members.plain("receipt", receipt))
        .end()
}

/// The code was wrong and attempts remain.
pub(crate) fn incorrect(id: &str, attempts_remaining: u8) -> Vec<u8> {
    wrong(id, "pending", "incorrect", attempts_remaining)
}

/// The code was wrong and no attempt remains.
pub(crate) fn exhausted(id: &str) -> Vec<u8> {
    wrong(id, "failed", "exhausted", 0)
}

fn wrong(id: &str, status: &str, reason: &str, attempts_remaining: u8) -> Vec<u8> {
    Members::with_room(USUAL_BODY_BYTES)
        .plain("id", id)
        .plain("status", status)
        .json("valid", "false")
        .plain("reason", reason)
        .number("attempts_remaining", attempts_remaining.into())
        .end()
}

/// RFC 3339 in UTC, whole seconds: `2026-11-24T19:00:00Z`.
struct Timestamp([u8; 20]);

impl Timestamp {
    fn of(unix_ms: u64) -> Self {
        let time = UNIX_EPOCH.checked_add(Duration::from_millis(unix_ms)).unwrap_or(UNIX_EPOCH);
        let mut text = [b' '; 20];
        // Twenty bytes until the year 9999.
        let _fits = write!(&mut text[..], "{}", humantime::format_rfc3339_seconds(time));
        Self(text)
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}
