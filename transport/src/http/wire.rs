//! Bodies in and out: the permitted ranges of request members, and the JSON of answers.

use std::time::Duration;

use authepy_engine::limits::{
    CODE_DIGITS_MAX, CODE_DIGITS_MIN, CODE_LIFETIME_MAX, CODE_LIFETIME_MIN, METADATA_BYTES, METADATA_MEMBERS,
    NONCE_BYTES, PURPOSE_BYTES,
};
use authepy_http3::json::bodies::{AlertBody, IssueBody, Text};
use authepy_http3::json::{self, Malformed, Metadata};
use serde_json::value::RawValue;

use crate::http::reply::Problem;
use crate::limits::BATCH_ITEMS;

mod answers;
mod members;
pub(crate) use answers::{approved, exhausted, incorrect, standing};
pub(crate) use members::Members;

/// Characters of an alert's subject: what a lock screen shows.
const ALERT_SUBJECT_CHARS: usize = 150;

/// The items of a batch, not parsed yet.
pub(crate) fn items(body: &[u8]) -> Result<Vec<&RawValue>, Problem> {
    Ok(json::items(body, BATCH_ITEMS, Malformed("a batch has at most 100 items"))?)
}

/// A required member. `missing` is the detail if it is absent.
pub(crate) fn required<'a>(member: Option<&'a Text<'_>>, missing: &'static str) -> Result<&'a str, Problem> {
    member.map(|text| &**text).ok_or(Problem::MalformedRequest(missing))
}

/// The address of an issue or resend.
pub(crate) fn recipient<'a>(recipient: Option<&'a Text<'_>>) -> Result<&'a str, Problem> {
    required(recipient, "recipient is missing")
}

/// The purpose of the code.
pub(crate) fn purpose<'a>(body: &'a IssueBody<'_>) -> Result<&'a str, Problem> {
    let purpose = body.purpose.as_ref().map_or("verification", |text| text);
    let fits = (1..=PURPOSE_BYTES).contains(&purpose.len()) && !purpose.chars().any(char::is_control);
    judged(fits, purpose, "purpose has 1 to 64 bytes and no control characters")
}

/// The language of the mail.
pub(crate) fn locale<'a>(body: &'a IssueBody<'_>) -> Result<Option<&'a str>, Problem> {
    let Some(locale) = &body.locale else { return Ok(None) };
    let fits =
        (2..=35).contains(&locale.len()) && locale.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    judged(fits, Some(&**locale), "locale is a language tag such as en-GB")
}

/// The lifetime of the verification.
pub(crate) fn lifetime(body: &IssueBody<'_>) -> Result<Option<Duration>, Problem> {
    let lifetime = body.lifetime.map(Duration::from_secs);
    let fits = lifetime.is_none_or(|span| (CODE_LIFETIME_MIN..=CODE_LIFETIME_MAX).contains(&span));
    judged(fits, lifetime, "lifetime is 1 to 600 seconds")
}

/// The number of digits of the code.
pub(crate) fn code_length(body: &IssueBody<'_>) -> Result<Option<u8>, Problem> {
    let fits = body.code_length.is_none_or(|digits| (CODE_DIGITS_MIN..=CODE_DIGITS_MAX).contains(&digits));
    judged(fits, body.code_length, "code_length is 6 to 10")
}

/// The caller's metadata as canonical JSON.
pub(crate) fn metadata(body: &IssueBody<'_>) -> Result<Option<Box<str>>, Problem> {
    let Some(metadata) = &body.metadata else { return Ok(None) };
    let fits = metadata.members() <= METADATA_MEMBERS && metadata.bytes() <= METADATA_BYTES;
    judged(fits, metadata, "metadata has at most 16 members and 512 bytes").map(Metadata::canonical).map(Some)
}

