//! Why a request was refused: each problem is one row of the error table in the contract.

use std::time::Duration;

use authepy_engine::clock::whole_seconds_up;
use authepy_engine::perimeter::Denial;
use authepy_engine::request::{Policy, Refusal};
use authepy_http3::error::Refused;
use authepy_http3::json::Malformed;
use serde_json::{Value, json};

/// Why a request was refused, as the contract names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Bad JSON; a wrong type; a missing, unknown or duplicate member; or a key in the URL. Carries
    /// the detail.
    MalformedRequest(&'static str),
    /// The HTTP message contradicts itself.
    MalformedHttp,
    /// The key is missing, malformed, unknown, expired or revoked: one text for all.
    InvalidKey,
    /// The restricted key is not for this origin.
    OriginNotAllowed,
    /// The class of the key does not permit this operation.
    KeyClassForbidden,
    /// A secret key was sent by a browser, and the operator refuses that.
    SecretKeyInBrowser,
    /// No such route.
    NotFound,
    /// The route has only these other methods.
    MethodNotAllowed(&'static str),
    /// More than 8 KiB.
    BodyTooLarge,
    /// The body is not JSON, or has a content coding.
    UnsupportedMediaType,
    /// More than 16 KiB of fields.
    HeadersTooLarge,
    /// The recipient is not an address that can be mailed.
    InvalidRecipient,
    /// A disposable domain.
    DisposableDomain,
    /// The text is not a code.
    MalformedCode,
    /// A restricted key checked a code without naming the recipient. Its receipt goes to a backend,
    /// which must not rely on the page for the address.
    RecipientRequired,
    /// A proxy marked the request as early data.
    TooEarly,
    /// The engine refused it.
    Refused(Refusal),
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Malformed> for Problem {
    fn from(Malformed(detail): Malformed) -> Self {
        Self::MalformedRequest(detail)
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
            Denial::InvalidKey | Denial::EndedKey | Denial::UnlistedKey(_) => Self::InvalidKey,
            Denial::OriginMissing
            | Denial::OriginRepeated
            | Denial::OriginMalformed
            | Denial::OriginNotListed => Self::OriginNotAllowed,
            Denial::SecretKeyInBrowser(_) => Self::SecretKeyInBrowser,
        }
    }
}

/// Status, code, title and detail of one problem.
type Row = (u16, &'static str, &'static str, &'static str);

impl Problem {
    /// The error table of the contract.
    pub(super) fn row(self) -> Row {
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
                (403, "key-class-forbidden", "Key class forbidden", "a restricted key does not permit this")
            }
            Self::SecretKeyInBrowser => (
                403,
                "secret-key-in-browser",
                "Secret key in a browser",
                "use a restricted key in browsers and rotate this one",
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
                (431, "headers-too-large", "Headers too large", "a head has at most 64 fields and 16 KiB")
            }
            Self::InvalidRecipient => {
                (422, "invalid-recipient", "Invalid recipient", "not an address that can be mailed")
            }
            Self::DisposableDomain => {
                (422, "disposable-domain", "Disposable domain", "addresses of this domain are not accepted")
            }
            Self::MalformedCode => {
                (422, "malformed-code", "Malformed code", "the text must have as many digits as the code")
            }
            Self::RecipientRequired => (
                422,
                "recipient-required",
                "Recipient required",
                "a check with a restricted key names the recipient that the code was sent to",
            ),
            Self::TooEarly => (425, "too-early", "Too early", "send it again after the handshake"),
            Self::Refused(refusal) => refusal_row(refusal),
        }
    }

    /// The name of the problem in the contract; in metrics with `_`.
    pub fn code(self) -> &'static str {
        self.row().1
    }

    /// Whether it counts as a denial against its peer: every 4xx except 409, 425 and 429. A refusal
    /// because of a ban does not count: requests during a ban neither extend it nor lead to the
    /// next one.
    pub(crate) fn is_denial(self) -> bool {
        let is_ban = matches!(self, Self::Refused(Refusal::Banned { .. }));
        !is_ban && matches!(self.row().0, 400..=408 | 410..=424 | 426..=428 | 430..=499)
    }

    /// Whether it is the refusal of a peer's window or ban.
    pub(crate) fn is_of_peer(self) -> bool {
        matches!(
            self,
            Self::Refused(Refusal::RateLimited { policy: Policy::Peer, .. } | Refusal::Banned { .. })
        )
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
            Policy::Project => "project",
            Policy::Domain => "domain",
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
        Refusal::Banned { .. } => (403, "banned", "Banned", "this peer exceeded its limits too often"),
        Refusal::Overloaded { .. } => (503, "overloaded", "Overloaded", "wait as long as Retry-After says"),
        Refusal::DeliveryUnavailable { .. } => {
            (503, "delivery-unavailable", "Delivery unavailable", "mail can't be sent at present")
        }
        Refusal::NotReady { .. } => (503, "not-ready", "Not ready", "wait as long as Retry-After says"),
        Refusal::IdempotencyInProgress { .. } => (
            409,
            "idempotency-in-progress",
            "Idempotency key in progress",
            "the first request with this key is still in progress",
        ),
        Refusal::IdempotencyKeyReused => (
            422,
            "idempotency-key-reused",
            "Idempotency key reused",
            "this key was used for another request before",
        ),
    }
}

/// The body of a problem (RFC 9457).
pub(super) fn problem_json(problem: Problem, request_id: &str) -> Value {
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

/// The value of `Retry-After`: whole seconds, rounded up, so that waiting that long is enough; at
/// least 1.
pub(super) fn retry_after(problem: Problem) -> Option<u64> {
    problem.retry_after().map(|wait| whole_seconds_up(wait).max(1))
}
