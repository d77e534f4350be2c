//! Counters without personal data: one set per lane, summed when they are read.
//!
//! No label comes from a request: routes, outcomes and reasons are constants of this program.
//! Requests of test keys are counted in families of their own (`authepy_test_…`), never in the live
//! ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use authepy_engine::identity::Mode;
use authepy_engine::request::Conversion;
use authepy_engine::shard::Census;

use crate::http::reply::{Problem, Reply};
use crate::http::target::RouteLabel;

mod openmetrics;
mod sheet;

pub(crate) use sheet::{Beside, StoreFigures, render};

/// Problem codes as metric reasons; the index is the counter's position.
const REASONS: [&str; 26] = [
    "malformed_request",
    "malformed_http",
    "invalid_key",
    "origin_not_allowed",
    "key_class_forbidden",
    "secret_key_in_browser",
    "banned",
    "verification_not_found",
    "not_found",
    "method_not_allowed",
    "body_too_large",
    "unsupported_media_type",
    "headers_too_large",
    "idempotency_in_progress",
    "invalid_recipient",
    "disposable_domain",
    "malformed_code",
    "recipient_required",
    "recipient_mismatch",
    "nonce_mismatch",
    "idempotency_key_reused",
    "too_early",
    "rate_limited",
    "overloaded",
    "delivery_unavailable",
    "not_ready",
];

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// 2xx. Includes a check of a wrong code, because the check itself succeeded.
    Ok,
    /// 4xx: an error of the caller, or a limit.
    Refused,
    /// 5xx: an error of the server.
    Failed,
    /// No answer: the request broke off, arrived too slowly or was malformed on the wire. A request
    /// dropped with its TCP connection is not counted.
    Aborted,
}

impl Outcome {
    const ALL: [(Self, &str); 4] =
        [(Self::Ok, "ok"), (Self::Refused, "refused"), (Self::Failed, "failed"), (Self::Aborted, "aborted")];

    fn of(status: u16) -> Self {
        match status {
            ..400 => Self::Ok,
            400..500 => Self::Refused,
            500.. => Self::Failed,
        }
    }
}

/// Transport of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Quic,
    Tcp,
}

/// One count for each route and outcome.
type Requests = [[AtomicU64; Outcome::ALL.len()]; RouteLabel::ALL.len()];

/// Counters of one lane. Written only by that lane, so they have cache lines of their own.
#[derive(Default)]
#[repr(align(128))]
pub struct Counters {
    requests: Requests,
    test_requests: Requests,
    refusals: [AtomicU64; REASONS.len()],
    shard_messages: AtomicU64,
    test_shard_messages: AtomicU64,
    keys_exposed: AtomicU64,
    connections_quic: AtomicU64,
    connections_tcp: AtomicU64,
    connections_open: AtomicU64,
    live_slots: AtomicU64,
    test_slots: AtomicU64,
    state_bytes: AtomicU64,
    peers: AtomicU64,
    /// Bans of all shards, as this lane knows them.
    bans: AtomicU64,
    datagrams_shed: AtomicU64,
    /// Mails and correct answers per API key; replaced as a whole.
    conversions: ArcSwap<Vec<Conversion>>,
}

impl Counters {
    /// Counts an answered request by route and outcome, and a refusal by its reason.
    pub(crate) fn count(&self, route: RouteLabel, mode: Mode, reply: &Reply) {
        self.request(route, mode, Outcome::of(reply.status));
        if let Some(problem) = reply.problem {
            self.refused(mode, problem);
        }
    }

    /// Counts a request that got no answer.
    pub(crate) fn aborted(&self, route: RouteLabel, mode: Mode) {
        self.request(route, mode, Outcome::Aborted);
    }

    /// Counts why something was refused: a request, or one item of a batch.
    pub(crate) fn refused(&self, mode: Mode, problem: Problem) {
        if mode == Mode::Live {
            add(&self.refusals[place(problem)]);
        }
    }

    fn request(&self, route: RouteLabel, mode: Mode, outcome: Outcome) {
        let requests = match mode {
            Mode::Live => &self.requests,
            Mode::Test => &self.test_requests,
        };
        add(&requests[route as usize][outcome as usize]);
    }

    pub(crate) fn shard_message(&self, mode: Mode) {
        add(match mode {
            Mode::Live => &self.shard_messages,
            Mode::Test => &self.test_shard_messages,
        });
    }

    pub(crate) fn key_exposed(&self) {
        add(&self.keys_exposed);
    }

    pub(crate) fn connected(&self, protocol: Protocol) {
        add(match protocol {
            Protocol::Quic => &self.connections_quic,
            Protocol::Tcp => &self.connections_tcp,
        });
        add(&self.connections_open);
    }

    pub(crate) fn disconnected(&self) {
        self.connections_open.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn live(&self) -> u64 {
        self.live_slots.load(Ordering::Relaxed)
    }

    pub(crate) fn open(&self) -> u64 {
        self.connections_open.load(Ordering::Relaxed)
    }

    pub(crate) fn bans(&self) -> u64 {
        self.bans.load(Ordering::Relaxed)
    }

    pub(crate) fn keys_exposed(&self) -> u64 {
        self.keys_exposed.load(Ordering::Relaxed)
    }

    pub(crate) fn state_bytes(&self) -> u64 {
        self.state_bytes.load(Ordering::Relaxed)
    }

    /// Mails and correct answers per API key, as known to the lane's shard.
    pub(crate) fn conversions(&self) -> Arc<Vec<Conversion>> {
        self.conversions.load_full()
    }

    /// Publishes mails and correct answers per API key.
    pub(crate) fn publish_conversions(&self, conversions: Vec<Conversion>) {
        self.conversions.store(Arc::new(conversions));
    }

    /// Publishes what the lane's shard holds, how many bans the lane knows, and how many datagrams
    /// it has dropped unread because it was behind.
    pub(crate) fn publish(&self, census: Census, bans: usize, shed: u64) {
        self.datagrams_shed.store(shed, Ordering::Relaxed);
        self.peers.store(census.peers as u64, Ordering::Relaxed);
        self.bans.store(bans as u64, Ordering::Relaxed);
        self.live_slots.store(census.live_slots as u64, Ordering::Relaxed);
        self.test_slots.store(census.test_slots as u64, Ordering::Relaxed);
        self.state_bytes.store(census.bytes as u64, Ordering::Relaxed);
    }
}

fn add(counter: &AtomicU64) {
    // One writer: a load and a store are enough and cheaper than a locked addition.
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

fn place(problem: Problem) -> usize {
    let code = problem.code();
    let same = |reason: &&str| reason.bytes().map(|b| if b == b'_' { b'-' } else { b }).eq(code.bytes());
    REASONS.iter().position(same).unwrap_or(0)
}

/// The sum of one counter over all lanes.
fn sum(lanes: &[Arc<Counters>], read: impl Fn(&Counters) -> &AtomicU64) -> u64 {
    lanes.iter().map(|lane| read(lane).load(Ordering::Relaxed)).fold(0, u64::wrapping_add)
}

#[cfg(test)]
mod tests;
