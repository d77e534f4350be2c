//! The way in: whose request it is, then ban, then key, then origin. No body is read, no inbox hears of it.
//!
//! ```text
//!   network peer, trusted proxies ─▶ peer ─ banned? ─▶ key ─┬─ in the book ────────▶ class, origin ─▶ Admitted
//!                                                           └─ unknown ─▶ keeper ──┘
//! ```
//!
//! A banned peer that comes by itself is stopped at the sockets; who meets the ban here came through a
//! trusted proxy, or its datagrams were on their way already.

use std::net::IpAddr;

use authepy_engine::clock::Moment;
use authepy_engine::identity::Mode;
use authepy_engine::limits::OVERLOADED_RETRY_AFTER;
use authepy_engine::perimeter::api_key::{KeyClass, KeyText, bearer};
use authepy_engine::perimeter::{Admitted, Credentials, Denial, Seen, admit, forwarded};
use authepy_engine::request::Refusal;
use authepy_http3::head::{Field, Head, Known};

use super::rate_account::RateAccount;
use crate::control::lookup::Verdict;
use crate::http::reply::Problem;
use crate::limits::STORE_RETRY;
use crate::serve::lane_context::LaneContext;

pub(super) const OVERLOADED: Problem =
    Problem::Refused(Refusal::Overloaded { retry_after: OVERLOADED_RETRY_AFTER });
/// Nobody can say whether the key exists: not 401, or a store's bad minute would look like a revoked key.
const STORE_DOWN: Problem = Problem::Refused(Refusal::NotReady { retry_after: STORE_RETRY });

/// Who was not let in, and whose counters say so.
pub(super) struct TurnedAway {
    pub(super) mode: Mode,
    pub(super) problem: Problem,
}

impl From<Problem> for TurnedAway {
    fn from(problem: Problem) -> Self {
        Self { mode: Mode::Live, problem }
    }
}

/// Key → origin. Whoever shows a valid secret key answers for nothing by its own address.
pub(super) async fn enter(
    context: &LaneContext,
    head: &Head,
    account: &RateAccount,
) -> Result<Admitted, TurnedAway> {
    if head.get(Known::EarlyData) != Field::Absent {
        return Err(Problem::TooEarly.into());
    }
    let credentials = credentials(head);
    let admitted = match judge(context, &credentials) {
        Err(Denial::UnlistedKey(key)) => match Box::pin(context.look_up(key)).await {
            Verdict::Listed => judge(context, &credentials),
            Verdict::Unknown => Err(Denial::InvalidKey),
            Verdict::StoreDown => return Err(STORE_DOWN.into()),
            Verdict::Crowded => return Err(OVERLOADED.into()),
        },
        judged => judged,
    };
    if matches!(admitted, Err(Denial::EndedKey)) {
        account.excuse();
    }
    if admitted.as_ref().map_or_else(is_of_secret_key, |admitted| admitted.key().class == KeyClass::Secret) {
        account.release();
    }
    raise_alarm(context, &admitted);
    let admitted = admitted
        .map_err(|denial| TurnedAway { mode: denied_mode(&credentials, &denial), problem: denial.into() })?;
    Ok(admitted)
}

/// A secret live key that works and comes from a browser is an alarm, whether it is let in or not. A key that does
/// not work is none: whoever does not hold one can raise no alarm about it.
fn raise_alarm(context: &LaneContext, judged: &Result<Admitted, Denial>) {
    let key = match judged {
        Ok(admitted) if admitted.is_exposed() => &admitted.key().digest,
        Err(Denial::SecretKeyInBrowser(key)) => key,
        Ok(_) | Err(_) => return,
    };
    if let Some(key) = context.keys().record(key).filter(|key| key.mode == Mode::Live) {
        context.key_exposed(key);
    }
}

/// Whether whoever was denied has shown a valid secret key.
fn is_of_secret_key(denial: &Denial) -> bool {
    matches!(denial, Denial::SecretKeyInBrowser(_))
}

fn judge(context: &LaneContext, credentials: &Credentials<'_>) -> Result<Admitted, Denial> {
    admit(&context.keys(), credentials, context.now(), context.policy().refuse_secret_in_browser)
}

/// Whose request it is: the network's peer, or who a trusted proxy says. Not a banned one.
///
/// Lists that contradict each other are charged to nobody: the one who wrote them is not known, and the
/// proxy that passed them on speaks for others too.
pub(super) fn peer(context: &LaneContext, head: &Head, network: IpAddr) -> Result<IpAddr, Problem> {
    let list = |known| match head.get(known) {
        Field::Absent => None,
        Field::One(list) => Some(list),
        // Lists are joined when they are read; one that was not names nobody.
        Field::Many => Some(&b""[..]),
    };
    let (forwarded, x_forwarded_for) = (list(Known::Forwarded), list(Known::XForwardedFor));
    let peer = forwarded::peer(network, &context.policy().trusted_proxies, forwarded, x_forwarded_for)
        .map_err(|forwarded::Contradiction| Problem::MalformedHttp)?;
    check_ban(context, peer).map(|()| peer)
}

/// Refuses whoever is banned, as far as this lane has heard.
pub(super) fn check_ban(context: &LaneContext, peer: IpAddr) -> Result<(), Problem> {
    let banned = |until: Moment| Refusal::Banned { retry_after: until.since(context.now().at) }.into();
    context.banned_until(peer).map_or(Ok(()), |until| Err(banned(until)))
}

/// Whether a page of another site had the request sent: it carries no key, and its browser says so. Whose browser
/// it is, nobody can be blamed for it.
pub(super) fn is_of_foreign_page(head: &Head) -> bool {
    head.get(Known::SecFetchSite) == Field::One(b"cross-site")
        && head.get(Known::Authorization) == Field::Absent
}

fn credentials(head: &Head) -> Credentials<'_> {
    let from_browser = [Known::Origin, Known::SecFetchSite, Known::SecFetchMode, Known::SecFetchDest]
        .into_iter()
        .any(|known| head.get(known) != Field::Absent);
    Credentials {
        authorization: seen(head.get(Known::Authorization)),
        origin: seen(head.get(Known::Origin)),
        from_browser,
    }
}

/// A key that exists and was denied for something else says by its text whether it is a test key; one
/// that nobody knows is nobody's test.
fn denied_mode(credentials: &Credentials<'_>, denial: &Denial) -> Mode {
    let shown = match (denial, credentials.authorization) {
        (Denial::InvalidKey | Denial::UnlistedKey(_), _) | (_, Seen::Absent | Seen::Many) => None,
        (_, Seen::One(value)) => bearer(value).and_then(|text| KeyText::parse(text).ok()),
    };
    shown.map_or(Mode::Live, |text| text.mode())
}

fn seen(field: Field<'_>) -> Seen<'_> {
    match field {
        Field::Absent => Seen::Absent,
        Field::One(value) => Seen::One(value),
        Field::Many => Seen::Many,
    }
}
