//! Many issues in one request: each stands for itself, as if it had come alone.
//!
//! ```text
//!   array ──▶ item 1 ─▶ read, recipient, peer, places ─┐      ┌─▶ inbox ─┐
//!             item 2 ─▶ …                              ├─ all ┼─▶ …      ├─▶ refusals charged ─▶ answers
//!             item n ─▶ …                              ┘      └─▶ …      ┘                      in order
//! ```
//!
//! Each step is taken for all items, in their order, before the first of its answers is awaited: so two for
//! one inbox meet its window in that order, whichever lanes their peers live on, and what another lane's
//! shard is asked leaves as one message.

use authepy_engine::perimeter::permission::Route;
use authepy_engine::request::Activity;
use futures_util::future::join_all;

use super::asked::IssueAsked;
use super::issue::Placed;
use super::operation::{Done, Request};
use super::tab::Tab;
use crate::http::reply::{Problem, Reply};
use crate::http::target::Call;
use crate::http::wire;
use crate::serve::desk::Desk;

pub(super) async fn perform(desk: &Desk, request: &Request<'_>) -> Result<Done, Problem> {
    let items = wire::items(request.body)?;
    let key = request.admitted.key();
    desk.turnstile().charge(key.class, items.len() - 1);
    let call = Call { route: Route::Issue, id: None };
    let tabs: Vec<Tab> = items.iter().map(|_| Tab::default()).collect();
    let items = items.iter().zip(&tabs);
    let requests: Vec<Request<'_>> = items
        .map(|(item, tab)| Request { call: &call, body: item.get().as_bytes(), tab, ..*request })
        .collect();
    let placed = join_all(requests.iter().map(|request| place(desk, request))).await;
    let issues = requests.iter().zip(placed);
    let answers = join_all(issues.map(|(request, placed)| issue(desk, request, placed))).await;
    let answers = join_all(tabs.iter().zip(answers).map(|(tab, answer)| settle(desk, tab, answer))).await;
    let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
    refused.for_each(|problem| desk.counters().refused(key.mode, *problem));
    Ok(Reply::batch(&answers, request.id).into())
}

async fn place(desk: &Desk, request: &Request<'_>) -> Result<Placed, Problem> {
    let asked = IssueAsked::read(desk, request)?;
    let paid = request.tab.pay(desk, request.admitted, Activity::Issue).await?;
    Placed::take(desk, request, asked, paid).await
}

async fn issue(
    desk: &Desk,
    request: &Request<'_>,
    placed: Result<Placed, Problem>,
) -> Result<Reply, Problem> {
    placed?.open(desk, request, None).await.map(|done| done.reply)
}

async fn settle(desk: &Desk, tab: &Tab, answer: Result<Reply, Problem>) -> Result<Reply, Problem> {
    match answer {
        Ok(reply) => Ok(reply),
        Err(problem) => Err(tab.settle_problem(desk, problem).await),
    }
}
