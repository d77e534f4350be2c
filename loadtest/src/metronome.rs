//! Keeps the schedule's time. A thread that sleeps by itself wakes within about 0.1 ms; a timer of the
//! workers' runtime would add up to 1 ms to every latency.
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Instant;

use tokio::sync::mpsc::Sender;

use crate::clock;
use crate::profile::Plan;
use crate::tally::Live;

/// A sign-up on its way to a worker.
pub(crate) struct Start {
    pub(crate) plan: Plan,
    /// Latencies count from here, however late the rest is.
    pub(crate) intended: Instant,
}

/// Sends every sign-up to its worker at its time, or counts it as not started when `cap` are under way.
pub(crate) fn beat(begin: Instant, schedule: Vec<Plan>, cap: usize, workers: &[Sender<Start>], live: &Live) {
    for (plan, worker) in schedule.into_iter().zip(workers.iter().cycle()) {
        let intended = begin + plan.start;
        thread::sleep(intended.saturating_duration_since(clock::now()));
        let under_way = live.in_flight.fetch_add(1, Relaxed);
        if under_way < cap && worker.try_send(Start { plan, intended }).is_ok() {
            live.started.fetch_add(1, Relaxed);
        } else {
            live.in_flight.fetch_sub(1, Relaxed);
            live.not_started.fetch_add(1, Relaxed);
        }
    }
}
