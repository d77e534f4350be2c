//! What needs no key: the JWK sets, the probes, and preflights.

use authepy_http3::head::{Field, Head, Known};

use super::tab::Tab;
use crate::http::reply::{Problem, Reply};
use crate::http::target::Page;
use crate::serve::desk::Desk;

/// Answers, and counts the visit. Where it can't be counted, as while a shard does not answer, it is answered all
/// the same: a probe asks how this server is.
pub(super) async fn answer(desk: &Desk, page: Page, head: &Head, tab: &Tab) -> Reply {
    let listed = listed_origin(desk, page, head);
    if listed.is_some() {
        tab.own_page();
    }
    if page != Page::WrongMethod
        && let Err(problem) = tab.charge_visit(desk).await
        && problem.is_of_peer()
    {
        return problem.into();
    }
    match page {
        Page::Jwks(mode) => Reply::ok(desk.receipts().of(mode).jwks()).public(),
        Page::Health => Reply::ok(br#"{"status":"ok"}"#.to_vec()),
        Page::Readiness if desk.is_ready() => Reply::ok(br#"{"status":"ready"}"#.to_vec()),
        Page::Readiness => Reply::not_ready(),
        Page::Preflight => preflight(listed),
        Page::WrongMethod => Problem::MethodNotAllowed("GET, HEAD, OPTIONS").into(),
    }
}

/// The origin of a preflight, if some restricted key lists it; whose key the request will carry is not known yet
/// (a preflight has no credentials).
fn listed_origin<'a>(desk: &Desk, page: Page, head: &'a Head) -> Option<&'a [u8]> {
    match head.get(Known::Origin) {
        Field::One(origin) if page == Page::Preflight && desk.keys().lists_origin(origin) => Some(origin),
        _ => None,
    }
}

fn preflight(listed: Option<&[u8]>) -> Reply {
    Reply::preflight().readable_by(listed)
}
