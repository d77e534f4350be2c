//! The story of a request: ban → key → origin → route → class → body → recipient → limits → slot → reply.
//!
//! The order is the cheapest refusal first, and each step's result is the next one's argument: the engine takes a
//! command only with its proofs (`authepy_engine::request::Proven`), so a step that is skipped does not compile. What
//! a request costs its peer is kept on its [`Tab`], and a refusal is charged before it is answered.
//! HTTP/3 and the TCP door differ only in their [`Exchange`].

use std::net::IpAddr;

use authepy_engine::identity::Mode;
use authepy_engine::peer::Peer;
use authepy_engine::perimeter::{Admitted, KeyRecord};

use crate::desk::Desk;
use crate::http3::error::{Code, Fault};
use crate::http3::head::Head;
use crate::observe::RouteLabel;
use crate::query;
use crate::reply::{Problem, Reply};
use crate::target::{Call, Target};
use crate::turnstile::Full;

mod alerts;
mod asked;
mod batch;
mod entry;
mod idempotency;
mod issue;
mod operation;
mod places;
mod public;
mod tab;

use asked::Asked;
use entry::{OVERLOADED, TurnedAway};
use operation::Request;
use tab::Tab;

/// One request on its way in: its head is there, its body not yet.
pub trait Exchange {
    /// The head; `None` only while there is none yet, or after the stream broke.
    fn head(&self) -> Option<&Head>;
    /// Who sent it, as far as the network knows.
    fn peer(&self) -> IpAddr;
    /// Hears of whose key was let in.
    fn admitted(&self, _key: &KeyRecord) {}
    /// Reads the body to its end, bounded in size and time. Callable again; it is the same body.
    fn body(&mut self) -> impl Future<Output = Result<&[u8], Fault>>;
}

/// Serves one request. A [`Fault`] means that no answer can be given: the stream or connection ends.
pub async fn serve(desk: &Desk, exchange: &mut impl Exchange) -> Result<Reply, Fault> {
    let head = exchange.head().ok_or(Fault::Stream(Code::RequestIncomplete))?;
    let (target, id, tab) = (Target::of(head), desk.request_id(), Tab::default());
    let label = target.label();
    let (mode, served) = match entry::peer(desk, head, exchange.peer()) {
        Err(problem) => (Mode::Live, Ok(problem.into())),
        Ok(peer) => {
            tab.charge_to(peer);
            if entry::is_of_foreign_page(head) {
                tab.foreign_page();
            }
            match target {
                Target::Public(page) => {
                    (Mode::Live, Ok(Box::pin(public::answer(desk, page, head, &tab)).await))
                }
                Target::Key(destination) => with_key(desk, destination, &tab, id.as_str(), exchange).await,
            }
        }
    };
    match served {
        Ok(reply) => {
            let mut reply = tab.settle(desk, reply).await;
            if reply.tells_of_ban() && tab.is_of(exchange.peer()) {
                // Whoever is banned gets no answer; only who speaks for others hears of it.
                desk.counters().aborted(label, mode);
                return Err(Fault::Connection(Code::ExcessiveLoad));
            }
            if matches!(label, RouteLabel::Issue | RouteLabel::Check | RouteLabel::Resend) {
                reply.tell_rates(&tab.rates());
            }
            reply.identify(id);
            desk.counters().count(label, mode, &reply);
            tell(desk, (&tab, exchange.peer()), label, &reply);
            Ok(reply)
        }
        Err(fault) => {
            desk.counters().aborted(label, mode);
            Err(fault)
        }
    }
}

/// Answers a request whose head could not be read; counts against its peer like any refusal.
pub(crate) async fn refuse(desk: &Desk, network: IpAddr, problem: Problem) -> Reply {
    unread(desk, Mode::Live, tab_of_unread(desk, network).settle(desk, problem.into()).await)
}

/// The same where there is no time to hear what the peer's window says.
pub(crate) fn refuse_at_once(desk: &Desk, network: IpAddr, problem: Problem) -> Reply {
    tab_of_unread(desk, network).note_denial(desk);
    unread(desk, Mode::Live, problem.into())
}

