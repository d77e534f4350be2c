//! Receipts that were introspected: each is `active` once, then never again.

use std::collections::VecDeque;

use ahash::HashSet;

use crate::clock::Moment;
use crate::limits::OVERLOADED_RETRY_AFTER;
use crate::request::{Outcome, Refusal, Spend};
use crate::route::Digest128;

/// The introspected receipts of one shard, until they expire by themselves. Owned by it.
pub(super) struct SpentReceipts {
    known: HashSet<Digest128>,
    order: VecDeque<(Moment, Digest128)>,
    capacity: usize,
}

impl SpentReceipts {
    pub(super) fn new(capacity: usize) -> Self {
        Self { known: HashSet::default(), order: VecDeque::new(), capacity }
    }

    /// Records, those that expired and were not swept yet included.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    pub(super) fn spend(&mut self, now: Moment, spend: &Spend) -> Result<Outcome, Refusal> {
        if self.known.contains(&spend.receipt) {
            return Ok(Outcome::Spent { first: false });
        }
        if self.order.len() >= self.capacity {
            return Err(Refusal::Overloaded { retry_after: OVERLOADED_RETRY_AFTER });
        }
        self.order.push_back((now.after(spend.lifetime), spend.receipt));
        self.known.insert(spend.receipt);
        Ok(Outcome::Spent { first: true })
    }

    pub(super) fn sweep(&mut self, now: Moment) {
        while let Some((_, receipt)) = self.order.pop_front_if(|(expires, _)| *expires <= now) {
            self.known.remove(&receipt);
        }
    }
}
