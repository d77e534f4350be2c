//! The inbox table: the records and two indices into them, by fingerprint and by id digest.
//!
//! The indices hold places, not keys: the keys stand in the records, once. An entry of the id index has
//! 32 bits of the digest beside the place, so that a table of millions finds its way without looking into
//! each record on the path; which verification is meant, the record decides.

use hashbrown::HashTable;

use super::inbox::InboxRecord;
use super::records::Records;
use crate::clock::Moment;
use crate::route::{Digest128, Fingerprint};

/// Where each inbox and each live verification is. Owned by its shard.
#[derive(Default)]
pub(super) struct InboxTable {
    records: Records<InboxRecord>,
    by_inbox: HashTable<u32>,
    by_id: HashTable<IdEntry>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct IdEntry {
    tag: u32,
    at: u32,
}

impl IdEntry {
    fn new(id: &Digest128, at: u32) -> Self {
        Self { tag: id.table_bits() as u32, at }
    }

    /// A table needs the low and the high bits to be spread; the tag's are keyed already.
    fn bits(&self) -> u64 {
        u64::from(self.tag).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

impl InboxTable {
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn get(&self, at: u32) -> Option<&InboxRecord> {
        self.records.get(at)
    }

    pub(super) fn get_mut(&mut self, at: u32) -> Option<&mut InboxRecord> {
        self.records.get_mut(at)
    }

    pub(super) fn find_inbox(&self, fingerprint: &Fingerprint) -> Option<u32> {
        let same = |at: &u32| self.records.get(*at).is_some_and(|r| r.fingerprint == *fingerprint);
        self.by_inbox.find(fingerprint.table_bits(), same).copied()
    }

    pub(super) fn find_id(&self, id: &Digest128) -> Option<u32> {
        let meant = IdEntry::new(id, 0);
        let same = |entry: &IdEntry| {
            entry.tag == meant.tag && self.records.get(entry.at).is_some_and(|record| record.holds(id))
        };
        self.by_id.find(meant.bits(), same).map(|entry| entry.at)
    }

    /// Where this inbox probably is; see [`super::touch`].
    pub(super) fn probe_inbox(&self, fingerprint: &Fingerprint) -> Option<u32> {
        self.by_inbox.find(fingerprint.table_bits(), |_| true).copied()
    }

    /// Where the verification with this id probably is.
    pub(super) fn probe_id(&self, id: &Digest128) -> Option<u32> {
        let meant = IdEntry::new(id, 0);
        self.by_id.find(meant.bits(), |entry| entry.tag == meant.tag).map(|entry| entry.at)
    }

    /// Looks at the records at these places, then at what deciding about them leads to: their verifications,
    /// their entries in the index, their neighbours in the lists. The sum is worth nothing.
    pub(super) fn touch(&self, places: &[u32]) -> u64 {
        let near = places.iter().fold(0, |sum, &at| sum ^ self.records.touch(at));
        let around = places.iter().filter_map(|&at| {
            let record = self.records.get(at)?;
            let entry = self.by_inbox.find(record.fingerprint.table_bits(), |other| *other == at);
            Some(record.touch() ^ u64::from(*entry?) ^ self.records.touch_neighbours(at))
        });
        near ^ around.fold(0, |sum, word| sum ^ word)
    }

    pub(super) fn find_or_insert(
        &mut self,
        fingerprint: &Fingerprint,
        new: impl FnOnce(Fingerprint) -> InboxRecord,
    ) -> u32 {
        if let Some(at) = self.find_inbox(fingerprint) {
            return at;
        }
        let at = self.records.insert(new(*fingerprint));
        let records = &self.records;
        let bits = |at: &u32| records.get(*at).map_or(0, |record| record.fingerprint.table_bits());
        self.by_inbox.insert_unique(fingerprint.table_bits(), at, bits);
        at
    }

    pub(super) fn insert_id(&mut self, id: &Digest128, at: u32) {
        let entry = IdEntry::new(id, at);
        self.by_id.insert_unique(entry.bits(), entry, IdEntry::bits);
    }

    /// Forgets the id of a verification that was in the record at `at`.
    pub(super) fn remove_id(&mut self, id: &Digest128, at: u32) {
        let meant = IdEntry::new(id, at);
        if let Ok(mut entry) = self.by_id.find_entry(meant.bits(), |other| *other == meant) {
            // Wiped first: a removed entry's bytes stay in the table until the place is used again.
            entry.get_mut().tag = 0;
            entry.remove();
        }
    }

    /// Forgets an inbox. Its verifications must be gone already.
    pub(super) fn remove(&mut self, at: u32) {
        let Some(record) = self.records.remove(at) else { return };
        if let Ok(entry) = self.by_inbox.find_entry(record.fingerprint.table_bits(), |other| *other == at) {
            entry.remove();
        }
    }

    /// Asks for a visit of the record at `at`, unless an earlier one is planned.
    pub(super) fn schedule_by(&mut self, at: u32, due: Moment) {
        self.records.schedule_by(at, due);
    }

    /// The next inbox to look at again.
    pub(super) fn next_due(&mut self, now: Moment) -> Option<u32> {
        self.records.next_due(now)
    }
}
