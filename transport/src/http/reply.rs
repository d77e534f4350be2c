//! Answers: the only module that knows status codes.
//!
//! Every failure becomes a [`Problem`], each problem is one row of the error table in the contract,
//! and each answer is one [`Reply`], which HTTP/3 and hyper write from the same list of fields.

use std::time::Duration;

use authepy_engine::id::{ID_CHARS, IdText};
use authepy_engine::request::Refusal;

use crate::limits::JWKS_MAX_AGE;

mod batch;
mod problem;
mod rates;
mod spelled;
pub(crate) use problem::Problem;
use problem::{problem_json, retry_after};
use rates::RateFields;
pub(crate) use rates::Rates;
use spelled::Decimal;
pub(crate) use spelled::RequestId;

/// One answer, before it is encoded for a protocol.
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
    /// Whether caches may keep it and every page may read it.
    public: bool,
    /// The problem, for the counters.
    pub(crate) problem: Option<Problem>,
    request_id: RequestId,
    allow_origin: Option<Box<[u8]>>,
    rates: Option<Box<RateFields>>,
}

/// The path before the id in `Location`.
const COLLECTION: &[u8] = b"/v1/verifications/";
const EXPOSED: &str =
    "Location, Retry-After, RateLimit, RateLimit-Policy, X-Request-Id, Idempotency-Replayed";
const PREFLIGHT_FIELDS: [(&str, &[u8]); 3] = [
    ("access-control-allow-methods", b"GET, POST, DELETE"),
    ("access-control-allow-headers", b"Authorization, Content-Type, Idempotency-Key"),
    // Ten minutes: Chromium allows up to two hours, but a changed list of origins should take
    // effect soon.
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
            public: false,
            problem: None,
            request_id: RequestId::default(),
            allow_origin: None,
            rates: None,
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

    /// 204 to a preflight; it gets CORS fields once [`Reply::allow_origin`] was called.
    pub fn preflight() -> Self {
        Self { preflight: true, ..Self::empty() }
    }

    /// 503 to a readiness probe.
    pub fn not_ready() -> Self {
        Self::from(Problem::Refused(Refusal::NotReady { retry_after: Duration::from_secs(1) }))
    }

    /// Names the verification in `Location`.
    pub fn located(mut self, id: IdText) -> Self {
        self.location = Some(id);
        self
    }

    /// Marks the answer as repeated for the same idempotency key.
    pub fn replayed(mut self) -> Self {
        self.replayed = true;
        self
    }

    /// Lets every page read the answer, and caches keep it for [`JWKS_MAX_AGE`].
    pub(crate) fn public(mut self) -> Self {
        self.public = true;
        self.allow_origin(b"*");
        self
    }

    /// Lets the page at `origin`, if any, read the answer.
    pub(crate) fn readable_by(mut self, origin: Option<&[u8]>) -> Self {
        origin.into_iter().for_each(|origin| self.allow_origin(origin));
        self
    }

    /// Lets the page at `origin` read the answer.
    pub fn allow_origin(&mut self, origin: &[u8]) {
        self.allow_origin = Some(origin.into());
    }

    /// Whether it says that the peer is banned.
    pub(crate) fn tells_of_ban(&self) -> bool {
        matches!(self.problem, Some(Problem::Refused(Refusal::Banned { .. })))
    }

    /// Replaces the answer by this problem, readable by the same page.
    pub(crate) fn refused_by(self, problem: Problem) -> Self {
        Self { allow_origin: self.allow_origin, ..problem.into() }
    }

    /// Adds the state of the windows that counted the request.
    pub(crate) fn tell_rates(&mut self, rates: &Rates) {
        self.rates = rates.fields().map(Box::new);
    }

    /// Sets the request id, in the fields and in the body of a problem.
    pub fn identify(&mut self, request_id: RequestId) {
        self.request_id = request_id;
        if let Some(problem) = self.problem {
            self.body = problem_json(problem, self.request_id.as_str()).to_string().into_bytes();
        }
    }

    /// The request id of the answer.
    pub(crate) fn request_id(&self) -> &str {
        self.request_id.as_str()
    }

    /// Calls `write` for each field, with its name in lower case.
    pub fn fields(&self, date: &[u8], mut write: impl FnMut(&str, &[u8])) {
        write("date", date);
        match self.public {
            true => write("cache-control", format!("max-age={}", JWKS_MAX_AGE.as_secs()).as_bytes()),
            false => write("cache-control", b"no-store"),
        }
        write("x-content-type-options", b"nosniff");
        write("vary", b"Origin");
        write("x-request-id", self.request_id.as_str().as_bytes());
        if let Some(content_type) = self.content_type {
            write("content-type", content_type.as_bytes());
        }
        if self.status != 204 {
            write("content-length", Decimal::of(self.body.len() as u64).as_bytes());
        }
        if let Some(id) = &self.location {
            let mut location = [0; COLLECTION.len() + ID_CHARS];
            location[..COLLECTION.len()].copy_from_slice(COLLECTION);
            location[COLLECTION.len()..].copy_from_slice(id.as_str().as_bytes());
            write("location", &location);
        }
        if let Some(seconds) = self.retry_after {
            write("retry-after", Decimal::of(seconds).as_bytes());
        }
        if let Some(RateFields { policy, limit }) = self.rates.as_deref() {
            write("ratelimit-policy", policy.as_bytes());
            write("ratelimit", limit.as_bytes());
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
