//! Spent receipts: each is `active` at its first introspection, then never again.

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

/// The spent receipts of one shard, until they expire. Owned by it.
#[derive(Default)]
pub(crate) struct SpentReceipts(ExpiringTable<Spent>);

impl SpentReceipts {
    /// Records, including expired ones that were not swept yet.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Marks a receipt as spent, if its owner's share of `capacity` permits.
    pub(crate) fn spend(&mut self, now: Moment, spend: &Spend, capacity: usize) -> Result<Outcome, Refusal> {
        // An expired receipt is invalid anyway, so the answer for it does not matter.
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
