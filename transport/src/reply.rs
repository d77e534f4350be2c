//! Answers: the only file that knows status codes.
//!
//! Whatever went wrong becomes a [`Problem`], each problem one row of the contract's error table, and
//! each answer one [`Reply`], which HTTP/3 and hyper write out through the same list of fields.

use std::time::Duration;

use authepy_engine::clock::whole_seconds_up;
use authepy_engine::id::IdText;
use authepy_engine::perimeter::Denial;
use authepy_engine::request::{Policy, Refusal};
use serde_json::{Value, json};

use crate::http3::error::Refused;

mod batch;

/// Why a request was refused, as the contract names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Bad JSON, a wrong type, a missing, unknown or duplicate member, a key in the URL. Says which.
    MalformedRequest(&'static str),
    /// The HTTP itself contradicts itself.
    MalformedHttp,
    /// Missing, malformed, unknown, expired, revoked: one text.
    InvalidKey,
    /// The restricted key is not for this origin.
    OriginNotAllowed,
    /// The key's class may not do this.
    KeyClassForbidden,
    /// A secret key came from a browser, and the operator refuses that.
    SecretKeyInBrowser,
    /// No such route.
    NotFound,
    /// The route has other methods: these.
    MethodNotAllowed(&'static str),
    /// More than 8 KiB.
    BodyTooLarge,
    /// Not JSON, or encoded.
    UnsupportedMediaType,
    /// More than 16 KiB of fields.
    HeadersTooLarge,
    /// The address is not one we mail to.
    InvalidRecipient,
    /// A disposable domain.
    DisposableDomain,
    /// What was typed is not a code.
    MalformedCode,
    /// A proxy says that this came in early data.
    TooEarly,
    /// The engine's word.
    Refused(Refusal),
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::MalformedHttp => Self::MalformedHttp,
            Refused::BodyTooLarge => Self::BodyTooLarge,
            Refused::HeadersTooLarge => Self::HeadersTooLarge,
        }
    }
}

impl From<Denial> for Problem {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::InvalidKey | Denial::UnlistedKey(_) => Self::InvalidKey,
            Denial::OriginMissing
            | Denial::OriginRepeated
            | Denial::OriginMalformed
            | Denial::OriginNotListed => Self::OriginNotAllowed,
            Denial::SecretKeyInBrowser => Self::SecretKeyInBrowser,
        }
    }
}

/// Status, code, title and detail of one problem.
type Row = (u16, &'static str, &'static str, &'static str);

impl Problem {
    /// The contract's error table.
    fn row(self) -> Row {
        match self {
            Self::MalformedRequest(detail) => (400, "malformed-request", "Malformed request", detail),
            Self::MalformedHttp => {
                (400, "malformed-http", "Malformed HTTP", "parts of the request contradict each other")
            }
            Self::InvalidKey => {
                (401, "invalid-key", "Invalid API key", "send a valid key as Authorization: Bearer KEY")
            }
            Self::OriginNotAllowed => (
                403,
                "origin-not-allowed",
                "Origin not allowed",
                "this key does not list the request's origin",
            ),
            Self::KeyClassForbidden => {
                (403, "key-class-forbidden", "Key class forbidden", "a restricted key may not do this")
            }
            Self::SecretKeyInBrowser => (
                403,
                "secret-key-in-browser",
                "Secret key in a browser",
                "use a restricted key there and rotate this one",
            ),
            Self::NotFound => (404, "not-found", "Not found", "there is no such route"),
            Self::MethodNotAllowed(_) => {
                (405, "method-not-allowed", "Method not allowed", "see the Allow field")
            }
            Self::BodyTooLarge => (413, "body-too-large", "Body too large", "a body has at most 8 KiB"),
            Self::UnsupportedMediaType => (
                415,
                "unsupported-media-type",
                "Unsupported media type",
                "send application/json without a content coding",
            ),
            Self::HeadersTooLarge => {
                (431, "headers-too-large", "Headers too large", "at most 64 fields and 16 KiB")
            }
            Self::InvalidRecipient => {
                (422, "invalid-recipient", "Invalid recipient", "not an address that can be mailed")
            }
            Self::DisposableDomain => {
                (422, "disposable-domain", "Disposable domain", "addresses of this domain are not accepted")
            }
            Self::MalformedCode => {
                (422, "malformed-code", "Malformed code", "not as many digits as the code has")
            }
            Self::TooEarly => (425, "too-early", "Too early", "send it again after the handshake"),
            Self::Refused(refusal) => refusal_row(refusal),
        }
    }

    /// The contract's name of the problem; in metrics with `_`.
    pub fn code(self) -> &'static str {
        self.row().1
    }

    fn retry_after(self) -> Option<Duration> {
        match self {
            Self::TooEarly => Some(Duration::from_secs(1)),
            Self::Refused(
                Refusal::RateLimited { retry_after, .. }
                | Refusal::Overloaded { retry_after }
                | Refusal::DeliveryUnavailable { retry_after }
                | Refusal::IdempotencyInProgress { retry_after }
                | Refusal::NotReady { retry_after },
            ) => Some(retry_after),
            _ => None,
        }
    }

    fn policy(self) -> Option<&'static str> {
        let Self::Refused(Refusal::RateLimited { policy, .. }) = self else { return None };
        Some(match policy {
            Policy::Recipient => "recipient",
            Policy::Peer => "peer",
            Policy::Key => "key",
            Policy::Resend => "resend",
        })
    }
}

