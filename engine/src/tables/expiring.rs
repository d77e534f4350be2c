//! Tables of records with a name, an owner and an end, used for idempotency keys and spent
//! receipts.
//!
//! Each record has one place in the chunks of [`Records`] and one entry in the [`Index`], so a
//! growing table copies nothing and is never half empty. A record is dropped at its own end. Before
//! an insert is refused, ended records are swept, so waiting for the returned `retry_after` is
//! always enough.

use std::time::Duration;

use super::index::Index;
use super::records::Records;
use super::shares::Shares;
use crate::clock::Moment;
use crate::identity::Owner;
use crate::limits::SWEEP_VISITS;
use crate::request::Refusal;
use crate::route::TableKey;

/// What the table needs to know of a record.
pub(crate) trait Expiring {
    type Name: TableKey;

    fn name(&self) -> &Self::Name;
    fn owner(&self) -> Owner;
    fn expires(&self) -> Moment;
}

/// A table of one kind of record. Owned by the shard.
pub(crate) struct ExpiringTable<T> {
    records: Records<T>,
    by_name: Index,
    shares: Shares,
    due: Vec<u32>,
}

impl<T> Default for ExpiringTable<T> {
    fn default() -> Self {
        Self {
            records: Records::default(),
            by_name: Index::default(),
            shares: Shares::default(),
            due: Vec::new(),
        }
    }
}

impl<T: Expiring> ExpiringTable<T> {
    /// Records, including ended ones that were not swept yet.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn get(&self, name: &T::Name) -> Option<&T> {
        self.find(name).and_then(|at| self.records.get(at))
    }

    /// Changes a record, perhaps its end.
    pub(crate) fn change(&mut self, name: &T::Name, change: impl FnOnce(&mut T)) {
        let Some(at) = self.find(name) else { return };
        let Some(record) = self.records.get_mut(at) else { return };
        let (owner, before) = (Some(record.owner()), record.expires());
        change(record);
        let ends = record.expires();
        if ends != before {
            self.shares.give_back(owner, 1, Some(before));
            self.shares.take(owner, 1, Some(ends));
            self.records.schedule(at, ends);
        }
    }

    /// Inserts a record, replacing one of the same name, if its owner's share of `capacity`
    /// permits.
    pub(crate) fn insert(&mut self, record: T, capacity: usize, now: Moment) -> Result<(), Refusal> {
        self.remove(record.name());
        let (owner, ends) = (record.owner(), record.expires());
        if self.shares.admit(owner, 1, capacity, Duration::ZERO, now).is_err() {
            self.sweep(now);
            let admitted = self.shares.admit(owner, 1, capacity, Duration::ZERO, now);
            admitted.map_err(|retry_after| Refusal::Overloaded { retry_after })?;
        }
        let bits = record.name().table_bits();
        let at = self.records.insert(record);
        self.by_name.insert(bits, at);
        self.records.schedule(at, ends);
        self.shares.take(Some(owner), 1, Some(ends));
        Ok(())
    }

    /// Frees the place at once.
    pub(crate) fn remove(&mut self, name: &T::Name) {
        if let Some(at) = self.find(name) {
            self.forget(at);
        }
    }

    /// Drops records that ended in an earlier second.
    pub(crate) fn sweep(&mut self, now: Moment) {
        let mut due = std::mem::take(&mut self.due);
        loop {
            self.records.take_due(now, SWEEP_VISITS, &mut due);
            if due.is_empty() {
                break;
            }
            due.iter().for_each(|at| self.forget(*at));
        }
        self.due = due;
    }

    fn find(&self, name: &T::Name) -> Option<u32> {
        let is_meant = |at| self.records.get(at).is_some_and(|record| record.name() == name);
        self.by_name.find(name.table_bits(), is_meant)
    }

    fn forget(&mut self, at: u32) {
        let Some(record) = self.records.remove(at) else { return };
        self.by_name.remove(record.name().table_bits(), at);
        self.shares.give_back(Some(record.owner()), 1, Some(record.expires()));
    }
}
