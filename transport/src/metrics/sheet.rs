//! All families: names, meanings, and where their numbers come from.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::openmetrics::{Exposition, Kind};
use super::{Counters, Outcome, REASONS, Requests, sum};
use crate::http::target::RouteLabel;

/// Where a lane keeps one number, or one for each route and outcome.
type Place = fn(&Counters) -> &AtomicU64;
type Table = fn(&Counters) -> &Requests;

/// What is told besides the lanes' counters.
#[derive(Default)]
pub struct Beside {
    /// Mails by outcome.
    pub mails: [(&'static str, u64); 4],
    /// Mails that were promised.
    pub mails_accepted: u64,
    /// How often a mail provider was given up for a while.
    pub failovers: u64,
    /// Events by outcome.
    pub events: [(&'static str, u64); 2],
    /// Bytes of mail that waits.
    pub mail_bytes: u64,
    /// What the control plane knows of the store.
    pub store: StoreFigures,
    /// How often each task of the control plane has begun anew.
    pub control_restarts: Vec<(&'static str, u64)>,
}

/// The store's health in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreFigures {
    /// Whether the last question was answered.
    pub up: bool,
    /// Keys in the book that lanes read, ended ones included.
    pub keys: u64,
    /// The store's revision that the book shows.
    pub revision: u64,
    /// Statements sent so far.
    pub queries: u64,
    /// How often the store was asked because of keys that the book does not hold.
    pub lookups: u64,
}

/// Renders the counters of all lanes, and what is beside them.
pub fn render(lanes: &[Arc<Counters>], beside: &Beside) -> String {
    let mut out = Exposition::default();
    requests(&mut out, lanes);
    shards(&mut out, lanes, beside.mail_bytes);
    connections(&mut out, lanes);
    let mut family = out.family("authepy_mail", Kind::Counter, "Mails of live keys by what became of them.");
    beside.mails.iter().for_each(|(outcome, count)| family.sample([("outcome", outcome)], *count));
    let help = "Mails that were promised: those of every outcome, and those under way.";
    out.family("authepy_mail_accepted", Kind::Counter, help).value(beside.mails_accepted);
    let help = "How often a mail provider failed so often that it is left alone for a while.";
    out.family("authepy_mail_failovers", Kind::Counter, help).value(beside.failovers);
    let mut family = out.family("authepy_events", Kind::Counter, "Events by what became of them.");
    beside.events.iter().for_each(|(outcome, count)| family.sample([("outcome", outcome)], *count));
    store(&mut out, &beside.store);
    let help = "How often a task of the control plane has failed and begun anew.";
    let mut family = out.family("authepy_control_restarts", Kind::Counter, help);
    beside.control_restarts.iter().for_each(|(task, count)| family.sample([("task", task)], *count));
    out.end()
}

fn store(out: &mut Exposition, store: &StoreFigures) {
    let families = [
        ("authepy_store_up", Kind::Gauge, "Whether the store answered last time.", u64::from(store.up)),
        ("authepy_keys", Kind::Gauge, "Keys that lanes know, ended ones included.", store.keys),
        ("authepy_store_queries", Kind::Counter, "Statements sent to the store.", store.queries),
        ("authepy_key_lookups", Kind::Counter, "Questions to the store about unknown keys.", store.lookups),
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
        ("authepy_test_requests", "The same for requests of test keys, which count nowhere else.", |lane| {
            &lane.test_requests
        }),
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
    let help = "Requests that carried a secret live key and looked like a browser's.";
    out.family("authepy_key_exposed", Kind::Counter, help).value(sum(lanes, |lane| &lane.keys_exposed));
}

fn shards(out: &mut Exposition, lanes: &[Arc<Counters>], mail_bytes: u64) {
    let messages = "Questions put to inboxes; peer accounting is not in it.";
    let families: [(_, _, _, Place); 4] = [
        ("authepy_shard_messages", Kind::Counter, messages, |lane| &lane.shard_messages),
        ("authepy_test_shard_messages", Kind::Counter, "The same for test keys.", |lane| {
            &lane.test_shard_messages
        }),
        (
            "authepy_live_slots",
            Kind::Gauge,
            "Verifications that live keys issued and that still live.",
            |lane| &lane.live_slots,
        ),
        ("authepy_test_slots", Kind::Gauge, "The same for test keys.", |lane| &lane.test_slots),
    ];
    for (name, kind, help, counter) in families {
        out.family(name, kind, help).value(sum(lanes, counter));
    }
    // Every lane knows all bans: the one that has heard most is right.
    let bans = lanes.iter().map(|lane| lane.bans()).max().unwrap_or(0);
    out.family("authepy_bans_active", Kind::Gauge, "Bans that hold.").value(bans);
    let help = "Networks whose requests are counted at present, those of test keys included.";
    out.family("authepy_peers", Kind::Gauge, help).value(sum(lanes, |lane| &lane.peers));
    let help =
        "Ephemeral state as it counts against memory.ceiling, waiting mail included; not resident memory.";
    let bytes = sum(lanes, |lane| &lane.state_bytes).saturating_add(mail_bytes);
    out.family("authepy_memory_bytes", Kind::Gauge, help).value(bytes);
}

fn connections(out: &mut Exposition, lanes: &[Arc<Counters>]) {
    let open = sum(lanes, |lane| &lane.connections_open);
    out.family("authepy_connections", Kind::Gauge, "Open connections.").value(open);
    let help = "Datagrams of strangers that a lane did not read because it was behind.";
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