fn refusal_row(refusal: Refusal) -> Row {
    match refusal {
        Refusal::VerificationNotFound => {
            (404, "verification-not-found", "Verification not found", "unknown, expired or already used")
        }
        Refusal::RecipientMismatch => {
            (422, "recipient-mismatch", "Recipient mismatch", "not the address the code was sent to")
        }
        Refusal::NonceMismatch => (422, "nonce-mismatch", "Nonce mismatch", "not the nonce given at issue"),
        Refusal::MalformedCode => Problem::MalformedCode.row(),
        Refusal::RateLimited { .. } => {
            (429, "rate-limited", "Rate limited", "wait as long as Retry-After says")
        }
        Refusal::Banned { .. } => (403, "banned", "Banned", "this peer broke its limits too often"),
        Refusal::Overloaded { .. } => (503, "overloaded", "Overloaded", "wait as long as Retry-After says"),
        Refusal::DeliveryUnavailable { .. } => {
            (503, "delivery-unavailable", "Delivery unavailable", "no mail can be promised now")
        }
        Refusal::NotReady { .. } => (503, "not-ready", "Not ready", "wait as long as Retry-After says"),
        Refusal::IdempotencyInProgress { .. } => (
            409,
            "idempotency-in-progress",
            "Idempotency key in progress",
            "the first request under this key still runs",
        ),
        Refusal::IdempotencyKeyReused => (
            422,
            "idempotency-key-reused",
            "Idempotency key reused",
            "this key came with another request before",
        ),
    }
}

/// One answer, before it is written for a protocol.
#[derive(Debug)]
pub struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    content_type: Option<&'static str>,
    location: Option<IdText>,
    retry_after: Option<u64>,
    allow: Option<&'static str>,
    preflight: bool,
    replayed: bool,
    /// The problem, for the counters.
    pub(crate) problem: Option<Problem>,
    request_id: String,
    allow_origin: Option<Box<[u8]>>,
}

const EXPOSED: &str =
    "Location, Retry-After, RateLimit, RateLimit-Policy, X-Request-Id, Idempotency-Replayed";
const PREFLIGHT_FIELDS: [(&str, &[u8]); 3] = [
    ("access-control-allow-methods", b"GET, POST, DELETE"),
    ("access-control-allow-headers", b"Authorization, Content-Type, Idempotency-Key"),
    // Ten minutes: Chromium's own bound is two hours, and a changed origin list should act soon.
    ("access-control-max-age", b"600"),
];

impl Reply {
    fn new(status: u16, content_type: Option<&'static str>, body: Vec<u8>) -> Self {
        Self {
            status,
            body,
            content_type,
            location: None,
            retry_after: None,
            allow: None,
            preflight: false,
            replayed: false,
            problem: None,
            request_id: String::new(),
            allow_origin: None,
        }
    }

    /// 200 with JSON.
    pub fn ok(body: Vec<u8>) -> Self {
        Self::new(200, Some("application/json"), body)
    }

    /// 202 with JSON: a mail will follow.
    pub fn accepted(body: Vec<u8>) -> Self {
        Self::new(202, Some("application/json"), body)
    }

