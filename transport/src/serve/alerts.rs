//! `POST /v1/alerts`: a backend sends a message to the people who run it.
//!
//! ```text
//!   body ─▶ addresses of the project, else the operator's ─┬─ none: 503
//!                                                          └─▶ the project's window
//!                                                               ─▶ a place for each mail ─▶ 202
//! ```
//!
//! The addresses come from the store and the config, never from the request: with a stolen key an
//! attacker can disturb the operators, but write to no one else.

use std::time::Duration;

use authepy_engine::identity::Mode;
use authepy_engine::limits::DELIVERY_RETRY_AFTER;
use authepy_engine::request::{ChargeKey, Command, KeyWindow, Outcome, Refusal};
use authepy_engine::route::AccountDigest;
use authepy_http3::json;
use authepy_http3::json::bodies::AlertBody;

use super::operation::{Done, Request, unexpected};
use crate::delivery::{Content, MailJob, Notice};
use crate::http::reply::{Problem, Reply};
use crate::http::wire;
use crate::limits::ALERT_LIFETIME;
use crate::serve::lane_context::LaneContext;

/// Bytes of an alert in addition to its text: subject, address, names.
const NOTICE_BYTES: usize = 1_024;

/// There is no address to mail to.
const UNDELIVERABLE: Problem = unavailable(DELIVERY_RETRY_AFTER);

const fn unavailable(retry_after: Duration) -> Problem {
    Problem::Refused(Refusal::DeliveryUnavailable { retry_after })
}

/// Mails an alert to each of the project's addresses.
pub(super) async fn perform(context: &LaneContext, request: &Request<'_>) -> Result<Done, Problem> {
    let body: AlertBody<'_> = json::read(request.body)?;
    let (subject, text) = (wire::alert_subject(&body)?, wire::alert_text(&body)?);
    let (key, policy) = (request.admitted.key(), context.policy());
    let to = if key.alert_to.is_empty() { policy.alert_to.clone() } else { key.alert_to.clone() };
    if to.is_empty() {
        return Err(UNDELIVERABLE);
    }
    if key.mode == Mode::Test {
        return Ok(accepted());
    }
    charge(context, request).await?;
    // All or none: an alert must not reach only some of its recipients.
    let now = context.now();
    let place = |_| context.mail().reserve_alert(now.at, Some(key.project), NOTICE_BYTES + text.len());
    let permits: Result<Vec<_>, _> = to.iter().map(place).collect();
    for (to, permit) in to.iter().zip(permits.map_err(unavailable)?) {
        permit.submit(MailJob {
            to: (&**to).into(),
            content: Content::Notice(Notice::new(
                format!("[{}] {subject}", key.project_name),
                text.to_owned(),
                context.draw_token(),
            )),
            expires: now.at.after(ALERT_LIFETIME),
        });
    }
    Ok(accepted())
}

async fn charge(context: &LaneContext, request: &Request<'_>) -> Result<(), Problem> {
    let project = request.owner().project.0.to_le_bytes();
    let digest: AccountDigest = context.start_keys().scoped("alerts", &[&project]);
    let charge = ChargeKey { window: KeyWindow::Alerts, of: digest };
    match context.ask(digest.route(), Command::ChargeKey(charge)).await {
        Outcome::Charged(charged) => charged.refusal.map_or(Ok(()), |refusal| Err(refusal.into())),
        other => Err(unexpected(other)),
    }
}

fn accepted() -> Done {
    Reply::accepted(br#"{"status":"accepted"}"#.to_vec()).into()
}
