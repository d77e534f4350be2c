//! `Idempotency-Key`: a repeated request gets the first answer again, made anew from what it carries.
//!
//! The key is claimed on the shard its digest routes to, before the operation runs; what the record
//! holds can't make the answer by itself. A refused operation releases the key.

use authepy_engine::id::{IdSecret, VerificationId};
use authepy_engine::limits::{CODE_LIFETIME_MAX, IDEMPOTENCY_KEY_BYTES};
use authepy_engine::perimeter::permission::Route;
use authepy_engine::request::{Command, First, Outcome, Refusal, Reserve, Settle};
use authepy_engine::route::Digest128;

use super::asked::Asked;
use super::operation::{self, Request, standing_reply, unexpected, verdict_reply};
use crate::canonical;
use crate::desk::Desk;
use crate::http3::head::{Field, Head, Known};
use crate::reply::{Problem, Reply};
use crate::target::Call;

const MALFORMED: Problem = Problem::MalformedRequest("Idempotency-Key has 1 to 255 visible characters");

/// The idempotency key of a request, on routes that know one. A structured-field string (as the IETF
/// draft has it) and the bare text are the same key.
pub(super) fn key<'a>(head: &'a Head, call: &Call) -> Result<Option<&'a [u8]>, Problem> {
    if !matches!(call.route, Route::Issue | Route::Check | Route::Resend) {
        return Ok(None);
    }
    let key = match head.get(Known::IdempotencyKey) {
        Field::Absent => return Ok(None),
        Field::Many => return Err(MALFORMED),
        Field::One(key) => key,
    };
    let bare = key.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(key);
    let fits = (1..=IDEMPOTENCY_KEY_BYTES).contains(&bare.len())
        && bare.iter().all(|byte| (0x21..0x7f).contains(byte));
    fits.then_some(Some(bare)).ok_or(MALFORMED)
}

/// Performs the operation once for all requests under one key. A repetition has cost its peer's window
/// already, being a request; it costs neither the inbox's nor the API key's.
pub(super) async fn perform(
    desk: &Desk,
    request: &Request<'_>,
    asked: Asked<'_>,
    key: &[u8],
) -> Result<Reply, Problem> {
    let scope = request.admitted.key().digest.as_bytes();
    let claim = desk.start_keys().scoped("idempotency key", &[scope, key]);
    // For as long as any verification may live; the first answer says how long this one does.
    let reserve = Reserve { key: claim, body: body_digest(desk, request)?, lifetime: CODE_LIFETIME_MAX };
    match request.ask(desk, claim.route(), Command::Reserve(reserve)).await {
        Outcome::Repeated { first, salt } => {
            let secret = IdSecret::derive(desk.start_keys(), scope, key, &salt);
            repeat(desk, request, &asked, &first, secret).map(Reply::replayed)
        }
        Outcome::Reserved { salt } => {
            let secret = IdSecret::derive(desk.start_keys(), scope, key, &salt);
            let done = operation::perform(desk, request, asked, Some(secret)).await;
            let first = done.as_ref().ok().and_then(|done| done.first.clone());
            let _noted =
                request.ask(desk, claim.route(), Command::Settle(Settle { key: claim, first })).await;
            done.map(|done| done.reply)
        }
        other => Err(unexpected(other)),
    }
}

/// Makes the first answer again.
fn repeat(
    desk: &Desk,
    request: &Request<'_>,
    asked: &Asked<'_>,
    first: &First,
    secret: IdSecret,
) -> Result<Reply, Problem> {
    match (asked, first) {
        (Asked::Check(asked), first) => verdict_reply(desk, request, &asked.body, first),
        (Asked::Issue(asked), First::Issued(standing, route)) => {
            let id = VerificationId::new(desk.start_keys(), secret, *route);
            Ok(standing_reply(&id, standing, &asked.recipient))
        }
        (Asked::Resend(recipient), First::Issued(standing, _)) => {
            let id = request.call.id.as_ref().ok_or(Refusal::VerificationNotFound)?;
            Ok(standing_reply(id, standing, recipient))
        }
        // The digest of the body holds the route, so a first answer is of the same kind.
        _ => Err(Refusal::IdempotencyKeyReused.into()),
    }
}

/// What has to be the same for a request to be the same: the route, the verification, the members.
fn body_digest(desk: &Desk, request: &Request<'_>) -> Result<Digest128, Problem> {
    let canonical =
        canonical::object(request.body).ok_or(Problem::MalformedRequest("the body is not a JSON object"))?;
    let id = request.call.id.as_ref().map(VerificationId::text);
    let id = id.as_ref().map_or("", |id| id.as_str());
    let route = match request.call.route {
        Route::Issue => "issue",
        Route::Check => "check",
        _ => "resend",
    };
    Ok(desk
        .start_keys()
        .scoped("idempotent request", &[route.as_bytes(), id.as_bytes(), canonical.as_bytes()]))
}
