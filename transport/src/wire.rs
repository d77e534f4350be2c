//! Bodies in and out: strict JSON, each member known, none twice, `null` the same as absent.
//!
//! Texts borrow from the body wherever JSON allows, and the body is wiped when the request ends.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use authepy_engine::limits::{
    CODE_DIGITS_MAX, CODE_DIGITS_MIN, CODE_LIFETIME_MAX, CODE_LIFETIME_MIN, NONCE_BYTES, PURPOSE_BYTES,
};
use serde::Deserialize;

use crate::reply::Problem;

// By path, so that this file can be read from outside: `fuzz/src/lib.rs` does.
#[path = "wire/answers.rs"]
mod answers;
#[path = "wire/batch.rs"]
mod batch;
#[path = "wire/members.rs"]
mod members;
#[path = "wire/metadata.rs"]
mod metadata;
#[path = "wire/object.rs"]
mod object;
pub(crate) use answers::{approved, exhausted, incorrect, standing};
pub(crate) use batch::items;
pub(crate) use members::Members;
pub(crate) use metadata::Metadata;
use object::Object;

/// `POST /v1/verifications`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssueBody<'a> {
    #[serde(borrow)]
    recipient: Option<Text<'a>>,
    #[serde(borrow)]
    purpose: Option<Text<'a>>,
    #[serde(borrow)]
    locale: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) nonce: Option<Text<'a>>,
    pub(crate) metadata: Option<Metadata>,
    lifetime: Option<u64>,
    code_length: Option<u8>,
    #[serde(borrow)]
    template: Option<Text<'a>>,
    client: Option<Object<Client>>,
}

/// `POST /v1/verifications/{id}/check`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckBody<'a> {
    #[serde(borrow)]
    code: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) recipient: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) nonce: Option<Text<'a>>,
    /// Whether a receipt is wanted.
    pub(crate) receipt: Option<bool>,
}

/// `POST /v1/verifications/{id}/resend`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResendBody<'a> {
    #[serde(borrow)]
    recipient: Option<Text<'a>>,
}

/// `POST /v1/receipts/introspect`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IntrospectBody<'a> {
    #[serde(borrow)]
    receipt: Option<Text<'a>>,
}

/// `POST /v1/alerts`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AlertBody<'a> {
    #[serde(borrow)]
    subject: Option<Text<'a>>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
}

/// A string that borrows from the body unless an escape makes it a new one.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// Who the caller's backend acts for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Client {
    ip: Option<IpAddr>,
}

/// Reads a JSON object. serde would also take an array for a struct, so the brace is looked at first.
pub(crate) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    if first != Some(&b'{') {
        return Err(Problem::MalformedRequest("the body is not a JSON object"));
    }
    serde_json::from_slice(body).map_err(|fault| {
        // The parser's own text quotes the input; only its kind may leave.
        Problem::MalformedRequest(match fault.classify() {
            serde_json::error::Category::Data => "a member is unknown, repeated or of the wrong type",
            _ => "the body is not JSON",
        })
    })
}

fn missing(member: &'static str) -> Problem {
    Problem::MalformedRequest(member)
}

impl IssueBody<'_> {
    pub(crate) fn recipient(&self) -> Result<&str, Problem> {
        self.recipient.as_ref().map(|text| &*text.0).ok_or(missing("recipient is missing"))
    }

    /// Whom the caller's backend acts for.
    pub(crate) fn client_ip(&self) -> Option<IpAddr> {
        self.client.as_ref().and_then(|client| client.0.ip)
    }

    /// Whether the request asks for what only a secret key may choose.
    pub(crate) fn configures(&self) -> bool {
        self.lifetime.is_some()
            || self.code_length.is_some()
            || self.template.is_some()
            || self.client.is_some()
    }

    pub(crate) fn purpose(&self) -> Result<&str, Problem> {
        let purpose = self.purpose.as_ref().map_or("verification", |text| &*text.0);
        let fits = (1..=PURPOSE_BYTES).contains(&purpose.len()) && !purpose.chars().any(char::is_control);
        fits.then_some(purpose)
            .ok_or(Problem::MalformedRequest("purpose has 1 to 64 bytes and no control characters"))
    }

    pub(crate) fn locale(&self) -> Result<Option<&str>, Problem> {
        let Some(Text(locale)) = &self.locale else { return Ok(None) };
        let fits = (2..=35).contains(&locale.len())
            && locale.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        fits.then_some(Some(&**locale))
            .ok_or(Problem::MalformedRequest("locale is a language tag such as en-GB"))
    }

    pub(crate) fn lifetime(&self) -> Result<Option<Duration>, Problem> {
        let lifetime = self.lifetime.map(Duration::from_secs);
        let fits = lifetime.is_none_or(|span| (CODE_LIFETIME_MIN..=CODE_LIFETIME_MAX).contains(&span));
        fits.then_some(lifetime).ok_or(Problem::MalformedRequest("lifetime is 1 to 600 seconds"))
    }

    pub(crate) fn code_length(&self) -> Result<Option<u8>, Problem> {
        let fits =
            self.code_length.is_none_or(|digits| (CODE_DIGITS_MIN..=CODE_DIGITS_MAX).contains(&digits));
        fits.then_some(self.code_length).ok_or(Problem::MalformedRequest("code_length is 6 to 10"))
    }

    pub(crate) fn template(&self) -> Option<&str> {
        self.template.as_ref().map(|text| &*text.0)
    }
}

/// A nonce of a bounded length.
pub(crate) fn nonce<'a>(nonce: Option<&'a Text<'_>>) -> Result<Option<&'a str>, Problem> {
    let nonce = nonce.map(|text| &*text.0);
    let fits = nonce.is_none_or(|nonce| (1..=NONCE_BYTES).contains(&nonce.len()));
    fits.then_some(nonce).ok_or(Problem::MalformedRequest("nonce has 1 to 128 bytes"))
}

impl CheckBody<'_> {
    pub(crate) fn code(&self) -> Result<&str, Problem> {
        self.code.as_ref().map(|text| &*text.0).ok_or(missing("code is missing"))
    }
}

impl ResendBody<'_> {
    pub(crate) fn recipient(&self) -> Result<&str, Problem> {
        self.recipient.as_ref().map(|text| &*text.0).ok_or(missing("recipient is missing"))
    }
}

impl IntrospectBody<'_> {
    pub(crate) fn receipt(&self) -> Result<&str, Problem> {
        self.receipt.as_ref().map(|text| &*text.0).ok_or(missing("receipt is missing"))
    }
}

/// Characters of an alert's subject: what a lock screen shows.
const ALERT_SUBJECT_CHARS: usize = 150;

impl AlertBody<'_> {
    pub(crate) fn subject(&self) -> Result<&str, Problem> {
        let subject = self.subject.as_ref().ok_or(missing("subject is missing"))?.0.trim();
        match subject.is_empty()
            || subject.contains(char::is_control)
            || subject.chars().count() > ALERT_SUBJECT_CHARS
        {
            true => Err(missing("subject is one line of 1 to 150 characters")),
            false => Ok(subject),
        }
    }

    pub(crate) fn text(&self) -> Result<&str, Problem> {
        let text = &*self.text.as_ref().ok_or(missing("text is missing"))?.0;
        let is_control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        match text.trim().is_empty() || text.contains(is_control) {
            true => Err(missing("text is empty, or holds control characters")),
            false => Ok(text),
        }
    }
}
