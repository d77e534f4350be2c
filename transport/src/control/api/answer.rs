//! Answers of the admin API, and one table of its problems.

use std::time::Duration;

use authepy_engine::clock::whole_seconds_up;
use authepy_engine::recipient::disposable::CatalogFault;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;

use crate::control::registry::RegistryFault;

/// Why an admin request was refused.
#[derive(Debug)]
pub(super) enum Fault {
    /// `Host` does not name this host.
    ForeignHost,
    /// No admin token.
    NoToken,
    /// A wrong admin token.
    WrongToken,
    /// A wrong admin token while too many such requests wait already. Holds the `Retry-After`.
    TooManyWrongTokens(Duration),
    /// An API key where an admin token belongs.
    ApiKey,
    /// No such route.
    Route,
    /// The route does not support this method. Holds the supported ones.
    Method(&'static str),
    /// The body is malformed.
    Body(&'static str),
    /// The request took too long.
    TooSlow,
    /// The registry refused the operation.
    Registry(RegistryFault),
    /// A value in the path or query is invalid.
    Value(&'static str, String),
    /// No ban of exactly this network exists.
    NotBanned,
    /// The table of bans is full of active bans.
    BansFull,
    /// A lane does not answer. It may still execute the request.
    LaneSilent,
    /// The text is not a catalog.
    Catalog(CatalogFault),
    /// The thread that parsed the catalog failed.
    NotRead,
}

impl From<CatalogFault> for Fault {
    fn from(fault: CatalogFault) -> Self {
        Self::Catalog(fault)
    }
}

impl From<RegistryFault> for Fault {
    fn from(fault: RegistryFault) -> Self {
        Self::Registry(fault)
    }
}

#[derive(Serialize)]
struct Problem<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
}

impl Fault {
    /// Status, code, title.
    fn row(&self) -> (u16, &'static str, &'static str) {
        match self {
            Self::ForeignHost => (400, "malformed-http", "Malformed HTTP"),
            Self::NoToken | Self::WrongToken => (401, "invalid-token", "Invalid admin token"),
            Self::TooManyWrongTokens(_) => (429, "rate-limited", "Too many wrong admin tokens"),
            Self::ApiKey => (403, "key-class-forbidden", "Key class forbidden"),
            Self::Route => (404, "not-found", "Not found"),
            Self::Method(_) => (405, "method-not-allowed", "Method not allowed"),
            Self::Body(_) => (400, "malformed-request", "Malformed request"),
            Self::TooSlow => (408, "too-slow", "Request timeout"),
            Self::NotBanned => (404, "not-found", "Not found"),
            Self::BansFull => (503, "overloaded", "Overloaded"),
            Self::LaneSilent => (503, "not-ready", "A lane does not answer"),
            Self::Value(..) => (422, "invalid-value", "Invalid value"),
            Self::Catalog(_) => (422, "invalid-catalog", "Invalid catalog"),
            Self::NotRead => (503, "not-ready", "The catalog was not read"),
            Self::Registry(fault) => match fault {
                RegistryFault::Unknown(_) => (404, "not-found", "Not found"),
                RegistryFault::Taken => (409, "already-exists", "Already exists"),
                RegistryFault::Full(_) => (409, "full", "Full"),
                RegistryFault::Life(_) => (409, "key-ended", "The key's life does not allow it"),
                RegistryFault::Invalid(..) => (422, "invalid-value", "Invalid value"),
                RegistryFault::Store(_) => (503, "not-ready", "The store can't be used"),
            },
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::ForeignHost => "the Host field does not name this host".into(),
            Self::NoToken | Self::WrongToken => "send the admin token as Authorization: Bearer TOKEN".into(),
            Self::TooManyWrongTokens(_) => {
                "too many requests with a wrong admin token; the right one never waits".into()
            }
            Self::ApiKey => "an API key has no say here; send the admin token".into(),
            Self::Route => "there is no such route".into(),
            Self::Method(_) => "see the Allow field".into(),
            Self::Body(why) => format!("the body: {why}"),
            Self::TooSlow => "the request took too long to arrive".into(),
            Self::Registry(fault) => fault.to_string(),
            Self::Value(what, why) => format!("{what}: {why}"),
            Self::NotBanned => "exactly this peer or network is not banned".into(),
            Self::BansFull => "the table of bans is full and no ban has ended yet".into(),
            Self::LaneSilent => "a lane does not answer; it may still execute the request".into(),
            Self::Catalog(fault) => format!("{fault}; the present catalog stays in use"),
            Self::NotRead => "the catalog could not be read; the present one stays in use".into(),
        }
    }

    pub(super) fn answer(self) -> Response<Full<Bytes>> {
        let ((status, code, title), detail) = (self.row(), self.detail());
        let problem = Problem { kind: format!("/problems/{code}"), title, status, detail: &detail, code };
        let mut answer = body(status, "application/problem+json", to_json(&problem));
        let fields = answer.headers_mut();
        if let Self::WrongToken | Self::TooManyWrongTokens(_) = self {
            // The next guess needs a new connection.
            fields.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        match self {
            Self::NoToken | Self::WrongToken => {
                fields.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::TooManyWrongTokens(wait) => {
                fields.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds_up(wait)));
            }
            Self::Method(allow) => {
                fields.insert(header::ALLOW, HeaderValue::from_static(allow));
            }
            Self::Registry(RegistryFault::Store(_)) | Self::BansFull | Self::LaneSilent | Self::NotRead => {
                fields.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        answer
    }
}

/// JSON with this status.
pub(super) fn json(status: u16, value: &impl Serialize) -> Response<Full<Bytes>> {
    body(status, "application/json", to_json(value))
}

/// 200 with a text.
pub(super) fn plain(content_type: &'static str, text: String) -> Response<Full<Bytes>> {
    body(200, content_type, text.into_bytes())
}

/// 200 with a static text.
pub(super) fn fixed(content_type: &'static str, text: &'static str) -> Response<Full<Bytes>> {
    body(200, content_type, text)
}

/// 204.
pub(super) fn empty() -> Response<Full<Bytes>> {
    let mut answer = body(204, "application/json", Vec::new());
    answer.headers_mut().remove(header::CONTENT_TYPE);
    answer
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    // Serialising texts, numbers and lists of them can't fail.
    serde_json::to_vec(value).unwrap_or_default()
}

fn body(status: u16, content_type: &'static str, bytes: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(bytes.into()));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    answer
}
