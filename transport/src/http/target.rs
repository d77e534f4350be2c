//! Maps method and path to a route.

use authepy_engine::id::VerificationId;
use authepy_engine::identity::Mode;
use authepy_engine::perimeter::Admitted;
use authepy_engine::perimeter::api_key::looks_like_key;
use authepy_engine::perimeter::permission::{Operation, permits};
use authepy_http3::head::{Field, Head, Known, Method};

use crate::http::reply::Problem;

mod label;
pub(crate) use label::RouteLabel;

/// The public pages, which need no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    /// The JWK set for receipts of keys of this mode.
    Jwks(Mode),
    Health,
    Readiness,
    Preflight,
    /// One of the others, requested with a method that it does not have.
    WrongMethod,
}

/// A route that needs a key, with the verification it names.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) route: Operation,
    /// The id in the path. `None` on routes without one, and for a malformed id, which is treated
    /// like an unknown verification.
    pub(crate) id: Option<VerificationId>,
}

/// The target of a request.
#[derive(Debug)]
pub(crate) enum Target {
    /// Needs no key.
    Public(Page),
    /// Needs a key, even to learn that the route does not exist.
    Key(Result<Call, Problem>),
}

const COLLECTION: &str = "/v1/verifications";

impl Target {
    /// Maps method and path. Queries are ignored, but a key in one is a leaked key and refused.
    pub(crate) fn of(head: &Head) -> Self {
        if head.method() == Method::Options {
            return Self::Public(Page::Preflight);
        }
        let page = match head.path() {
            "/.well-known/jwks.json" => Page::Jwks(Mode::Live),
            "/.well-known/jwks-test.json" => Page::Jwks(Mode::Test),
            "/healthz" => Page::Health,
            "/readyz" => Page::Readiness,
            _ => return Self::Key(Call::of(head)),
        };
        Self::Public(match head.method() {
            Method::Get | Method::Head => page,
            _ => Page::WrongMethod,
        })
    }

    /// The label in metrics.
    pub(crate) fn label(&self) -> RouteLabel {
        match self {
            Self::Public(Page::Jwks(_)) => RouteLabel::Jwks,
            Self::Public(Page::Health) => RouteLabel::Healthz,
            Self::Public(Page::Readiness) => RouteLabel::Readyz,
            Self::Public(Page::Preflight) => RouteLabel::Preflight,
            Self::Public(Page::WrongMethod) | Self::Key(Err(_)) => RouteLabel::Unknown,
            Self::Key(Ok(call)) => match call.route {
                Operation::Issue => RouteLabel::Issue,
                Operation::Check => RouteLabel::Check,
                Operation::Resend => RouteLabel::Resend,
                Operation::Cancel => RouteLabel::Cancel,
                Operation::Status => RouteLabel::Status,
                Operation::Batch => RouteLabel::Batch,
                Operation::Introspect => RouteLabel::Introspect,
                Operation::Alerts => RouteLabel::Alerts,
            },
        }
    }
}

impl Call {
    fn of(head: &Head) -> Result<Self, Problem> {
        let path = head.path();
        if looks_like_key(path.as_bytes())
            || head.query().is_some_and(|query| looks_like_key(query.as_bytes()))
        {
            return Err(Problem::MalformedRequest(
                "a key is in the URL; send it as Authorization: Bearer KEY",
            ));
        }
        let post = |route, id| match head.method() {
            Method::Post => Ok(Self { route, id }),
            _ => Err(Problem::MethodNotAllowed("POST, OPTIONS")),
        };
        match path {
            COLLECTION => return post(Operation::Issue, None),
            "/v1/verifications:batch" => return post(Operation::Batch, None),
            "/v1/receipts/introspect" => return post(Operation::Introspect, None),
            "/v1/alerts" => return post(Operation::Alerts, None),
            _ => {}
        }
        let rest =
            path.strip_prefix(COLLECTION).and_then(|rest| rest.strip_prefix('/')).ok_or(Problem::NotFound)?;
        let (id, action) = rest.split_once('/').map_or((rest, None), |(id, action)| (id, Some(action)));
        let id = VerificationId::parse(id);
        match (action, head.method()) {
            (Some("check"), _) => post(Operation::Check, id),
            (Some("resend"), _) => post(Operation::Resend, id),
            (Some(_), _) => Err(Problem::NotFound),
            (None, Method::Get) => Ok(Self { route: Operation::Status, id }),
            (None, Method::Delete) => Ok(Self { route: Operation::Cancel, id }),
            (None, _) => Err(Problem::MethodNotAllowed("GET, DELETE, OPTIONS")),
        }
    }

    /// Whether the class of the key permits this route.
    pub(crate) fn permitted(&self, admitted: &Admitted) -> bool {
        permits(admitted.key().class, self.route)
    }

    /// Checks the content type and content coding of the body.
    pub(crate) fn check_content(&self, head: &Head) -> Result<(), Problem> {
        if !self.takes_body() {
            return Ok(());
        }
        let json = match head.get(Known::ContentType) {
            Field::One(value) => is_json(value),
            Field::Absent | Field::Many => false,
        };
        let plain = match head.get(Known::ContentEncoding) {
            Field::Absent => true,
            Field::One(coding) => coding.eq_ignore_ascii_case(b"identity"),
            Field::Many => false,
        };
        (json && plain).then_some(()).ok_or(Problem::UnsupportedMediaType)
    }

    fn takes_body(&self) -> bool {
        !matches!(self.route, Operation::Status | Operation::Cancel)
    }
}

/// `application/json`, alone or with `charset=utf-8` (RFC 8259, 8.1 and 11).
fn is_json(value: &[u8]) -> bool {
    let Ok(value) = std::str::from_utf8(value) else { return false };
    let mut parts = value.split(';').map(str::trim);
    let media_type = parts.next().is_some_and(|text| text.eq_ignore_ascii_case("application/json"));
    media_type
        && parts.all(|parameter| {
            let parameter = parameter.to_ascii_lowercase();
            parameter.is_empty() || matches!(&*parameter, "charset=utf-8" | "charset=\"utf-8\"")
        })
}
