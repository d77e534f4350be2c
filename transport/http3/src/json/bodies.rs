//! The bodies of the API's requests, member by member, as they were written.

use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::Deref;

use serde::Deserialize;

use super::Metadata;
use super::object::Object;

/// `POST /v1/verifications`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssueBody<'a> {
    /// The address to verify.
    #[serde(borrow)]
    pub recipient: Option<Text<'a>>,
    /// What the code is for.
    #[serde(borrow)]
    pub purpose: Option<Text<'a>>,
    /// The language of the mail, as a language tag.
    #[serde(borrow)]
    pub locale: Option<Text<'a>>,
    /// What every check has to repeat.
    #[serde(borrow)]
    pub nonce: Option<Text<'a>>,
    /// The caller's own notes.
    pub metadata: Option<Metadata>,
    /// Life of the verification in seconds.
    pub lifetime: Option<u64>,
    /// Digits of the code.
    pub code_length: Option<u8>,
    /// The mail's template.
    #[serde(borrow)]
    pub template: Option<Text<'a>>,
    client: Option<Object<Client>>,
}

impl IssueBody<'_> {
    /// The person's IP address, if the caller's backend names it.
    #[must_use]
    pub fn client_ip(&self) -> Option<IpAddr> {
        self.client.as_ref().and_then(|client| client.0.ip)
    }

    /// Whether the request has a member that only a secret key may send.
    #[must_use]
    pub fn needs_secret_key(&self) -> bool {
        self.lifetime.is_some()
            || self.code_length.is_some()
            || self.template.is_some()
            || self.client.is_some()
    }
}

/// `POST /v1/verifications/{id}/check`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckBody<'a> {
    /// The digits, as typed.
    #[serde(borrow)]
    pub code: Option<Text<'a>>,
    /// The address that the code was sent to.
    #[serde(borrow)]
    pub recipient: Option<Text<'a>>,
    /// The nonce of the issue.
    #[serde(borrow)]
    pub nonce: Option<Text<'a>>,
    /// Whether a receipt is wanted.
    pub receipt: Option<bool>,
}

/// `POST /v1/verifications/{id}/resend`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResendBody<'a> {
    /// The address that the code was sent to.
    #[serde(borrow)]
    pub recipient: Option<Text<'a>>,
}

/// `POST /v1/receipts/introspect`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntrospectBody<'a> {
    /// The receipt, a compact JWS.
    #[serde(borrow)]
    pub receipt: Option<Text<'a>>,
}

/// `POST /v1/alerts`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertBody<'a> {
    /// The subject of the mail.
    #[serde(borrow)]
    pub subject: Option<Text<'a>>,
    /// The text of the mail.
    #[serde(borrow)]
    pub text: Option<Text<'a>>,
}

/// A string that borrows from the body unless an escape makes it a new one.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// The person for whom the caller's backend acts.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Client {
    ip: Option<IpAddr>,
}
