//! Questions and answers as bytes, read independently of the server's code.
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request};
use serde_json::{Value, json};

use crate::phone::Silence;
use crate::target::Target;

/// Whose key a question carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum As {
    /// A web page or app: the restricted key, counted against its peer.
    Page,
    /// A backend: the secret key, counted against nobody.
    Backend,
}

/// What is asked of the server.
#[derive(Clone)]
pub(crate) struct Question {
    pub(crate) caller: As,
    pub(crate) path: String,
    pub(crate) body: Bytes,
    /// Beside those that every question has, an `origin` included.
    pub(crate) headers: Vec<(&'static str, HeaderValue)>,
}

/// What came back, whole.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What a caller gets for a question.
pub(crate) enum Seen {
    Answer(Answer),
    Nothing(Silence),
}

/// The page that `authepy dev` lets in, and that all pages are unless they say otherwise.
pub(crate) const ORIGIN: &str = "https://mybrand.com";

impl Question {
    pub(crate) fn issue(caller: As, recipient: &str, purpose: &str) -> Self {
        let body = json!({"recipient": recipient, "purpose": purpose, "locale": "en-GB"});
        Self::new(caller, "/v1/verifications".into(), &body)
    }

    /// Says whose code it is, as a page has to, and asks for a receipt, which only a page gets unasked.
    pub(crate) fn check(caller: As, id: &str, recipient: &str, code: &str) -> Self {
        let body = match caller {
            As::Page => json!({"code": code, "recipient": recipient}),
            As::Backend => json!({"code": code, "recipient": recipient, "receipt": true}),
        };
        Self::new(caller, format!("/v1/verifications/{id}/check"), &body)
    }

    fn new(caller: As, path: String, body: &Value) -> Self {
        let question = Self { caller, path, body: body.to_string().into(), headers: Vec::new() };
        match caller {
            As::Page => question.with("origin", HeaderValue::from_static(ORIGIN)),
            As::Backend => question,
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// From these origins instead: one as a rule, none or several as an attack.
    pub(crate) fn with_origins(mut self, origins: &[HeaderValue]) -> Self {
        self.headers.retain(|(name, _)| *name != "origin");
        origins.iter().fold(self, |question, origin| question.with("origin", origin.clone()))
    }

    /// The head that goes before the body.
    pub(crate) fn head(&self, target: &Target) -> Result<Request<()>, http::Error> {
        let mut head = Request::builder()
            .method(Method::POST)
            .uri(format!("https://localhost:{}{}", target.h3.port(), self.path))
            .header("authorization", format!("Bearer {}", target.key(self.caller)))
            .header("content-type", "application/json")
            .header("content-length", self.body.len());
        for (name, value) in &self.headers {
            head = head.header(*name, value);
        }
        head.body(())
    }
}

impl Answer {
    /// The only value of a header; `None` when it is absent, repeated or not text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    }

    /// The body as JSON, `Null` when it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Whether a window of this policy has refused the request.
    pub(crate) fn is_limited_by(&self, policy: &str) -> bool {
        self.status == 429 && self.json().get("policy").and_then(Value::as_str) == Some(policy)
    }

    /// How long to wait, where it says so.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.header("retry-after")?.parse().ok().map(|seconds: u32| Duration::from_secs(seconds.into()))
    }

    /// Whether it says that its peer is banned.
    pub(crate) fn is_ban(&self) -> bool {
        self.status == 403 && self.json().get("code").and_then(Value::as_str) == Some("banned")
    }

    /// Whether it counts among its peer's denials.
    pub(crate) fn is_denial(&self) -> bool {
        (400..500).contains(&self.status) && !matches!(self.status, 409 | 425 | 429)
    }

    /// Whether the server has no place for it.
    pub(crate) fn is_shed(&self) -> bool {
        self.status == 503
    }
}
