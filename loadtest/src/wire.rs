//! Questions and answers as bytes, read independently of the server's code.
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use serde_json::{Value, json};

use crate::target::Target;

/// What is asked of the server.
pub(crate) struct Question {
    pub(crate) path: String,
    pub(crate) body: Bytes,
}

/// What came back, whole.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Question {
    pub(crate) fn issue(recipient: &str, purpose: &str) -> Self {
        let body = json!({"recipient": recipient, "purpose": purpose, "locale": "en-GB"});
        Self { path: "/v1/verifications".into(), body: body.to_string().into() }
    }

    pub(crate) fn check(id: &str, code: &str) -> Self {
        let body = json!({ "code": code });
        Self { path: format!("/v1/verifications/{id}/check"), body: body.to_string().into() }
    }

    /// The head that goes before the body.
    pub(crate) fn head(&self, target: &Target) -> Result<Request<()>, http::Error> {
        let mut head = Request::builder()
            .method(Method::POST)
            .uri(format!("https://localhost:{}{}", target.h3.port(), self.path))
            .header("authorization", format!("Bearer {}", target.key))
            .header("content-type", "application/json")
            .header("content-length", self.body.len());
        if let Some(origin) = &target.origin {
            head = head.header("origin", origin);
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
}
