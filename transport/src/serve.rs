//! The story of a request: ban → key → origin → route → class → body → recipient → limits → slot → reply.
//!
//! The order is the cheapest refusal first, and each step's result is the next one's argument, so that
//! none can be skipped: an operation needs an [`Admitted`] and what was [`Asked`]. What a request costs its
//! peer is kept on its [`RateAccount`], and a refusal is charged before it is answered.
//! HTTP/3 and the TCP door differ only in their [`Exchange`].

use std::net::IpAddr;

use authepy_engine::identity::Mode;
use authepy_engine::peer::Peer;
use authepy_engine::perimeter::{Admitted, KeyRecord};
use authepy_http3::error::{Code, Fault};
use authepy_http3::head::Head;

use crate::http::query;
use crate::http::reply::{Problem, Reply};
use crate::http::target::RouteLabel;
use crate::http::target::{Call, Target};
use crate::overload::admission_queue::Full;
use crate::serve::lane_context::LaneContext;

mod alerts;
mod asked;
mod batch;
mod entry;
pub(crate) mod exposure;
mod idempotency;
mod issue;
pub(crate) mod lane_context;
pub(crate) mod lanes;
mod operation;
mod places;
mod public;
mod rate_account;
pub mod receipt;

use asked::Asked;
use entry::{OVERLOADED, TurnedAway};
use operation::Request;
use rate_account::RateAccount;

/// One request on its way in: its head is there, its body not yet.
pub trait Exchange {
    /// The head.
    fn head(&self) -> &Head;
    /// The network address that sent it.
    fn peer(&self) -> IpAddr;
    /// Called with the key that was admitted.
    fn admitted(&self, _key: &KeyRecord) {}
    /// Reads the body to its end, bounded in size and time. Callable again; it is the same body.
    fn body(&mut self) -> impl Future<Output = Result<&[u8], Fault>>;
}

/// Serves one request. A [`Fault`] means that no answer can be given: the stream or connection ends.
pub async fn serve(context: &LaneContext, exchange: &mut impl Exchange) -> Result<Reply, Fault> {
    let head = exchange.head();
    let (target, id, account) = (Target::of(head), context.request_id(), RateAccount::default());
    let label = target.label();
    let (mode, served) = match entry::peer(context, head, exchange.peer()) {
        Err(problem) => (Mode::Live, Ok(problem.into())),
        Ok(peer) => {
            account.charge_to(peer);
            if entry::is_of_foreign_page(head) {
                account.foreign_page();
            }
            match target {
                Target::Public(page) => {
                    (Mode::Live, Ok(Box::pin(public::answer(context, page, head, &account)).await))
                }
                Target::Key(destination) => {
                    with_key(context, destination, &account, id.as_str(), exchange).await
                }
            }
        }
    };
    match served {
        Ok(reply) => {
            let mut reply = account.settle(context, reply).await;
            if reply.tells_of_ban() && account.is_of(exchange.peer()) {
                // A banned peer gets no answer. A proxy, which speaks for others, is told.
                context.counters().aborted(label, mode);
                return Err(Fault::Connection(Code::ExcessiveLoad));
            }
            if matches!(label, RouteLabel::Issue | RouteLabel::Check | RouteLabel::Resend) {
                reply.tell_rates(&account.rates());
            }
            reply.identify(id);
            context.counters().count(label, mode, &reply);
            tell(context, (&account, exchange.peer()), label, &reply);
            Ok(reply)
        }
        Err(fault) => {
            context.counters().aborted(label, mode);
            Err(fault)
        }
    }
}

/// Answers a request whose head could not be read. It counts against its peer like any refusal.
pub(crate) async fn refuse(context: &LaneContext, network: IpAddr, problem: Problem) -> Reply {
    let account = account_of_unread(context, network, problem);
    unread(context, Mode::Live, account.settle(context, problem.into()).await)
}

/// The same where nobody can wait for the verdict of the peer's window.
pub(crate) fn refuse_at_once(context: &LaneContext, network: IpAddr, problem: Problem) -> Reply {
    account_of_unread(context, network, problem).note_denial(context);
    unread(context, Mode::Live, problem.into())
}

