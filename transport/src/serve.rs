//! The story of a request: read → admit → route → body → recipient → shard → reply.
//!
//! The order is the cheapest refusal first, and each step's result is the next one's argument, so that
//! none can be skipped: a [`Call`] needs an [`Admitted`], an operation needs a body that was read.
//! HTTP/3 and the TCP door differ only in their [`Exchange`].

use std::net::IpAddr;

use authepy_engine::perimeter::{Admitted, Credentials, Seen, admit, forwarded};

use crate::desk::Desk;
use crate::http3::error::{Code, Fault};
use crate::http3::head::{Field, Head, Known};
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
        Target::Key(destination) => match entry(desk, head, exchange.peer()) {
            Err(problem) => problem.into(),
            Ok((peer, admitted)) => {
                let mut reply = match destination {
                    Ok(call) => perform(desk, &admitted, &call, peer, exchange).await?,
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

/// Peer → ban → key → origin.
fn entry(desk: &Desk, head: &Head, network: IpAddr) -> Result<(IpAddr, Admitted), Problem> {
    let peer = peer(desk, head, network)?;
    Ok((peer, admitted(desk, head)?))
}

/// Whose request it is: the network's peer, or who a trusted proxy says.
fn peer(desk: &Desk, head: &Head, network: IpAddr) -> Result<IpAddr, Problem> {
    let list = |known| match head.get(known) {
        Field::Absent => None,
        Field::One(list) => Some(list),
        // Lists are joined when they are read; one that was not names nobody.
        Field::Many => Some(&b""[..]),
    };
    let (forwarded, x_forwarded_for) = (list(Known::Forwarded), list(Known::XForwardedFor));
    forwarded::peer(network, &desk.policy().trusted_proxies, forwarded, x_forwarded_for)
        .map_err(|forwarded::Contradiction| Problem::MalformedHttp)
}

/// Nothing of the body has been read, no shard has heard of the request.
fn admitted(desk: &Desk, head: &Head) -> Result<Admitted, Problem> {
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
    let admitted = admit(&desk.keys(), &credentials, desk.policy().refuse_secret_in_browser)?;
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
    peer: IpAddr,
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
