//! Many issues in one request: each stands for itself, as if it had come alone.
//!
//! ```text
//!   array ──▶ item 1 ─▶ read, recipient, mail place, ask ─┐
//!             item 2 ─▶ …                                 ├─▶ one batch per shard ─▶ answers in order
//!             item n ─▶ …                                 ┘
//! ```
//!
//! All items are asked before the first answer is awaited, in their order, so that two for one inbox meet
//! its window in that order and what another lane's shard is asked leaves as one message.

use authepy_engine::perimeter::permission::Route;
use futures_util::future::join_all;

use super::operation::{self, Done, Request};
use crate::desk::Desk;
use crate::reply::{Problem, Reply};
use crate::target::Call;
use crate::wire;

pub(super) async fn perform(desk: &Desk, request: &Request<'_>) -> Result<Done, Problem> {
    let items = wire::items(request.body)?;
    let key = request.admitted.key();
    desk.turnstile().charge(key.class, items.len() - 1);
    let call = Call { route: Route::Issue, id: None };
    let issues = items.iter().map(|item| {
        let request = Request { call: &call, body: item.get().as_bytes(), ..*request };
        async move { operation::issue(desk, &request, None).await.map(|done| done.reply) }
    });
    let answers = join_all(issues).await;
    let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
    refused.for_each(|problem| desk.counters().refused(key.mode, *problem));
    Ok(Reply::batch(&answers, request.id).into())
}
