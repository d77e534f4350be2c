//! Posts the queued events, one batch after the other. Runs on the delivery thread.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use authepy_engine::clock::Clock;
use authepy_engine::entropy::Entropy;
use authepy_engine::id::base62;
use authepy_engine::route::Digest128;
use bytes::Bytes;

use super::wire::{Body, Told};
use super::{Event, EventCounters};
use crate::delivery::hook::{Hook, Posted};
use crate::ground::entropy::OsEntropy;

/// Events in one post, about 250 KB. An endpoint that answers in 200 ms receives up to 2,500 events
/// a second.
const BATCH_EVENTS: usize = 500;
/// Longest time that one post may take.
const POST_TIMEOUT: Duration = Duration::from_secs(10);
/// Pauses before retries; a receiver that restarts is back by then. After the last retry the batch
/// is dropped, to make room for newer events.
const AGAIN_AFTER: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(20)];

/// See the module documentation.
pub struct Poster {
    hook: Arc<Hook>,
    waiting: flume::Receiver<Event>,
    counters: Arc<EventCounters>,
    entropy: OsEntropy,
    /// Whether the last post succeeded; only changes are logged.
    succeeded: bool,
    pauses: &'static [Duration],
}

impl Poster {
    pub(super) fn new(
        hook: Arc<Hook>,
        waiting: flume::Receiver<Event>,
        counters: Arc<EventCounters>,
    ) -> Self {
        let entropy = OsEntropy::default();
        Self { hook, waiting, counters, entropy, succeeded: true, pauses: &AGAIN_AFTER }
    }

    /// Posts until all [`Events`](super::Events) handles are dropped.
    pub(crate) async fn run(mut self, clock: Clock) {
        while let Ok(first) = self.waiting.recv_async().await {
            let mut batch = Vec::with_capacity(BATCH_EVENTS);
            batch.push(first);
            batch.extend(self.waiting.try_iter().take(BATCH_EVENTS - 1));
            let count = batch.len() as u64;
            let counter = match self.tell(batch, clock).await {
                true => &self.counters.delivered,
                false => &self.counters.dropped,
            };
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }

    async fn tell(&mut self, batch: Vec<Event>, clock: Clock) -> bool {
        let told: Vec<Told> = batch.into_iter().map(|event| Told::new(self.draw("evt_"), event)).collect();
        let Ok(body) = serde_json::to_vec(&Body { events: &told }).map(Bytes::from) else { return false };
        let id = self.draw("msg_");
        let mut pauses = self.pauses.iter();
        loop {
            let posted = self.hook.post(&id, clock().unix_ms / 1_000, body.clone(), POST_TIMEOUT).await;
            let succeeded = matches!(posted, Posted::Answered(200..300));
            self.note(succeeded, posted);
            let pause = pauses.next().filter(|_| !succeeded && !self.counters.hurry.load(Ordering::Relaxed));
            let Some(pause) = pause else { return succeeded };
            tokio::time::sleep(*pause).await;
        }
    }

    fn note(&mut self, succeeded: bool, posted: Posted) {
        match (std::mem::replace(&mut self.succeeded, succeeded), succeeded) {
            (true, false) => tracing::warn!(?posted, "posting to the events endpoint failed"),
            (false, true) => tracing::info!("the events endpoint works again"),
            _ => {}
        }
    }

    /// Draws a unique id.
    fn draw(&mut self, prefix: &str) -> String {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes);
        format!("{prefix}{}", base62(&Digest128::from_bytes(bytes)))
    }
}
