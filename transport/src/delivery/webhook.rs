//! Mail through a webhook: posts the rendered parts as signed JSON to an endpoint of the operator,
//! for providers that have an HTTP API instead of SMTP.
//!
//! ```text
//!   POST {"id","to","from","subject","text","html"?} ─┬─ 2xx: sent
//!                                                                  ├─ 4xx, 501, 503: not sent
//!                                                                  └─ other 5xx, no answer: maybe sent
//! ```
//!
//! `id` is the same for every try of a mail, and is also sent as `webhook-id`. A proxy's answer
//! (502, 504) does not say what happened to the request behind it, so the mail is not posted again.

use std::time::Duration;

use bytes::Bytes;
use lettre::message::Mailbox;
use serde::Serialize;
use zeroize::Zeroizing;

use super::message::Mail;
use super::{Fate, HandOverFault};
use crate::delivery::hook::{Hook, Posted};

pub(super) struct Webhook {
    hook: Hook,
    from: String,
}

#[derive(Serialize)]
struct Body<'a> {
    id: &'a str,
    to: &'a str,
    from: &'a str,
    subject: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    html: Option<&'a str>,
}

impl Webhook {
    pub(super) fn new(hook: Hook, from: &Mailbox) -> Self {
        Self { hook, from: from.to_string() }
    }

    /// Hands `mail` over within `budget`.
    pub(super) async fn hand_over(
        &self,
        mail: &Mail<'_>,
        unix_ms: u64,
        budget: Duration,
    ) -> Result<Fate, HandOverFault> {
        let body = self.body(mail).ok_or(HandOverFault::Unmailable)?;
        match self.hook.post(mail.token(), unix_ms / 1_000, body, budget).await {
            Posted::Answered(200..300) => Ok(Fate::Sent),
            Posted::Answered(401 | 403) => Err(HandOverFault::LoginRefused),
            Posted::Answered(408 | 425 | 429) => Err(HandOverFault::RefusedForNow),
            // This is not the configured endpoint.
            Posted::Answered(..200 | 300..=399 | 404 | 405 | 410 | 501) => Err(HandOverFault::Garbled),
            Posted::Answered(400..=499) => Err(HandOverFault::Refused),
            Posted::Answered(503) => Err(HandOverFault::HangsUp),
            Posted::Answered(_) | Posted::Unknown => Ok(Fate::MaybeSent),
            Posted::Unreachable => Err(HandOverFault::Unreachable),
            Posted::Insecure => Err(HandOverFault::Insecure),
        }
    }

    fn body(&self, mail: &Mail<'_>) -> Option<Bytes> {
        let (text, html) = (mail.text(), mail.html());
        let body = Body {
            id: mail.token(),
            to: mail.address(),
            from: &self.from,
            subject: mail.subject(),
            text,
            html,
        };
        // Allocated at full size: a reallocation would leave an unwiped copy behind.
        let mut bytes =
            Zeroizing::new(Vec::with_capacity(2 * (text.len() + html.map_or(0, str::len)) + 1_024));
        serde_json::to_writer(&mut *bytes, &body).ok()?;
        Some(Bytes::from_owner(bytes))
    }
}
