//! The story of a request: read → admit → route → body → turnstile → recipient → shard → reply.
//!
//! The order is the cheapest refusal first, and each step's result is the next one's argument, so that
//! none can be skipped: a [`Call`] needs an [`Admitted`], an operation needs a body that was read.
//! HTTP/3 and the TCP door differ only in their [`Exchange`].

use std::net::IpAddr;

use authepy_engine::limits::OVERLOADED_RETRY_AFTER;
use authepy_engine::perimeter::api_key::{KeyClass, KeyText, Mode, bearer};
use authepy_engine::perimeter::{Admitted, Credentials, Denial, Seen, admit};
use authepy_engine::request::Refusal;

use crate::desk::Desk;
use crate::http3::error::{Code, Fault};
use crate::http3::head::{Field, Head, Known};
use crate::reply::{Problem, Reply};
use crate::target::{Call, Target};
use crate::turnstile::Full;

mod batch;
mod idempotency;
mod operation;
mod public;

/// The line of the key's class is full. In a second any line has moved on by hundreds of places.
const OVERLOADED: Problem = Problem::Refused(Refusal::Overloaded { retry_after: OVERLOADED_RETRY_AFTER });

/// One request on its way in: its head is there, its body not yet.
pub trait Exchange {
    /// The head; `None` only while there is none yet, or after the stream broke.
    fn head(&self) -> Option<&Head>;
    /// Who sent it, as far as the network knows.
    fn peer(&self) -> IpAddr;
    /// Hears of whose key was let in.
    fn admitted(&self, _class: KeyClass) {}
    /// Reads the body to its end, bounded in size and time. Callable again; it is the same body.
    fn body(&mut self) -> impl Future<Output = Result<&[u8], Fault>>;
}

/// Serves one request. A [`Fault`] means that no answer can be given: the stream or connection ends.
pub async fn serve(desk: &Desk, exchange: &mut impl Exchange) -> Result<Reply, Fault> {
    let head = exchange.head().ok_or(Fault::Stream(Code::RequestIncomplete))?;
    let (target, id) = (Target::of(head), desk.request_id());
    let label = target.label();
    let (mode, served) = match target {
        Target::Public(page) => (Mode::Live, Ok(public::answer(desk, page, head))),
        Target::Key(destination) => match admitted(desk, head) {
            Err(TurnedAway { mode, problem }) => (mode, Ok(problem.into())),
            Ok(admitted) => {
                exchange.admitted(admitted.key().class);
                let served = match destination {
                    Ok(call) => perform(desk, &admitted, &call, &id, exchange).await,
                    Err(problem) => Ok(problem.into()),
                };
                (admitted.key().mode, served.map(|reply| reply.readable_by(admitted.origin())))
            }
        },
    };
    match served {
        Ok(mut reply) => {
            reply.identify(id);
            desk.counters().count(label, mode, &reply);
            Ok(reply)
        }
        Err(fault) => {
            desk.counters().aborted(label, mode);
            Err(fault)
        }
    }
}

/// Who was not let in, and whose counters say so.
struct TurnedAway {
    mode: Mode,
    problem: Problem,
}

/// Ban → key → origin. Nothing of the body has been read, no shard has heard of the request.
fn admitted(desk: &Desk, head: &Head) -> Result<Admitted, TurnedAway> {
    let from_browser = [Known::Origin, Known::SecFetchSite, Known::SecFetchMode, Known::SecFetchDest]
        .into_iter()
        .any(|known| head.get(known) != Field::Absent);
    let credentials = Credentials {
        authorization: seen(head.get(Known::Authorization)),
        origin: seen(head.get(Known::Origin)),
        from_browser,
    };
    if head.get(Known::EarlyData) != Field::Absent {
        return Err(TurnedAway { mode: Mode::Live, problem: Problem::TooEarly });
    }
    let admitted = admit(&desk.keys(), &credentials, desk.refuses_secret_in_browser())
        .map_err(|denial| TurnedAway { mode: denied_mode(&credentials, denial), problem: denial.into() })?;
    if admitted.is_exposed() && admitted.key().mode == Mode::Live {
        desk.counters().key_exposed();
    }
    Ok(admitted)
}

/// A key that exists and was denied for something else says by its text whether it is a test key; one
/// that nobody knows is nobody's test.
fn denied_mode(credentials: &Credentials<'_>, denial: Denial) -> Mode {
    let shown = match (denial, credentials.authorization) {
        (Denial::InvalidKey, _) | (_, Seen::Absent | Seen::Many) => None,
        (_, Seen::One(value)) => bearer(value).and_then(|text| KeyText::parse(text).ok()),
    };
    shown.map_or(Mode::Live, |text| text.mode())
}

/// Class → body → its class's turn → recipient → shard.
async fn perform(
    desk: &Desk,
    admitted: &Admitted,
    call: &Call,
    id: &str,
    exchange: &mut impl Exchange,
) -> Result<Reply, Fault> {
    if !call.permitted(admitted) {
        return Ok(Problem::KeyClassForbidden.into());
    }
    let head = exchange.head().ok_or(Fault::Stream(Code::RequestIncomplete))?;
    let checked = call.check_content(head).and_then(|()| idempotency::key(head, call));
    let key = match checked {
        Ok(key) => key.map(Box::<[u8]>::from),
        Err(problem) => return Ok(problem.into()),
    };
    let (peer, class) = (exchange.peer(), admitted.key().class);
    if desk.turnstile().is_full(class) {
        return Ok(OVERLOADED.into());
    }
    let body = match exchange.body().await {
        Ok(body) => body,
        Err(Fault::Answer(refused)) => return Ok(Problem::from(refused).into()),
        Err(fault) => return Err(fault),
    };
    if let Err(Full) = desk.turnstile().pass(class).await {
        return Ok(OVERLOADED.into());
    }
    let request = operation::Request { admitted, call, id, body, peer };
    let answer = match key {
        None => operation::perform(desk, &request, None).await.map(|done| done.reply),
        Some(key) => idempotency::perform(desk, &request, &key).await,
    };
    Ok(answer.unwrap_or_else(Reply::from))
}

fn seen(field: Field<'_>) -> Seen<'_> {
    match field {
        Field::Absent => Seen::Absent,
        Field::One(value) => Seen::One(value),
        Field::Many => Seen::Many,
    }
}
