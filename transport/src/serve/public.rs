//! What needs no key: the JWKS, the probes, and preflights.

use crate::desk::Desk;
use crate::http3::head::{Field, Head, Known};
use crate::reply::{Problem, Reply};
use crate::target::Page;

pub(super) fn answer(desk: &Desk, page: Page, head: &Head) -> Reply {
    match page {
        Page::Jwks => Reply::ok(desk.receipts().jwks()),
        Page::Health => Reply::ok(br#"{"status":"ok"}"#.to_vec()),
        Page::Readiness if desk.is_ready() => Reply::ok(br#"{"status":"ready"}"#.to_vec()),
        Page::Readiness => Reply::not_ready(),
        Page::Preflight => preflight(desk, head),
        Page::WrongMethod => Problem::MethodNotAllowed("GET, HEAD, OPTIONS").into(),
    }
}

/// A page's origin is let through if some restricted key lists it; whose key the request will carry is
/// not known yet (a preflight has no credentials).
fn preflight(desk: &Desk, head: &Head) -> Reply {
    let mut reply = Reply::preflight();
    if let Field::One(origin) = head.get(Known::Origin)
        && desk.keys().lists_origin(origin)
    {
        reply.allow_origin(origin);
    }
    reply
}