/// A nonce of bounded length.
pub(crate) fn nonce<'a>(nonce: Option<&'a Text<'_>>) -> Result<Option<&'a str>, Problem> {
    let nonce = nonce.map(|text| &**text);
    let fits = nonce.is_none_or(|nonce| (1..=NONCE_BYTES).contains(&nonce.len()));
    judged(fits, nonce, "nonce has 1 to 128 bytes")
}

/// The subject of an alert.
pub(crate) fn alert_subject<'a>(body: &'a AlertBody<'_>) -> Result<&'a str, Problem> {
    let subject = required(body.subject.as_ref(), "subject is missing")?.trim();
    let fits = !subject.is_empty()
        && !subject.contains(char::is_control)
        && subject.chars().count() <= ALERT_SUBJECT_CHARS;
    judged(fits, subject, "subject is one line of 1 to 150 characters")
}

/// The text of an alert.
pub(crate) fn alert_text<'a>(body: &'a AlertBody<'_>) -> Result<&'a str, Problem> {
    let text = required(body.text.as_ref(), "text is missing")?;
    let is_control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    let fits = !text.trim().is_empty() && !text.contains(is_control);
    judged(fits, text, "text must not be empty or contain control characters")
}

fn judged<T>(fits: bool, value: T, otherwise: &'static str) -> Result<T, Problem> {
    if fits { Ok(value) } else { Err(Problem::MalformedRequest(otherwise)) }
}

#[cfg(test)]
mod tests {
    use authepy_http3::json::bodies::{CheckBody, IssueBody};
    use serde_json::json;

    use super::*;

    fn issue<T>(body: &serde_json::Value, judge: impl Fn(&IssueBody<'_>) -> Result<T, Problem>) -> bool {
        let body = body.to_string();
        judge(&json::read::<IssueBody<'_>>(body.as_bytes()).unwrap()).is_ok()
    }

    #[test]
    fn numbers_end_where_the_contract_ends_them() {
        for (seconds, fits) in [(0, false), (1, true), (600, true), (601, false), (u64::MAX, false)] {
            assert_eq!(issue(&json!({ "lifetime": seconds }), lifetime), fits, "{seconds}");
        }
        for (digits, fits) in [(0, false), (5, false), (6, true), (10, true), (11, false), (255, false)] {
            assert_eq!(issue(&json!({ "code_length": digits }), code_length), fits, "{digits}");
        }
    }

    #[test]
    fn texts_end_where_the_contract_ends_them() {
        let text = |bytes: usize| "x".repeat(bytes);
        let taken = |purpose: &str| issue(&json!({ "purpose": purpose }), purpose_len);
        assert!(taken(&text(64)) && !taken(&text(65)) && !taken("") && !taken("a\u{7}b"));
        for (tag, fits) in
            [("e", false), ("en", true), ("de-AT", true), (&text(35), true), (&text(36), false)]
        {
            assert_eq!(issue(&json!({ "locale": tag }), |body| locale(body).map(|_| ())), fits, "{tag}");
        }
        for (bytes, fits) in [(0, false), (1, true), (128, true), (129, false)] {
            let body = json!({ "nonce": text(bytes) }).to_string();
            let body: CheckBody<'_> = json::read(body.as_bytes()).unwrap();
            assert_eq!(nonce(body.nonce.as_ref()).is_ok(), fits, "{bytes}");
        }
    }

    fn purpose_len(body: &IssueBody<'_>) -> Result<usize, Problem> {
        purpose(body).map(str::len)
    }

    #[test]
    fn metadata_has_sixteen_members_and_512_bytes() {
        let members = |count: usize| (0..count).map(|n| (format!("{n:02}"), json!(""))).collect();
        let taken = |members| {
            issue(&json!({ "metadata": serde_json::Value::Object(members) }), |body| {
                metadata(body).map(|text| text.is_some())
            })
        };
        assert!(taken(members(16)) && !taken(members(17)));
        for (bytes, fits) in [(511, true), (512, false)] {
            assert_eq!(issue(&json!({ "metadata": { "k": "v".repeat(bytes) } }), metadata), fits);
        }
    }
}
