//! The public pages, which need no key: the JWK sets, the probes, and preflights.

use authepy_http3::head::{Field, Head, Known};

use super::rate_account::RateAccount;
use crate::http::reply::{Problem, Reply};
use crate::http::target::Page;
use crate::serve::lane_context::LaneContext;

/// Answers and counts the request. If it can't be counted, for example while a shard does not
/// answer, it is answered anyway.
pub(super) async fn answer(context: &LaneContext, page: Page, head: &Head, account: &RateAccount) -> Reply {
    let listed = listed_origin(context, page, head);
    if listed.is_some() {
        account.own_page();
    }
    if page != Page::WrongMethod
        && let Err(problem) = account.charge_visit(context).await
        && problem.is_of_peer()
    {
        return problem.into();
    }
    match page {
        Page::Jwks(mode) => Reply::ok(context.receipts().of(mode).jwks()).public(),
        Page::Health => Reply::ok(br#"{"status":"ok"}"#.to_vec()),
        Page::Readiness if context.is_ready() => Reply::ok(br#"{"status":"ready"}"#.to_vec()),
        Page::Readiness => Reply::not_ready(),
        Page::Preflight => preflight(listed),
        Page::WrongMethod => Problem::MethodNotAllowed("GET, HEAD, OPTIONS").into(),
    }
}

/// The origin of a preflight, if some restricted key lists it. A preflight has no credentials, so
/// the key of the request to follow is not known yet.
fn listed_origin<'a>(context: &LaneContext, page: Page, head: &'a Head) -> Option<&'a [u8]> {
    match head.get(Known::Origin) {
        Field::One(origin) if page == Page::Preflight && context.keys().lists_origin(origin) => Some(origin),
        _ => None,
    }
}

fn preflight(listed: Option<&[u8]>) -> Reply {
    Reply::preflight().readable_by(listed)
}
