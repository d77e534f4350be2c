//! Idempotency keys: reserve, settle, repeat.
//!
//! ```text
//!   (unknown) ──reserve──▶ running ──settle(first)──▶ done ──┐ repeat: the first answer is rebuilt
//!       ▲                     │                              │
//!       └──────settle(none)───┴──────────expiry──────────────┘
//! ```
//!
//! A first answer is repeated only until the expiry of the verification it describes; after that,
//! the same request under the same key is a new one.
//!
//! A record holds digests, counts and times, never a code, an address, an id or a receipt: those
//! are derived again from the repeated request and the salt.

use super::expiring::{Expiring, ExpiringTable};
use crate::clock::Moment;
use crate::entropy::Entropy;
use crate::identity::Owner;
use crate::limits::IN_PROGRESS_RETRY_AFTER;
use crate::request::{First, Outcome, Refusal, Reserve, Settle};
use crate::route::{BodyDigest, ClaimDigest, Digest128};

struct Record {
    key: ClaimDigest,
    body: BodyDigest,
    salt: Digest128,
    owner: Owner,
    expires: Moment,
    first: Option<First>,
}

impl Expiring for Record {
    type Name = ClaimDigest;

    fn name(&self) -> &ClaimDigest {
        &self.key
    }

    fn owner(&self) -> Owner {
        self.owner
    }

    fn expires(&self) -> Moment {
        self.expires
    }
}

/// The reserved keys of one shard. Owned by it.
#[derive(Default)]
pub(crate) struct IdempotencyTable(ExpiringTable<Record>);

impl IdempotencyTable {
    /// Records, including expired ones that were not swept yet.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Reserves a key, if its owner's share of `capacity` permits.
    pub(crate) fn reserve(
        &mut self,
        now: Moment,
        reserve: Reserve,
        capacity: usize,
        entropy: &mut impl Entropy,
    ) -> Result<Outcome, Refusal> {
        // Expiry is decided at read.
        if let Some(record) = self.0.get(&reserve.key).filter(|record| record.expires > now) {
            return match &record.first {
                _ if record.body != reserve.body => Err(Refusal::IdempotencyKeyReused),
                Some(first) => Ok(Outcome::Repeated { first: first.clone(), salt: record.salt }),
                None => Err(Refusal::IdempotencyInProgress { retry_after: IN_PROGRESS_RETRY_AFTER }),
            };
        }
        let Reserve { key, body, owner, lifetime } = reserve;
        let mut salt = Digest128::default();
        entropy.fill(&mut salt.0);
        let expires = now.after(lifetime);
        self.0.insert(Record { key, body, salt, owner, expires, first: None }, capacity, now)?;
        Ok(Outcome::Reserved { salt })
    }

    /// Records the first answer, or releases the key, which frees its place at once.
    pub(crate) fn settle(&mut self, settle: Settle) {
        match settle.first {
            None => self.0.remove(&settle.key),
            // The record is dropped with the verification that it describes.
            Some(first) => self.0.change(&settle.key, |record| {
                record.expires = record.expires.min(first.expires());
                record.first = Some(first);
            }),
        }
    }

    pub(crate) fn sweep(&mut self, now: Moment) {
        self.0.sweep(now);
    }
}
