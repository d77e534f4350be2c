//! Keeps the schedule's time. A thread that sleeps by itself wakes within about 0.1 ms; a timer of the
//! workers' runtime would add up to 1 ms to every latency.
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Instant;

use tokio::sync::mpsc::Sender;

use crate::clock;
use crate::live::Live;
use crate::profile::{Plan, Profile};

/// A story on its way to a worker.
pub(crate) struct Start {
    pub(crate) plan: Plan,
    /// Latencies count from here, however late the rest is.
    pub(crate) intended: Instant,
}

/// Sends every story to the worker of its peer at its time, or counts it as not started when as many as the
/// cap are under way.
pub(crate) fn beat(begin: Instant, profile: &Profile, workers: &[Sender<Start>], live: &Live) {
    for plan in profile.schedule() {
        let intended = begin + plan.start;
        thread::sleep(intended.saturating_duration_since(clock::now()));
        let under_way = live.in_flight.fetch_add(1, Relaxed);
        let worker = &workers[profile.peer(plan.role, plan.n) % workers.len()];
        let goes = under_way < profile.in_flight && worker.try_send(Start { plan, intended }).is_ok();
        if !goes {
            live.in_flight.fetch_sub(1, Relaxed);
        }
        if let Some(part) = live.parts.get(&plan.role) {
            (if goes { &part.started } else { &part.not_started }).fetch_add(1, Relaxed);
        }
    }
}
