//! `Idempotency-Key`: a repeated request gets the first answer again, rebuilt from the repeated
//! request.
//!
//! The key is claimed on the shard that its digest routes to, before the operation runs. The record
//! alone can't rebuild the answer. A refused operation releases the key.
//!
//! A claim is scoped to its caller. For a secret key that is the key. A restricted key is public:
//! everyone who has seen the page holds it, and could send a guessed idempotency key such as
//! `signup-ada`, get the answer of another person's verification, and use up its attempts. So
//! claims of a restricted key are scoped to the peer as well, unless the idempotency key is a
//! random UUID, which only its maker knows: with such a key, a phone that lost the answer gets it
//! again from another network.

use authepy_engine::id::{IdSecret, VerificationId};
use authepy_engine::limits::{CODE_LIFETIME_MAX, IDEMPOTENCY_KEY_BYTES};
use authepy_engine::perimeter::api_key::KeyClass;
use authepy_engine::perimeter::permission::Operation;
use authepy_engine::request::{Command, First, Outcome, Proven, Refusal, Reserve, Settle};
use authepy_engine::route::{BodyDigest, ClaimDigest, PeerDigest};
use authepy_http3::head::{Field, Head, Known};
use authepy_http3::json;

use super::asked::Ready;
use super::operation::{self, Request, standing_reply, unexpected, verdict_reply};
use crate::http::reply::{Problem, Reply};
use crate::http::target::Call;
use crate::serve::lane_context::LaneContext;

/// `8e03978e-40d5-43dd-bc93-6894a57f9324`
const UUID_CHARS: usize = 36;
const MALFORMED: Problem = Problem::MalformedRequest("Idempotency-Key must have 1 to 255 visible characters");

