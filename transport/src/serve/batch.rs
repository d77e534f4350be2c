//! Many issues in one request: each is handled as if it had come alone.
//!
//! ```text
//!   array ──▶ item 1 ─▶ read, recipient, peer, places ─┐      ┌─▶ inbox ─┐
//!             item 2 ─▶ …                              ├─ all ┼─▶ …      ├─▶ refusals charged ─▶ answers
//!             item n ─▶ …                              ┘      └─▶ …      ┘                      in order
//! ```
//!
//! Each step starts for all items, in order, before the first of its answers is awaited. So two
//! items for one inbox reach its window in that order, whichever lanes their peers live on, and the
//! messages to another lane's shard leave as one batch.

use authepy_engine::perimeter::permission::Operation;
use authepy_engine::request::Activity;
use futures_util::future::join_all;

use super::asked::IssueAsked;
use super::issue::Placed;
use super::operation::{Done, Request};
use super::rate_account::RateAccount;
use crate::http::reply::{Problem, Reply};
use crate::http::target::Call;
use crate::http::wire;
use crate::serve::lane_context::LaneContext;

pub(super) async fn perform(context: &LaneContext, request: &Request<'_>) -> Result<Done, Problem> {
    let items = wire::items(request.body)?;
    let key = request.admitted.key();
    context.admission_queue().charge(key.class, items.len() - 1);
    let call = Call { route: Operation::Issue, id: None };
    let accounts: Vec<RateAccount> = items.iter().map(|_| RateAccount::default()).collect();
    let items = items.iter().zip(&accounts);
    let requests: Vec<Request<'_>> = items
        .map(|(item, account)| Request { call: &call, body: item.get().as_bytes(), account, ..*request })
        .collect();
    let placed = join_all(requests.iter().map(|request| place(context, request))).await;
    let issues = requests.iter().zip(placed);
    let answers = join_all(issues.map(|(request, placed)| issue(context, request, placed))).await;
    let answers =
        join_all(accounts.iter().zip(answers).map(|(account, answer)| settle(context, account, answer)))
            .await;
    let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
    refused.for_each(|problem| context.counters().refused(key.mode, *problem));
    Ok(Reply::batch(&answers, request.id).into())
}

async fn place(context: &LaneContext, request: &Request<'_>) -> Result<Placed, Problem> {
    let asked = IssueAsked::read(context, request)?;
    let paid = request.account.pay(context, request.admitted, Activity::Issue).await?;
    Placed::take(context, request, asked, paid).await
}

async fn issue(
    context: &LaneContext,
    request: &Request<'_>,
    placed: Result<Placed, Problem>,
) -> Result<Reply, Problem> {
    placed?.open(context, request, None).await.map(|done| done.reply)
}

async fn settle(
    context: &LaneContext,
    account: &RateAccount,
    answer: Result<Reply, Problem>,
) -> Result<Reply, Problem> {
    match answer {
        Ok(reply) => Ok(reply),
        Err(problem) => Err(account.settle_problem(context, problem).await),
    }
}