/// Answers a request that the lane has no time to read. It counts against nobody; metrics count it for the mode of the
/// last key that its connection showed.
pub(crate) fn overloaded(context: &LaneContext, mode: Mode) -> Reply {
    unread(context, mode, OVERLOADED.into())
}

/// Who is charged for a head that could not be read.
///
/// A trusted proxy passes on requests of others and names them in the head, so its unreadable heads are charged to
/// nobody. A head that is too large strikes nobody: a page of another site can make any visitor's browser send one, and
/// the field that would tell is in the head.
fn account_of_unread(context: &LaneContext, network: IpAddr, problem: Problem) -> RateAccount {
    let account = RateAccount::default();
    if problem == Problem::HeadersTooLarge {
        account.excuse();
    }
    if !context.policy().trusted_proxies.contains(network.to_canonical()) {
        account.charge_to(network);
    }
    account
}

fn unread(context: &LaneContext, mode: Mode, mut reply: Reply) -> Reply {
    reply.identify(context.request_id());
    context.counters().count(RouteLabel::Unknown, mode, &reply);
    reply
}

/// Logs each answer at level debug. It names the peer by the hash that events use, too.
fn tell(context: &LaneContext, (account, network): (&RateAccount, IpAddr), label: RouteLabel, reply: &Reply) {
    if tracing::enabled!(tracing::Level::DEBUG) {
        let of_network = || context.start_keys().peer_digest(&Peer::from(network));
        let peer = account.asker(context).unwrap_or_else(of_network);
        let problem = reply.problem.map(Problem::code);
        let (request, route, status) = (reply.request_id(), label.name(), reply.status);
        tracing::debug!(request, %peer, route, status, problem, "answered");
    }
}

/// Key → origin → route. Also returns the mode whose counters the request belongs to.
async fn with_key(
    context: &LaneContext,
    destination: Result<Call, Problem>,
    account: &RateAccount,
    id: &str,
    exchange: &mut impl Exchange,
) -> (Mode, Result<Reply, Fault>) {
    let admitted = match entry::enter(context, exchange.head(), account).await {
        Err(TurnedAway { mode, problem }) => return (mode, Ok(problem.into())),
        Ok(admitted) => admitted,
    };
    exchange.admitted(admitted.key());
    let served = match destination {
        Ok(call) => perform(context, &admitted, &call, (account, id), exchange).await,
        Err(problem) => Ok(problem.into()),
    };
    (admitted.key().mode, served.map(|reply| reply.readable_by(admitted.origin())))
}

/// Class → body → its class's turn → the operation.
async fn perform(
    context: &LaneContext,
    admitted: &Admitted,
    call: &Call,
    (account, id): (&RateAccount, &str),
    exchange: &mut impl Exchange,
) -> Result<Reply, Fault> {
    if !call.permitted(admitted) {
        return Ok(Problem::KeyClassForbidden.into());
    }
    let head = exchange.head();
    let checked = call.check_content(head).and_then(|()| {
        let key = idempotency::key(head, call)?;
        Ok((key.map(Box::<[u8]>::from), query::canonical(head.query())?))
    });
    let (key, query) = match checked {
        Ok(checked) => checked,
        Err(problem) => return Ok(problem.into()),
    };
    let class = admitted.key().class;
    if context.admission_queue().is_full(class) {
        return Ok(OVERLOADED.into());
    }
    let body = match exchange.body().await {
        Ok(body) => body,
        Err(Fault::Answer(refused)) => return Ok(Problem::from(refused).into()),
        Err(fault) => return Err(fault),
    };
    if let Err(Full) = context.admission_queue().pass(class).await {
        return Ok(OVERLOADED.into());
    }
    let request = Request { admitted, call, id, query: &query, body, account };
    let answer = decide(context, &request, key.as_deref()).await;
    Ok(answer.unwrap_or_else(Reply::from))
}

/// Recipient → the peer's windows → the inbox, once for all requests under one idempotency key.
async fn decide(context: &LaneContext, request: &Request<'_>, key: Option<&[u8]>) -> Result<Reply, Problem> {
    let asked = Asked::read(context, request)?.charge(context, request).await?;
    match key {
        None => operation::perform(context, request, asked, None).await.map(|done| done.reply),
        // Rare paths are boxed so that they don't enlarge every request's future.
        Some(key) => Box::pin(idempotency::perform(context, request, asked, key)).await,
    }
}
