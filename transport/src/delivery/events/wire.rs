//! The body of a post: `{"events":[{"id","type","time", …}, …]}`.

use serde::Serialize;

use super::{End, Event, MailOutcome, What};
use crate::ground::hex::hex;

/// An event as it is sent to the endpoint.
#[derive(Serialize)]
pub(super) struct Told {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    send: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mailed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answered: Option<u64>,
}

/// The whole body.
#[derive(Serialize)]
pub(super) struct Body<'a> {
    pub(super) events: &'a [Told],
}

impl Told {
    /// Encodes `event` under `id`.
    pub(super) fn new(id: String, event: Event) -> Self {
        let bare = |kind| Self {
            id,
            kind,
            time: time(event.unix_ms),
            project: None,
            verification: None,
            recipient: None,
            send: None,
            provider: None,
            peer: None,
            seconds: None,
            key: None,
            mailed: None,
            answered: None,
        };
        match event.what {
            What::Mail { verification, project, recipient, send, outcome } => Self {
                project: Some((*project).into()),
                verification: Some(hex(verification.as_bytes())),
                recipient: Some(hex(&recipient)),
                send: Some(send),
                ..bare(mail_kind(outcome))
            },
            What::Verification { verification, project, end } => Self {
                project: Some((*project).into()),
                verification: Some(hex(verification.as_bytes())),
                ..bare(end_kind(end))
            },
            What::Provider { name, works } => Self {
                provider: Some(name),
                ..bare(if works { "provider.recovered" } else { "provider.failed" })
            },
            What::Banned { peer, seconds } => {
                Self { peer: Some(peer.to_string()), seconds: Some(seconds), ..bare("peer.banned") }
            }
            What::LowConversion { key, project, mailed, answered } => Self {
                key: Some(key),
                project: Some((*project).into()),
                mailed: Some(mailed),
                answered: Some(answered),
                ..bare("key.low_conversion")
            },
            What::KeyExposed { key, project } => {
                Self { key: Some(key), project: Some((*project).into()), ..bare("key.exposed") }
            }
        }
    }
}

fn mail_kind(outcome: MailOutcome) -> &'static str {
    match outcome {
        MailOutcome::Sent => "mail.sent",
        MailOutcome::MaybeSent => "mail.maybe_sent",
        MailOutcome::Failed => "mail.failed",
        MailOutcome::Expired => "mail.expired",
    }
}

fn end_kind(end: End) -> &'static str {
    match end {
        End::Approved => "verification.approved",
        End::Failed => "verification.failed",
        End::Expired => "verification.expired",
        End::Cancelled => "verification.cancelled",
    }
}

fn time(unix_ms: u64) -> String {
    let time = std::time::UNIX_EPOCH.checked_add(std::time::Duration::from_millis(unix_ms));
    humantime::format_rfc3339_millis(time.unwrap_or(std::time::UNIX_EPOCH)).to_string()
}
