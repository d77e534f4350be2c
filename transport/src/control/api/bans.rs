//! `/admin/v1/bans`: list, add and lift bans. Addresses appear only in these answers, never in a
//! log or a metric.
//!
//! ```text
//!   {"peer": …, "for": …} ─▶ Prefix ─▶ owning shard ── until, count ──▶ answer
//!                                          └─ within LANE_PATIENCE, else 503 ─▶
//! ```

use std::time::Duration;

use authepy_engine::clock::{Now, whole_seconds_up};
use authepy_engine::peer::Prefix;
use authepy_engine::perimeter::ban::BanEntry;
use authepy_engine::request::{Ban, Refusal};
use http::{Method, Request};
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::answer::{Fault, empty, json};
use super::routes::{Answered, span};
use super::{Api, body};
use crate::control::registry::date;
use crate::ground::clock;
use crate::limits::{BAN_SPAN_MAX, BANS_LISTED, LANE_PATIENCE};

/// Detail of the problem for networks that can't be banned.
const NEVER_BANNED: &str = "can't be banned: 127.0.0.1, ::1, proxy.trusted and bans.exempt are exempt, and so are networks that contain them";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BanBody {
    peer: String,
    /// A duration such as `3h`. If absent, the ban lasts as long as the next ban for strikes would.
    #[serde(rename = "for")]
    span: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PeerBody {
    peer: String,
}

#[derive(Serialize)]
struct BanView {
    peer: String,
    /// Its name in log and events.
    hash: String,
    until: String,
    seconds_left: u64,
    /// Number of consecutive bans.
    count: u8,
}

#[derive(Serialize)]
struct Banned {
    bans: Vec<BanView>,
    /// Number of active bans, of which the list may show only some.
    total: usize,
}

pub(super) async fn answer(api: &Api, request: Request<Incoming>) -> Answered {
    match *request.method() {
        Method::GET => list(api).await,
        Method::POST => add(api, body(request).await?).await,
        Method::DELETE => {
            let PeerBody { peer } = body(request).await?;
            remove(api, &peer).await
        }
        _ => Err(Fault::Method("GET, POST, DELETE")),
    }
}

/// `DELETE /admin/v1/bans/{peer}`; `rest` begins with `bans/`.
pub(super) async fn remove_named(api: &Api, rest: &str) -> Answered {
    // Form decoding also changes `+`, `&` and `=`, which no address contains.
    let named = rest.strip_prefix("bans/").unwrap_or_default();
    let mut parts = url::form_urlencoded::parse(named.as_bytes());
    let (peer, _) = parts.next().unwrap_or_default();
    if peer.is_empty() || parts.next().is_some() { Err(Fault::Route) } else { remove(api, &peer).await }
}

async fn list(api: &Api) -> Answered {
    let mut all = answered(api.operator.bans()).await?;
    all.sort_unstable_by_key(|entry| (std::cmp::Reverse(entry.until), entry.prefix));
    let (now, total) = (clock::now(), all.len());
    let bans = all.iter().take(BANS_LISTED).map(|entry| BanView::of(api, entry, &now)).collect();
    Ok(json(200, &Banned { bans, total }))
}

async fn add(api: &Api, asked: BanBody) -> Answered {
    let prefix = prefix(&asked.peer)?;
    let span = asked.span.as_deref().map(|text| span("for", text)).transpose()?;
    if span.is_some_and(|span| span.is_zero() || span > BAN_SPAN_MAX) {
        return Err(Fault::Value("for", "must be more than zero and at most a year".into()));
    }
    let Some(entry) = answered(api.operator.ban(Ban { prefix, span })).await? else {
        return Err(Fault::Value("peer", NEVER_BANNED.into()));
    };
    let seconds = left(&entry, &clock::now()).as_secs();
    tracing::info!(peer = %api.operator.name(&prefix), seconds, "the operator banned a peer");
    Ok(json(201, &BanView::of(api, &entry, &clock::now())))
}

async fn remove(api: &Api, peer: &str) -> Answered {
    let prefix = prefix(peer)?;
    if !answered(api.operator.unban(prefix)).await? {
        return Err(Fault::NotBanned);
    }
    tracing::info!(peer = %api.operator.name(&prefix), "the operator lifted a ban");
    Ok(empty())
}

/// Waits a bounded time for a lane's answer: a stuck lane must not block this thread's answers.
async fn answered<T>(asked: impl Future<Output = Result<T, Refusal>>) -> Result<T, Fault> {
    match timeout(LANE_PATIENCE, asked).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(Refusal::Overloaded { .. })) => Err(Fault::BansFull),
        Ok(Err(_)) | Err(_) => Err(Fault::LaneSilent),
    }
}

fn prefix(text: &str) -> Result<Prefix, Fault> {
    text.trim()
        .parse()
        .map_err(|why: authepy_engine::peer::MalformedPrefix| Fault::Value("peer", why.to_string()))
}

fn left(entry: &BanEntry, now: &Now) -> Duration {
    entry.until.since(now.at)
}

impl BanView {
    fn of(api: &Api, entry: &BanEntry, now: &Now) -> Self {
        let peer = entry.prefix.to_string();
        let hash = api.operator.name(&entry.prefix).to_string();
        Self {
            hash,
            // A single IPv4 address is shown without a prefix length.
            peer: peer.strip_suffix("/32").map(str::to_owned).unwrap_or(peer),
            until: date(i64::try_from(now.unix_ms_at(entry.until) / 1_000).unwrap_or(i64::MAX)),
            seconds_left: whole_seconds_up(left(entry, now)),
            count: entry.count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lane_that_stands_still_keeps_nobody_waiting_for_good() {
        let never = std::future::pending::<Result<bool, Refusal>>();
        assert!(matches!(answered(never).await, Err(Fault::LaneSilent)));
        let full = async { Err::<bool, _>(Refusal::Overloaded { retry_after: Duration::ZERO }) };
        assert!(matches!(answered(full).await, Err(Fault::BansFull)));
        assert!(answered(async { Ok(true) }).await.unwrap());
    }
}