/// The idempotency key of a request, on routes that support one. A structured-field string (as in
/// the IETF draft) and the bare text are the same key.
pub(super) fn key<'a>(head: &'a Head, call: &Call) -> Result<Option<&'a [u8]>, Problem> {
    if !matches!(call.route, Operation::Issue | Operation::Check | Operation::Resend) {
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

/// Performs the operation once for all requests under one key. A repetition counts in its peer's
/// window, like every request, but not in those of the inbox or the API key.
pub(super) async fn perform(
    context: &LaneContext,
    request: &Request<'_>,
    asked: Ready<'_>,
    key: &[u8],
) -> Result<Reply, Problem> {
    let scope = request.admitted.key().digest.as_bytes();
    let claim = claim(context, request, key);
    let body = body_digest(context, request)?;
    // Reserved for as long as any verification may live; the first answer shortens it to the
    // lifetime of its own.
    let reserve = Proven::<Reserve>::new(request.admitted, claim, body, CODE_LIFETIME_MAX);
    match request.ask(context, claim.route(), Command::Reserve(reserve)).await {
        Outcome::Repeated { first, salt } => {
            let secret = IdSecret::derive(context.start_keys(), scope, key, &salt);
            repeat(context, request, &asked, &first, secret).map(Reply::replayed)
        }
        Outcome::Reserved { salt } => {
            let secret = IdSecret::derive(context.start_keys(), scope, key, &salt);
            let done = operation::perform(context, request, asked, Some(secret)).await;
            let first = done.as_ref().ok().and_then(|done| done.first.clone());
            let _noted =
                request.ask(context, claim.route(), Command::Settle(Settle { key: claim, first })).await;
            done.map(|done| done.reply)
        }
        other => Err(unexpected(other)),
    }
}

/// The digest of the claim: the idempotency key, scoped to its caller.
fn claim(context: &LaneContext, request: &Request<'_>, key: &[u8]) -> ClaimDigest {
    let api_key = request.admitted.key();
    let asker = match api_key.class {
        KeyClass::Restricted if !is_random_uuid(key) => request.account.asker(context),
        _ => None,
    };
    let asker = asker.map(PeerDigest::to_bytes);
    let asker = asker.as_ref().map_or(&[][..], |bytes| bytes.as_slice());
    context.start_keys().scoped("idempotency key", &[api_key.digest.as_bytes(), asker, key])
}

/// Whether a text is a UUID of version 4, which is random, or 7, which is random after its
/// timestamp (RFC 9562, 5.4 and 5.7). Digits may be of either case, because systems print both.
fn is_random_uuid(text: &[u8]) -> bool {
    text.len() == UUID_CHARS
        && text.iter().enumerate().all(|(at, character)| match at {
            8 | 13 | 18 | 23 => *character == b'-',
            14 => matches!(character, b'4' | b'7'),
            // The variant of RFC 9562: two bits, `10`.
            19 => matches!(character.to_ascii_lowercase(), b'8' | b'9' | b'a' | b'b'),
            _ => character.is_ascii_hexdigit(),
        })
}

/// Rebuilds the first answer.
fn repeat(
    context: &LaneContext,
    request: &Request<'_>,
    asked: &Ready<'_>,
    first: &First,
    secret: IdSecret,
) -> Result<Reply, Problem> {
    match (asked, first) {
        (Ready::Check(asked, _), first) => verdict_reply(context, request, &asked.statement, first),
        (Ready::Issue(asked, _), First::Issued(standing, route)) => {
            let id = VerificationId::new(context.start_keys(), secret, *route);
            Ok(standing_reply(&id, standing, &asked.recipient))
        }
        (Ready::Resend(recipient, _), First::Issued(standing, _)) => {
            let id = request.call.id.as_ref().ok_or(Refusal::VerificationNotFound)?;
            Ok(standing_reply(id, standing, recipient))
        }
        // The digest of the body includes the route, so a first answer is of the same kind.
        _ => Err(Refusal::IdempotencyKeyReused.into()),
    }
}

/// The digest of everything that must be equal in a repeated request: route, verification, query,
/// body members.
fn body_digest(context: &LaneContext, request: &Request<'_>) -> Result<BodyDigest, Problem> {
    let canonical = json::canonical::object(request.body)
        .ok_or(Problem::MalformedRequest("the body is not a JSON object"))?;
    let id = request.call.id.as_ref().map(VerificationId::text);
    let id = id.as_ref().map_or("", |id| id.as_str());
    let route = match request.call.route {
        Operation::Issue => "issue",
        Operation::Check => "check",
        _ => "resend",
    };
    let parts = [route.as_bytes(), id.as_bytes(), request.query.as_bytes(), canonical.as_bytes()];
    Ok(context.start_keys().scoped("idempotent request", &parts))
}

#[cfg(test)]
mod tests {
    use super::is_random_uuid;

    #[test]
    fn a_uuid_of_version_4_or_7_is_one_that_nobody_guesses() {
        for random in [
            "8e03978e-40d5-43dd-bc93-6894a57f9324",
            "8E03978E-40D5-43DD-BC93-6894A57F9324",
            "017F22E2-79B0-7CC3-98C4-DC0C0C07398F",
        ] {
            assert!(is_random_uuid(random.as_bytes()), "{random}");
        }
        for other in [
            "",
            "signup-ada",
            // Versions 1, 3, 5, and nil.
            "C232AB00-9414-11EC-B3C8-9F6BDECED846",
            "5df41881-3aed-3515-88a7-2f4a814cf09e",
            "2ed6657d-e927-568b-95e1-2665a8aea6a2",
            "00000000-0000-0000-0000-000000000000",
            // Of another variant.
            "8e03978e-40d5-43dd-cc93-6894a57f9324",
            "8e03978e-40d5-43dd-7c93-6894a57f9324",
            "8e03978e-40d5-43dd-bc93-6894a57f932",
            "8e03978e-40d5-43dd-bc93-6894a57f93245",
            "8e03978e40d543ddbc936894a57f9324",
            "8e03978e-40d5-43dd-bc93_6894a57f9324",
            "8e03978e-40d5-43dd-bc93-6894a57f932g",
            "{8e03978e-40d5-43dd-bc93-6894a57f9324}",
        ] {
            assert!(!is_random_uuid(other.as_bytes()), "{other}");
        }
    }
}
