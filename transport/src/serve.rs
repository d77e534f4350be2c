//! The story of a request: read → admit → route → body → recipient → shard → reply.
//!
//! The order is the cheapest refusal first, and each step's result is the next one's argument, so that
//! none can be skipped: a [`Call`] needs an [`Admitted`], an operation needs a body that was read.
//! HTTP/3 and the TCP door differ only in their [`Exchange`].

use std::net::IpAddr;

use authepy_engine::limits::OVERLOADED_RETRY_AFTER;
use authepy_engine::perimeter::{Admitted, Credentials, Denial, Seen, admit};
use authepy_engine::request::Refusal;

use crate::desk::Desk;
use crate::http3::error::{Code, Fault};
use crate::http3::head::{Field, Head, Known};
use crate::limits::STORE_RETRY;
use crate::lookup::Verdict;
use crate::reply::{Problem, Reply};
use crate::target::{Call, Target};

mod idempotency;
mod operation;
mod public;

/// One request on its way in: its head is there, its body not yet.
pub trait Exchange {
    /// The head; `None` only while there is none yet, or after the stream broke.
    fn head(&self) -> Option<&Head>;
    /// Who sent it, as far as the network knows.
    fn peer(&self) -> IpAddr;
    /// Reads the body to its end, bounded in size and time. Callable again; it is the same body.
    fn body(&mut self) -> impl Future<Output = Result<&[u8], Fault>>;
}

/// Serves one request. A [`Fault`] means that no answer can be given: the stream or connection ends.
pub async fn serve(desk: &Desk, exchange: &mut impl Exchange) -> Result<Reply, Fault> {
    let head = exchange.head().ok_or(Fault::Stream(Code::RequestIncomplete))?;
    let mut reply = match Target::of(head) {
        Target::Public(page) => public::answer(desk, page, head),
        Target::Key(destination) => match admitted(desk, head).await {
            Err(problem) => problem.into(),
            Ok(admitted) => {
                let mut reply = match destination {
                    Ok(call) => perform(desk, &admitted, &call, exchange).await?,
                    Err(problem) => problem.into(),
                };
                admitted.origin().into_iter().for_each(|origin| reply.allow_origin(origin));
                reply
            }
        },
    };
    reply.identify(desk.request_id());
    desk.counters().count(&reply);
    Ok(reply)
}

/// Ban → key → origin. Nothing of the body has been read, no shard has heard of the request.
async fn admitted(desk: &Desk, head: &Head) -> Result<Admitted, Problem> {
    if head.get(Known::EarlyData) != Field::Absent {
        return Err(Problem::TooEarly);
    }
    let from_browser = [Known::Origin, Known::SecFetchSite, Known::SecFetchMode, Known::SecFetchDest]
        .into_iter()
        .any(|known| head.get(known) != Field::Absent);
    let credentials = Credentials {
        authorization: seen(head.get(Known::Authorization)),
        origin: seen(head.get(Known::Origin)),
        from_browser,
    };
    let judge = || admit(&desk.keys(), &credentials, desk.now(), desk.refuses_secret_in_browser());
    let admitted = match judge() {
        Err(Denial::UnlistedKey(key)) => match desk.look_up(key).await {
            Verdict::Listed => judge(),
            Verdict::Unknown => Err(Denial::InvalidKey),
            Verdict::StoreDown => return Err(Refusal::NotReady { retry_after: STORE_RETRY }.into()),
            Verdict::Crowded => {
                return Err(Refusal::Overloaded { retry_after: OVERLOADED_RETRY_AFTER }.into());
            }
        },
        judged => judged,
    }?;
    if admitted.is_exposed() {
        desk.counters().key_exposed();
    }
    Ok(admitted)
}

/// Class → body → recipient → shard.
async fn perform(
    desk: &Desk,
    admitted: &Admitted,
    call: &Call,
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
    let peer = exchange.peer();
    let body = match exchange.body().await {
        Ok(body) => body,
        Err(Fault::Answer(refused)) => return Ok(Problem::from(refused).into()),
        Err(fault) => return Err(fault),
    };
    let request = operation::Request { admitted, call, body, peer };
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
