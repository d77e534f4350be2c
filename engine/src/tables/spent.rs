//! Receipts that were introspected: each is `active` once, then never again.

use super::expiring::{Expiring, ExpiringTable};
use crate::clock::Moment;
use crate::identity::Owner;
use crate::request::{Outcome, Refusal, Spend};
use crate::route::ReceiptDigest;

struct Spent {
    receipt: ReceiptDigest,
    owner: Owner,
    expires: Moment,
}

impl Expiring for Spent {
    type Name = ReceiptDigest;

    fn name(&self) -> &ReceiptDigest {
        &self.receipt
    }

    fn owner(&self) -> Owner {
        self.owner
    }

    fn expires(&self) -> Moment {
        self.expires
    }
}

/// The introspected receipts of one shard, until they expire by themselves. Owned by it.
#[derive(Default)]
pub(crate) struct SpentReceipts(ExpiringTable<Spent>);

impl SpentReceipts {
    /// Records, those that expired and were not swept yet included.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Marks a receipt, if its owner's share of `capacity` records allows another one.
    pub(crate) fn spend(&mut self, now: Moment, spend: &Spend, capacity: usize) -> Result<Outcome, Refusal> {
        // One that has expired by itself is no receipt any more, whatever is said of it.
        if self.0.get(&spend.receipt).is_some() {
            return Ok(Outcome::Spent { first: false });
        }
        let (receipt, owner, expires) = (spend.receipt, spend.owner, now.after(spend.lifetime));
        self.0.insert(Spent { receipt, owner, expires }, capacity, now)?;
        Ok(Outcome::Spent { first: true })
    }

    pub(crate) fn sweep(&mut self, now: Moment) {
        self.0.sweep(now);
    }
}
