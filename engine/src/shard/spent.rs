//! Receipts that were introspected: each is `active` once, then never again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use ahash::HashMap;

use super::shares::Shares;
use crate::clock::Moment;
use crate::request::{Outcome, Owner, Refusal, Spend};
use crate::route::Digest128;

/// The introspected receipts of one shard, until they expire by themselves. Owned by it.
#[derive(Default)]
pub(super) struct SpentReceipts {
    known: HashMap<Digest128, Owner>,
    /// With their expiry, the next one first.
    order: BinaryHeap<Reverse<(Moment, Digest128)>>,
    shares: Shares,
}

impl SpentReceipts {
    /// Records, those that expired and were not swept yet included.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// Marks a receipt, if its owner's share of `capacity` records allows another one.
    pub(super) fn spend(&mut self, now: Moment, spend: &Spend, capacity: usize) -> Result<Outcome, Refusal> {
        if self.known.contains_key(&spend.receipt) {
            return Ok(Outcome::Spent { first: false });
        }
        // What has expired makes room, swept or not: so waiting as long as told is enough.
        self.sweep(now);
        if let Err(retry_after) = self.shares.admit(spend.owner, 1, capacity, Duration::ZERO, now) {
            return Err(Refusal::Overloaded { retry_after });
        }
        let expires = now.after(spend.lifetime);
        self.shares.take(Some(spend.owner), 1, Some(expires));
        self.order.push(Reverse((expires, spend.receipt)));
        self.known.insert(spend.receipt, spend.owner);
        Ok(Outcome::Spent { first: true })
    }

    pub(super) fn sweep(&mut self, now: Moment) {
        while let Some(&Reverse((expires, receipt))) = self.order.peek().filter(|next| next.0.0 <= now) {
            self.order.pop();
            let owner = self.known.remove(&receipt);
            self.shares.give_back(owner, 1, Some(expires));
        }
    }
}
