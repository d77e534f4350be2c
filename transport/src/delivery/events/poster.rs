//! Posts what waits, one batch after the other. Runs on the delivery thread.

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

/// Events in one post: some 250 KB. An endpoint that takes 200 ms hears of 2,500 a second.
const BATCH_EVENTS: usize = 500;
/// Longest one post may take.
const POST_TIMEOUT: Duration = Duration::from_secs(10);
/// Pauses before a post is repeated; a receiver that restarts is back by then. After the last one its events
/// are dropped: what queues behind them is newer.
const AGAIN_AFTER: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(20)];

/// See the module's doc.
pub struct Poster {
    hook: Arc<Hook>,
    waiting: flume::Receiver<Event>,
    counters: Arc<EventCounters>,
    entropy: OsEntropy,
    /// Whether the last post arrived; only changes are logged.
    is_heard: bool,
    pauses: &'static [Duration],
}

impl Poster {
    pub(super) fn new(
        hook: Arc<Hook>,
        waiting: flume::Receiver<Event>,
        counters: Arc<EventCounters>,
    ) -> Self {
        let entropy = OsEntropy::default();
        Self { hook, waiting, counters, entropy, is_heard: true, pauses: &AGAIN_AFTER }
    }

    /// Posts until nobody can tell anything any more.
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
            let is_heard = matches!(posted, Posted::Answered(200..300));
            self.note(is_heard, posted);
            let pause = pauses.next().filter(|_| !is_heard && !self.counters.hurry.load(Ordering::Relaxed));
            let Some(pause) = pause else { return is_heard };
            tokio::time::sleep(*pause).await;
        }
    }

    fn note(&mut self, is_heard: bool, posted: Posted) {
        match (std::mem::replace(&mut self.is_heard, is_heard), is_heard) {
            (true, false) => tracing::warn!(?posted, "the events endpoint fails"),
            (false, true) => tracing::info!("the events endpoint works again"),
            _ => {}
        }
    }

    /// A name that nothing else has.
    fn draw(&mut self, prefix: &str) -> String {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes);
        format!("{prefix}{}", base62(&Digest128::from_bytes(bytes)))
    }
}
