//! All metric families: names, help texts, and sources of their values.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::openmetrics::{Exposition, Kind};
use super::{Counters, Outcome, REASONS, Requests, sum};
use crate::http::target::RouteLabel;

/// Selects one counter of a lane, or one table of counters per route and outcome.
type Place = fn(&Counters) -> &AtomicU64;
type Table = fn(&Counters) -> &Requests;

/// Values that are not lane counters.
#[derive(Default)]
pub(crate) struct Beside {
    /// Mails by outcome.
    pub mails: [(&'static str, u64); 4],
    /// Mails accepted into the queue.
    pub mails_accepted: u64,
    /// How often a mail provider's breaker opened.
    pub failovers: u64,
    /// Events by outcome.
    pub events: [(&'static str, u64); 2],
    /// Bytes of waiting mail.
    pub mail_bytes: u64,
    /// State of the store, as known to the control plane.
    pub store: StoreFigures,
    /// Restarts of each control plane task.
    pub control_restarts: Vec<(&'static str, u64)>,
}

/// The store's health in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreFigures {
    /// Whether the last query was answered.
    pub up: bool,
    /// Keys in the key book, ended ones included.
    pub keys: u64,
    /// Revision of the store in the key book.
    pub revision: u64,
    /// Statements sent so far.
    pub queries: u64,
    /// Queries caused by keys that the key book lacks.
    pub lookups: u64,
}

/// Renders the counters of all lanes, and the other values.
pub(crate) fn render(lanes: &[Arc<Counters>], beside: &Beside) -> String {
    let mut out = Exposition::default();
    requests(&mut out, lanes);
    shards(&mut out, lanes, beside.mail_bytes);
    connections(&mut out, lanes);
    let mut family = out.family("authepy_mail", Kind::Counter, "Mails of live keys by outcome.");
    beside.mails.iter().for_each(|(outcome, count)| family.sample([("outcome", outcome)], *count));
    let help = "Mails accepted into the queue: all outcomes plus mails in progress.";
    out.family("authepy_mail_accepted", Kind::Counter, help).value(beside.mails_accepted);
    let help = "How often a mail provider kept failing and was not used for a while.";
    out.family("authepy_mail_failovers", Kind::Counter, help).value(beside.failovers);
    let mut family = out.family("authepy_events", Kind::Counter, "Events by outcome.");
    beside.events.iter().for_each(|(outcome, count)| family.sample([("outcome", outcome)], *count));
    store(&mut out, &beside.store);
    let help = "Restarts of control plane tasks after a failure.";
    let mut family = out.family("authepy_control_restarts", Kind::Counter, help);
    beside.control_restarts.iter().for_each(|(task, count)| family.sample([("task", task)], *count));
    out.end()
}

fn store(out: &mut Exposition, store: &StoreFigures) {
    let families = [
        ("authepy_store_up", Kind::Gauge, "Whether the store answered the last query.", u64::from(store.up)),
        ("authepy_keys", Kind::Gauge, "Keys that lanes know, ended ones included.", store.keys),
        ("authepy_store_queries", Kind::Counter, "Statements sent to the store.", store.queries),
        ("authepy_key_lookups", Kind::Counter, "Queries to the store about unknown keys.", store.lookups),
    ];
    for (name, kind, help, value) in families {
        out.family(name, kind, help).value(value);
    }
}

fn requests(out: &mut Exposition, lanes: &[Arc<Counters>]) {
    let families: [(_, _, Table); 2] = [
        (
            "authepy_requests",
            "Requests by route and outcome: ok 2xx, refused 4xx, failed 5xx, aborted without an answer.",
            |lane| &lane.requests,
        ),
        (
            "authepy_test_requests",
            "The same for requests of test keys, which are counted nowhere else.",
            |lane| &lane.test_requests,
        ),
    ];
    for (name, help, table) in families {
        let mut family = out.family(name, Kind::Counter, help);
        for (route, route_name) in RouteLabel::ALL {
            for (outcome, outcome_name) in Outcome::ALL {
                let count = sum(lanes, |lane| &table(lane)[route as usize][outcome as usize]);
                family.sample([("route", route_name), ("outcome", outcome_name)], count);
            }
        }
    }
    let help = "Refused requests, and refused items of batches, by the problem's code.";
    let mut family = out.family("authepy_refusals", Kind::Counter, help);
    for (at, reason) in REASONS.iter().enumerate() {
        family.sample([("reason", reason)], sum(lanes, |lane| &lane.refusals[at]));
    }
    let help = "Requests with a secret live key that looked like a browser's.";
    out.family("authepy_key_exposed", Kind::Counter, help).value(sum(lanes, |lane| &lane.keys_exposed));
}

fn shards(out: &mut Exposition, lanes: &[Arc<Counters>], mail_bytes: u64) {
    let messages = "Messages to inbox records; peer accounting is not included.";
    let families: [(_, _, _, Place); 4] = [
        ("authepy_shard_messages", Kind::Counter, messages, |lane| &lane.shard_messages),
        ("authepy_test_shard_messages", Kind::Counter, "The same for test keys.", |lane| {
            &lane.test_shard_messages
        }),
        ("authepy_live_slots", Kind::Gauge, "Live verifications issued by live keys.", |lane| {
            &lane.live_slots
        }),
        ("authepy_test_slots", Kind::Gauge, "The same for test keys.", |lane| &lane.test_slots),
    ];
    for (name, kind, help, counter) in families {
        out.family(name, kind, help).value(sum(lanes, counter));
    }
    // Every lane has a copy of all bans; the largest count is the most recent.
    let bans = lanes.iter().map(|lane| lane.bans()).max().unwrap_or(0);
    out.family("authepy_bans_active", Kind::Gauge, "Active bans.").value(bans);
    let help = "Networks with current request counts, those of test keys included.";
    out.family("authepy_peers", Kind::Gauge, help).value(sum(lanes, |lane| &lane.peers));
    let help =
        "Ephemeral state as it counts against memory.ceiling, waiting mail included; not resident memory.";
    let bytes = sum(lanes, |lane| &lane.state_bytes).saturating_add(mail_bytes);
    out.family("authepy_memory_bytes", Kind::Gauge, help).value(bytes);
}

fn connections(out: &mut Exposition, lanes: &[Arc<Counters>]) {
    let open = sum(lanes, |lane| &lane.connections_open);
    out.family("authepy_connections", Kind::Gauge, "Open connections.").value(open);
    let help = "Datagrams from new peers that a lane dropped because it was behind.";
    let shed = sum(lanes, |lane| &lane.datagrams_shed);
    out.family("authepy_datagrams_shed", Kind::Counter, help).value(shed);
    let mut accepted = out.family(
        "authepy_connections_accepted",
        Kind::Counter,
        "Connections whose handshake completed, by transport protocol.",
    );
    accepted.sample([("protocol", "quic")], sum(lanes, |lane| &lane.connections_quic));
    accepted.sample([("protocol", "tcp")], sum(lanes, |lane| &lane.connections_tcp));
}
