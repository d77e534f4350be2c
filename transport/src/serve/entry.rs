//! Admission of a request: its peer, then ban, then key, then origin. No body is read and no inbox
//! is involved.
//!
//! ```text
//!   network peer, trusted proxies ─▶ peer ─ banned? ─▶ key ─┬─ in the book ──────▶ class, origin
//!                                                           └─ unknown ─▶ keeper ┘     ─▶ Admitted
//! ```
//!
//! Datagrams of a banned peer are dropped at the sockets. The ban check here is for requests that
//! came through a trusted proxy, or were already on the way when the ban began.

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
/// It is unknown whether the key exists. Not 401, or a short outage of the store would look like a
/// revoked key.
const STORE_DOWN: Problem = Problem::Refused(Refusal::NotReady { retry_after: STORE_RETRY });

/// A request that was not admitted, and the mode whose counters count it.
pub(super) struct TurnedAway {
    pub(super) mode: Mode,
    pub(super) problem: Problem,
}

impl From<Problem> for TurnedAway {
    fn from(problem: Problem) -> Self {
        Self { mode: Mode::Live, problem }
    }
}

/// Key → origin. A request with a valid secret key is not charged to its own address.
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

/// Raises an alarm if a valid secret live key was sent by a browser, whether or not the request was
/// admitted. An invalid key raises none, so no one can cause alarms for a key they don't hold.
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

/// Whether the denied request showed a valid secret key.
fn is_of_secret_key(denial: &Denial) -> bool {
    matches!(denial, Denial::SecretKeyInBrowser(_))
}

fn judge(context: &LaneContext, credentials: &Credentials<'_>) -> Result<Admitted, Denial> {
    admit(&context.keys(), credentials, context.now(), context.policy().refuse_secret_in_browser)
}

/// The peer of a request: the network address, or the address that a trusted proxy names. An error
/// if it is banned.
///
/// A request with forwarding lists that contradict each other is charged to no one: their author is
/// unknown, and the proxy that passed them on carries others too.
pub(super) fn peer(context: &LaneContext, head: &Head, network: IpAddr) -> Result<IpAddr, Problem> {
    let list = |known| match head.get(known) {
        Field::Absent => None,
        Field::One(list) => Some(list),
        // Repeated lists are joined when they are read; one that was not joined names no one.
        Field::Many => Some(&b""[..]),
    };
    let (forwarded, x_forwarded_for) = (list(Known::Forwarded), list(Known::XForwardedFor));
    let peer = forwarded::peer(network, &context.policy().trusted_proxies, forwarded, x_forwarded_for)
        .map_err(|forwarded::Contradiction| Problem::MalformedHttp)?;
    check_ban(context, peer).map(|()| peer)
}

/// Refuses a peer that is banned, as far as this lane knows.
pub(super) fn check_ban(context: &LaneContext, peer: IpAddr) -> Result<(), Problem> {
    let banned = |until: Moment| Refusal::Banned { retry_after: until.since(context.now().at) }.into();
    context.banned_until(peer).map_or(Ok(()), |until| Err(banned(until)))
}

/// Whether a page of another site caused the request: it carries no key, and its browser says so.
/// Its peer can't be blamed for it.
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

/// The mode of a denied key that exists is in its text. An unknown key counts as live.
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
