//! The story of a request: read → enter → route → body → recipient → shard → reply.
//!
//! The order is the cheapest refusal first, and each step's result is the next one's argument, so that
//! none can be skipped: a [`Call`] needs an [`Entered`], an operation needs a body that was read.
//! HTTP/3 and the TCP door differ only in their [`Exchange`].

use std::net::IpAddr;

use authepy_engine::perimeter::api_key::{KeyClass, Mode};

use crate::desk::Desk;
use crate::http3::error::{Code, Fault};
use crate::http3::head::Head;
use crate::reply::{Problem, Reply};
use crate::target::{Call, Target};
use crate::turnstile::Full;

mod batch;
mod entry;
mod idempotency;
mod operation;
mod public;

use entry::{Entered, OVERLOADED, TurnedAway};

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
        Target::Key(destination) => match entry::enter(desk, head, exchange.peer()).await {
            Err(TurnedAway { mode, problem }) => (mode, Ok(problem.into())),
            Ok(entered) => {
                exchange.admitted(entered.admitted.key().class);
                let served = match destination {
                    Ok(call) => perform(desk, &entered, &call, &id, exchange).await,
                    Err(problem) => Ok(problem.into()),
                };
                let admitted = &entered.admitted;
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

/// Class → body → its class's turn → recipient → shard.
async fn perform(
    desk: &Desk,
    Entered { admitted, peer }: &Entered,
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
    let class = admitted.key().class;
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
    let request = operation::Request { admitted, call, id, body, peer: *peer };
    let answer = match key {
        None => operation::perform(desk, &request, None).await.map(|done| done.reply),
        Some(key) => idempotency::perform(desk, &request, &key).await,
    };
    Ok(answer.unwrap_or_else(Reply::from))
}