    /// 204.
    pub fn empty() -> Self {
        Self::new(204, None, Vec::new())
    }

    /// 204 to a preflight; it says more once [`Reply::allow_origin`] was called.
    pub fn preflight() -> Self {
        Self { preflight: true, ..Self::empty() }
    }

    /// Not ready: 503 to a probe.
    pub fn not_ready() -> Self {
        Self::from(Problem::Refused(Refusal::NotReady { retry_after: Duration::from_secs(1) }))
    }

    /// Names the verification in `Location`.
    pub fn located(mut self, id: IdText) -> Self {
        self.location = Some(id);
        self
    }

    /// Marks a repeated answer.
    pub fn replayed(mut self) -> Self {
        self.replayed = true;
        self
    }

    /// Lets the page at `origin` read the answer, if there is one.
    pub(crate) fn readable_by(mut self, origin: Option<&[u8]>) -> Self {
        origin.into_iter().for_each(|origin| self.allow_origin(origin));
        self
    }

    /// Lets the page at `origin` read the answer.
    pub fn allow_origin(&mut self, origin: &[u8]) {
        self.allow_origin = Some(origin.into());
    }

    /// Gives the answer its request id, in the fields and in a problem's body.
    pub fn identify(&mut self, request_id: String) {
        self.request_id = request_id;
        if let Some(problem) = self.problem {
            self.body = problem_json(problem, &self.request_id).to_string().into_bytes();
        }
    }

    /// Calls `write` for each field, in lower case.
    pub fn fields<'a>(
        &'a self,
        date: &'a [u8],
        scratch: &'a mut Scratch,
        mut write: impl FnMut(&'a str, &'a [u8]),
    ) {
        write("date", date);
        write("cache-control", b"no-store");
        write("x-content-type-options", b"nosniff");
        write("vary", b"Origin");
        write("x-request-id", self.request_id.as_bytes());
        if let Some(content_type) = self.content_type {
            write("content-type", content_type.as_bytes());
        }
        scratch.fill(self);
        if self.status != 204 {
            write("content-length", scratch.length.as_bytes());
        }
        if self.location.is_some() {
            write("location", scratch.location.as_bytes());
        }
        if self.retry_after.is_some() {
            write("retry-after", scratch.retry_after.as_bytes());
        }
        if let Some(allow) = self.allow {
            write("allow", allow.as_bytes());
        }
        if self.status == 401 {
            write("www-authenticate", b"Bearer");
        }
        if self.replayed {
            write("idempotency-replayed", b"true");
        }
        if let Some(origin) = &self.allow_origin {
            write("access-control-allow-origin", origin);
            write("access-control-expose-headers", EXPOSED.as_bytes());
            if self.preflight {
                PREFLIGHT_FIELDS.into_iter().for_each(|(name, value)| write(name, value));
            }
        }
    }
}

/// Values that have to be spelled out before they can be written.
#[derive(Default)]
pub struct Scratch {
    length: String,
    location: String,
    retry_after: String,
}

impl Scratch {
    fn fill(&mut self, reply: &Reply) {
        self.length = reply.body.len().to_string();
        self.location =
            reply.location.as_ref().map_or(String::new(), |id| format!("/v1/verifications/{}", id.as_str()));
        self.retry_after = reply.retry_after.map_or(String::new(), |seconds| seconds.to_string());
    }
}

impl From<Problem> for Reply {
    fn from(problem: Problem) -> Self {
        let mut reply = Self::new(problem.row().0, Some("application/problem+json"), Vec::new());
        reply.retry_after = retry_after(problem);
        if let Problem::MethodNotAllowed(allow) = problem {
            reply.allow = Some(allow);
        }
        reply.problem = Some(problem);
        reply
    }
}

/// RFC 9457.
fn problem_json(problem: Problem, request_id: &str) -> Value {
    let (status, code, title, detail) = problem.row();
    let mut body = json!({
        "type": format!("/problems/{code}"),
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
    });
    if let Some(policy) = problem.policy() {
        body["policy"] = policy.into();
    }
    body
}

/// A wait as `Retry-After` spells it: waiting that long is enough, and never no wait at all.
fn retry_after(problem: Problem) -> Option<u64> {
    problem.retry_after().map(|wait| whole_seconds_up(wait).max(1))
}
