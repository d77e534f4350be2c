//! The inbox table: a slab of records and two indices into it, by fingerprint and by id digest.
//!
//! The indices hold slab places, not keys: the keys stand in the records, once.

use hashbrown::HashTable;

use super::inbox::InboxRecord;
use crate::route::{Digest128, Fingerprint};

/// Where each inbox and each live verification is. Owned by its shard.
#[derive(Default)]
pub(super) struct InboxTable {
    records: Vec<Option<InboxRecord>>,
    free: Vec<u32>,
    by_inbox: HashTable<u32>,
    by_id: HashTable<(Digest128, u32)>,
}

impl InboxTable {
    pub(super) fn len(&self) -> usize {
        self.by_inbox.len()
    }

    pub(super) fn get(&self, at: u32) -> Option<&InboxRecord> {
        self.records.get(at as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, at: u32) -> Option<&mut InboxRecord> {
        self.records.get_mut(at as usize)?.as_mut()
    }

    pub(super) fn find_inbox(&self, fingerprint: &Fingerprint) -> Option<u32> {
        let records = &self.records;
        let same = |at: &u32| is_of(records, *at, fingerprint);
        self.by_inbox.find(fingerprint.table_bits(), same).copied()
    }

    pub(super) fn find_id(&self, id: &Digest128) -> Option<u32> {
        self.by_id.find(id.table_bits(), |(other, _)| other == id).map(|(_, at)| *at)
    }

    pub(super) fn find_or_insert(
        &mut self,
        fingerprint: &Fingerprint,
        new: impl FnOnce(Fingerprint) -> InboxRecord,
    ) -> u32 {
        if let Some(at) = self.find_inbox(fingerprint) {
            return at;
        }
        let record = Some(new(*fingerprint));
        let at = match self.free.pop() {
            Some(at) => {
                self.records[at as usize] = record;
                at
            }
            None => {
                self.records.push(record);
                (self.records.len() - 1) as u32
            }
        };
        let records = &self.records;
        let bits = |at: &u32| records[*at as usize].as_ref().map_or(0, |r| r.fingerprint.table_bits());
        self.by_inbox.insert_unique(fingerprint.table_bits(), at, bits);
        at
    }

    pub(super) fn insert_id(&mut self, id: Digest128, at: u32) {
        self.by_id.insert_unique(id.table_bits(), (id, at), |(id, _)| id.table_bits());
    }

    pub(super) fn remove_id(&mut self, id: &Digest128) {
        if let Ok(mut entry) = self.by_id.find_entry(id.table_bits(), |(other, _)| other == id) {
            // Wiped first: a removed entry's bytes stay in the table until the place is used again.
            entry.get_mut().0 = Digest128::default();
            entry.remove();
        }
    }

    /// Forgets an inbox. Its verifications must be gone already.
    pub(super) fn remove(&mut self, at: u32) {
        let Some(record) = self.records.get_mut(at as usize).and_then(Option::take) else { return };
        let bits = record.fingerprint.table_bits();
        if let Ok(entry) = self.by_inbox.find_entry(bits, |other| *other == at) {
            entry.remove();
        }
        self.free.push(at);
    }
}

fn is_of(records: &[Option<InboxRecord>], at: u32, fingerprint: &Fingerprint) -> bool {
    records.get(at as usize).and_then(Option::as_ref).is_some_and(|r| r.fingerprint == *fingerprint)
}
