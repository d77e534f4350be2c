//! Receipts that were introspected: each is `active` once, then never again.

use std::collections::VecDeque;

use ahash::HashSet;

use super::shares::Shares;
use crate::clock::Moment;
use crate::request::{Outcome, Owner, Refusal, Spend};
use crate::route::Digest128;

/// The introspected receipts of one shard, until they expire by themselves. Owned by it.
#[derive(Default)]
pub(super) struct SpentReceipts {
    known: HashSet<Digest128>,
    order: VecDeque<(Moment, Digest128, Owner)>,
    shares: Shares,
}

impl SpentReceipts {
    /// Records, those that expired and were not swept yet included.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// Marks a receipt, if its owner's share of `capacity` records allows another one.
    pub(super) fn spend(&mut self, now: Moment, spend: &Spend, capacity: usize) -> Result<Outcome, Refusal> {
        if self.known.contains(&spend.receipt) {
            return Ok(Outcome::Spent { first: false });
        }
        if let Err(retry_after) = self.shares.admit(spend.owner, 1, capacity, now) {
            return Err(Refusal::Overloaded { retry_after });
        }
        let expires = now.after(spend.lifetime);
        self.shares.take(spend.owner, 1, Some(expires));
        self.order.push_back((expires, spend.receipt, spend.owner));
        self.known.insert(spend.receipt);
        Ok(Outcome::Spent { first: true })
    }

    pub(super) fn sweep(&mut self, now: Moment) {
        while let Some((expires, receipt, owner)) = self.order.pop_front_if(|(expires, ..)| *expires <= now) {
            self.known.remove(&receipt);
            self.shares.give_back(owner, 1, Some(expires));
        }
    }
}
