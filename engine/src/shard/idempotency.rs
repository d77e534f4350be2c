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

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use ahash::HashMap;

use super::shares::Shares;
use crate::clock::Moment;
use crate::entropy::Entropy;
use crate::limits::IN_PROGRESS_RETRY_AFTER;
use crate::request::{First, Outcome, Owner, Refusal, Reserve, Settle};
use crate::route::Digest128;

/// Stale entries of `order` that are kept in any case, so that a small table is not cleared all the time.
const STALE_MIN: usize = 64;

struct Record {
    body: Digest128,
    salt: Digest128,
    owner: Owner,
    expires: Moment,
    first: Option<First>,
}

/// The claimed keys of one shard. Owned by it.
#[derive(Default)]
pub(super) struct IdempotencyTable {
    records: HashMap<Digest128, Record>,
    /// Keys with their expiry, the next one first; also of some that were released since.
    order: BinaryHeap<Reverse<(Moment, Digest128)>>,
    shares: Shares,
}

impl IdempotencyTable {
    /// Records, those that expired and were not swept yet included.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Claims a key, if its owner's share of `capacity` records allows another one.
    pub(super) fn reserve(
        &mut self,
        now: Moment,
        reserve: Reserve,
        capacity: usize,
        entropy: &mut impl Entropy,
    ) -> Result<Outcome, Refusal> {
        if let Some(record) = self.records.get(&reserve.key).filter(|record| record.expires > now) {
            return match &record.first {
                _ if record.body != reserve.body => Err(Refusal::IdempotencyKeyReused),
                Some(first) => Ok(Outcome::Repeated { first: first.clone(), salt: record.salt }),
                None => Err(Refusal::IdempotencyInProgress { retry_after: IN_PROGRESS_RETRY_AFTER }),
            };
        }
        // What has expired makes room, swept or not: so waiting as long as told is enough.
        self.sweep(now);
        let owner = reserve.owner;
        if let Err(retry_after) = self.shares.admit(owner, 1, capacity, Duration::ZERO, now) {
            return Err(Refusal::Overloaded { retry_after });
        }
        let mut salt = Digest128::default();
        entropy.fill(&mut salt.0);
        let expires = now.after(reserve.lifetime);
        self.shares.take(Some(owner), 1, Some(expires));
        self.order.push(Reverse((expires, reserve.key)));
        self.records.insert(reserve.key, Record { body: reserve.body, salt, owner, expires, first: None });
        Ok(Outcome::Reserved { salt })
    }

    /// Notes the first answer, or releases the key: then its place is free at once.
    pub(super) fn settle(&mut self, settle: Settle) {
        match settle.first {
            None => self.forget(&settle.key),
            Some(first) => {
                let ends = first.expires();
                let Some(record) = self.records.get_mut(&settle.key) else { return };
                record.first = Some(first);
                // It ends with the verification that it tells of, and gives its place back then.
                let (owner, before) = (Some(record.owner), record.expires);
                if ends < before {
                    record.expires = ends;
                    self.shares.give_back(owner, 1, Some(before));
                    self.shares.take(owner, 1, Some(ends));
                    self.order.push(Reverse((ends, settle.key)));
                }
            }
        }
    }

    /// Frees expired records, each at its own time.
    pub(super) fn sweep(&mut self, now: Moment) {
        while let Some(&Reverse((expires, key))) = self.order.peek().filter(|next| next.0.0 <= now) {
            self.order.pop();
            // A record that was shortened, or claimed anew, has another entry.
            if self.records.get(&key).is_some_and(|record| record.expires == expires) {
                self.forget(&key);
            }
        }
    }

    fn forget(&mut self, key: &Digest128) {
        let Some(record) = self.records.remove(key) else { return };
        self.shares.give_back(Some(record.owner), 1, Some(record.expires));
        // A flood of released claims must not leave its names behind until they would have expired.
        if self.order.len() > 2 * self.records.len() + STALE_MIN {
            let records = &self.records;
            self.order.retain(|Reverse((expires, key))| {
                records.get(key).is_some_and(|record| record.expires == *expires)
            });
        }
    }
}