/// Answers a request that the lane has no time to read. It counts against nobody, and as one of the last key that
/// its connection showed.
pub(crate) fn overloaded(desk: &Desk, mode: Mode) -> Reply {
    unread(desk, mode, OVERLOADED.into())
}

/// Whose request a trusted proxy passed on stands in the head, and the proxy speaks for others too: so a
/// head of its that can't be read is charged to nobody.
fn tab_of_unread(desk: &Desk, network: IpAddr) -> Tab {
    let tab = Tab::default();
    if !desk.policy().trusted_proxies.contains(network.to_canonical()) {
        tab.charge_to(network);
    }
    tab
}

fn unread(desk: &Desk, mode: Mode, mut reply: Reply) -> Reply {
    reply.identify(desk.request_id());
    desk.counters().count(RouteLabel::Unknown, mode, &reply);
    reply
}

/// A line for each answer, for who looks for a fault. It names whose request it was, or whose connection, by the hash
/// that events use too.
fn tell(desk: &Desk, (tab, network): (&Tab, IpAddr), label: RouteLabel, reply: &Reply) {
    if tracing::enabled!(tracing::Level::DEBUG) {
        let of_network = || desk.start_keys().peer_digest(&Peer::from(network));
        let peer = tab.asker(desk).unwrap_or_else(of_network);
        let problem = reply.problem.map(Problem::code);
        let (request, route, status) = (reply.request_id(), label.name(), reply.status);
        tracing::debug!(request, %peer, route, status, problem, "answered");
    }
}

/// Key → origin → route. Also tells whose counters the request belongs in.
async fn with_key(
    desk: &Desk,
    destination: Result<Call, Problem>,
    tab: &Tab,
    id: &str,
    exchange: &mut impl Exchange,
) -> (Mode, Result<Reply, Fault>) {
    let Some(head) = exchange.head() else {
        return (Mode::Live, Err(Fault::Stream(Code::RequestIncomplete)));
    };
    let admitted = match entry::enter(desk, head, tab).await {
        Err(TurnedAway { mode, problem }) => return (mode, Ok(problem.into())),
        Ok(admitted) => admitted,
    };
    exchange.admitted(admitted.key());
    let served = match destination {
        Ok(call) => perform(desk, &admitted, &call, (tab, id), exchange).await,
        Err(problem) => Ok(problem.into()),
    };
    (admitted.key().mode, served.map(|reply| reply.readable_by(admitted.origin())))
}

/// Class → body → its class's turn → the operation.
async fn perform(
    desk: &Desk,
    admitted: &Admitted,
    call: &Call,
    (tab, id): (&Tab, &str),
    exchange: &mut impl Exchange,
) -> Result<Reply, Fault> {
    if !call.permitted(admitted) {
        return Ok(Problem::KeyClassForbidden.into());
    }
    let head = exchange.head().ok_or(Fault::Stream(Code::RequestIncomplete))?;
    let checked = call.check_content(head).and_then(|()| {
        let key = idempotency::key(head, call)?;
        Ok((key.map(Box::<[u8]>::from), query::canonical(head.query())?))
    });
    let (key, query) = match checked {
        Ok(checked) => checked,
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
    let request = Request { admitted, call, id, query: &query, body, tab };
    let answer = decide(desk, &request, key.as_deref()).await;
    Ok(answer.unwrap_or_else(Reply::from))
}

/// Recipient → the peer's windows → the inbox, once for all requests under one idempotency key.
async fn decide(desk: &Desk, request: &Request<'_>, key: Option<&[u8]>) -> Result<Reply, Problem> {
    let asked = Asked::read(desk, request)?.charge(desk, request).await?;
    match key {
        None => operation::perform(desk, request, asked, None).await.map(|done| done.reply),
        // Boxed, here and below, is what few requests do: its room would be every request's.
        Some(key) => Box::pin(idempotency::perform(desk, request, asked, key)).await,
    }
}
