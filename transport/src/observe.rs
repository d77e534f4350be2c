//! Counters without personal data: one set per lane, added up when somebody looks.
//!
//! No label comes from a request: routes and reasons are names of this program.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::delivery::MailCounters;
use crate::reply::{Problem, Reply};

/// Problem codes as metric reasons, in a fixed order: the index is the counter's place.
const REASONS: [&str; 25] = [
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
    "recipient_mismatch",
    "nonce_mismatch",
    "idempotency_key_reused",
    "too_early",
    "rate_limited",
    "overloaded",
    "delivery_unavailable",
    "not_ready",
];

/// How a connection came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Quic,
    Tcp,
}

/// What one lane has counted. Written by its lane only; a cache line of its own.
#[derive(Default)]
#[repr(align(128))]
pub struct Counters {
    answered: [AtomicU64; 6],
    refusals: [AtomicU64; REASONS.len()],
    shard_messages: AtomicU64,
    keys_exposed: AtomicU64,
    connections_quic: AtomicU64,
    connections_tcp: AtomicU64,
    connections_open: AtomicU64,
    live: AtomicU64,
}

impl Counters {
    /// Counts an answer by its class, and a refusal by its reason.
    pub fn count(&self, reply: &Reply) {
        add(&self.answered[usize::from(reply.status / 100).min(5)]);
        if let Some(problem) = reply.problem {
            add(&self.refusals[place(problem)]);
        }
    }

    pub(crate) fn shard_message(&self) {
        add(&self.shard_messages);
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

    pub(crate) fn set_live(&self, live: usize) {
        self.live.store(live as u64, Ordering::Relaxed);
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

/// Renders the counters of all lanes as OpenMetrics text.
pub fn render(lanes: &[Arc<Counters>], mail: &MailCounters) -> String {
    let sum = |read: &dyn Fn(&Counters) -> &AtomicU64| -> u64 {
        lanes.iter().map(|lane| read(lane).load(Ordering::Relaxed)).fold(0, u64::wrapping_add)
    };
    let mut out = String::new();
    let mut family = |name: &str, kind: &str, samples: BTreeMap<String, u64>| {
        // Writing to a String can't fail.
        let _ = writeln!(out, "# TYPE {name} {kind}");
        let suffix = if kind == "counter" { "_total" } else { "" };
        for (labels, value) in samples {
            let _ = writeln!(out, "{name}{suffix}{labels} {value}");
        }
    };
    let one = |value: u64| BTreeMap::from([(String::new(), value)]);
    let answered = (1..6).map(|class| (format!("{{status=\"{class}xx\"}}"), sum(&|l| &l.answered[class])));
    family("authepy_answers", "counter", answered.collect());
    let refusals = REASONS.iter().enumerate();
    let refusals =
        refusals.map(|(at, reason)| (format!("{{reason=\"{reason}\"}}"), sum(&|l| &l.refusals[at])));
    family("authepy_refusals", "counter", refusals.collect());
    family("authepy_shard_messages", "counter", one(sum(&|l| &l.shard_messages)));
    family("authepy_key_exposed", "counter", one(sum(&|l| &l.keys_exposed)));
    family("authepy_live_slots", "gauge", one(sum(&|l| &l.live)));
    family("authepy_connections", "gauge", one(sum(&|l| &l.connections_open)));
    let accepted = [
        ("{protocol=\"quic\"}".to_owned(), sum(&|l| &l.connections_quic)),
        ("{protocol=\"tcp\"}".to_owned(), sum(&|l| &l.connections_tcp)),
    ];
    family("authepy_connections_accepted", "counter", BTreeMap::from(accepted));
    let outcomes = mail.outcomes().into_iter();
    let outcomes = outcomes.map(|(outcome, count)| (format!("{{outcome=\"{outcome}\"}}"), count));
    family("authepy_mail", "counter", outcomes.collect());
    out.push_str("# EOF\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use authepy_engine::request::{Policy, Refusal};
    use std::time::Duration;

    #[test]
    fn every_problem_has_a_counter_of_its_own() {
        let retry_after = Duration::ZERO;
        let refusals = [
            Refusal::VerificationNotFound,
            Refusal::RecipientMismatch,
            Refusal::NonceMismatch,
            Refusal::MalformedCode,
            Refusal::RateLimited { policy: Policy::Peer, retry_after },
            Refusal::Banned { retry_after },
            Refusal::Overloaded { retry_after },
            Refusal::DeliveryUnavailable { retry_after },
            Refusal::IdempotencyInProgress { retry_after },
            Refusal::IdempotencyKeyReused,
            Refusal::NotReady { retry_after },
        ];
        let own = [
            Problem::MalformedRequest(""),
            Problem::MalformedHttp,
            Problem::InvalidKey,
            Problem::OriginNotAllowed,
            Problem::KeyClassForbidden,
            Problem::SecretKeyInBrowser,
            Problem::NotFound,
            Problem::MethodNotAllowed(""),
            Problem::BodyTooLarge,
            Problem::UnsupportedMediaType,
            Problem::HeadersTooLarge,
            Problem::InvalidRecipient,
            Problem::DisposableDomain,
            Problem::TooEarly,
        ];
        let all = own.into_iter().chain(refusals.into_iter().map(Problem::from));
        let places: std::collections::BTreeSet<usize> = all.map(place).collect();
        assert_eq!(places.len(), REASONS.len());
    }
}
