//! Idempotency keys: claim, settle, repeat.
//!
//! ```text
//!   (unknown) ──reserve──▶ running ──settle(first)──▶ done ──┐ repeat: the first answer is made again
//!       ▲                     │                              │
//!       └──────settle(none)───┴──────────expiry──────────────┘
//! ```
//!
//! A first answer is repeated only while the verification that it tells of lives, or would live: after that, the same
//! request under the same key is a new one.
//!
//! A record holds digests, counts and times, never a code, an address, an id or a receipt: those are
//! made again from the repeated request and the salt.

use std::collections::VecDeque;

use ahash::HashMap;

use crate::clock::Moment;
use crate::entropy::Entropy;
use crate::limits::{IN_PROGRESS_RETRY_AFTER, OVERLOADED_RETRY_AFTER};
use crate::request::{First, Outcome, Refusal, Reserve, Settle};
use crate::route::Digest128;

struct Record {
    body: Digest128,
    salt: Digest128,
    expires: Moment,
    first: Option<First>,
}

/// The claimed keys of one shard. Owned by it.
pub(super) struct IdempotencyTable {
    records: HashMap<Digest128, Record>,
    /// Keys with their expiry, in the order they were claimed.
    order: VecDeque<(Moment, Digest128)>,
    capacity: usize,
}

impl IdempotencyTable {
    pub(super) fn new(capacity: usize) -> Self {
        Self { records: HashMap::default(), order: VecDeque::new(), capacity }
    }

    /// Records, those that expired and were not swept yet included.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    pub(super) fn reserve(
        &mut self,
        now: Moment,
        reserve: Reserve,
        entropy: &mut impl Entropy,
    ) -> Result<Outcome, Refusal> {
        if let Some(record) = self.records.get(&reserve.key).filter(|record| record.expires > now) {
            return match &record.first {
                _ if record.body != reserve.body => Err(Refusal::IdempotencyKeyReused),
                Some(first) => Ok(Outcome::Repeated { first: first.clone(), salt: record.salt }),
                None => Err(Refusal::IdempotencyInProgress { retry_after: IN_PROGRESS_RETRY_AFTER }),
            };
        }
        if self.order.len() >= self.capacity {
            return Err(Refusal::Overloaded { retry_after: OVERLOADED_RETRY_AFTER });
        }
        let mut salt = Digest128::default();
        entropy.fill(&mut salt.0);
        let expires = now.after(reserve.lifetime);
        self.order.push_back((expires, reserve.key));
        self.records.insert(reserve.key, Record { body: reserve.body, salt, expires, first: None });
        Ok(Outcome::Reserved { salt })
    }

    pub(super) fn settle(&mut self, settle: Settle) {
        match settle.first {
            None => {
                self.records.remove(&settle.key);
            }
            Some(first) => {
                if let Some(record) = self.records.get_mut(&settle.key) {
                    record.expires = record.expires.min(first.expires());
                    record.first = Some(first);
                }
            }
        }
    }

    /// Frees expired records, in the order of the longest lives they were claimed for: a record that was shortened
    /// keeps its place until then. Whether a record still counts is decided when it is read.
    pub(super) fn sweep(&mut self, now: Moment) {
        while let Some((_, key)) = self.order.pop_front_if(|(expires, _)| *expires <= now) {
            if self.records.get(&key).is_some_and(|record| record.expires <= now) {
                self.records.remove(&key);
            }
        }
    }
}
