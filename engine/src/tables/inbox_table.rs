//! The inbox table: the records, and two indices into them, by fingerprint and by id digest.
//!
//! The indices hold places, not keys: the keys are stored once, in the records.

use std::hint::black_box;

use super::index::Index;
use super::records::Records;
use crate::clock::Moment;
use crate::route::{IdDigest, InboxFingerprint, TableKey};
use crate::rules::inbox::InboxRecord;

/// Where each inbox and each live verification is. Owned by its shard.
#[derive(Default)]
pub(crate) struct InboxTable {
    records: Records<InboxRecord>,
    by_inbox: Index,
    by_id: Index,
}

impl InboxTable {
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Bytes of the places and both indices.
    pub(crate) fn bytes(&self) -> usize {
        self.records.bytes() + self.by_inbox.bytes() + self.by_id.bytes()
    }

    pub(crate) fn get(&self, at: u32) -> Option<&InboxRecord> {
        self.records.get(at)
    }

    pub(crate) fn get_mut(&mut self, at: u32) -> Option<&mut InboxRecord> {
        self.records.get_mut(at)
    }

    pub(crate) fn find_inbox(&self, fingerprint: &InboxFingerprint) -> Option<u32> {
        let is_meant = |at| self.records.get(at).is_some_and(|record| record.fingerprint == *fingerprint);
        self.by_inbox.find(fingerprint.table_bits(), is_meant)
    }

    pub(crate) fn find_id(&self, id: &IdDigest) -> Option<u32> {
        let is_meant = |at| self.records.get(at).is_some_and(|record| record.holds(id));
        self.by_id.find(id.table_bits(), is_meant)
    }

    /// Prefetches the index slot of an inbox; see [`crate::shard::touch`] for this and the
    /// following.
    pub(crate) fn touch_inbox(&self, fingerprint: &InboxFingerprint) -> u64 {
        self.by_inbox.touch(fingerprint.table_bits())
    }

    /// Prefetches the index slot of a verification.
    pub(crate) fn touch_id(&self, id: &IdDigest) -> u64 {
        self.by_id.touch(id.table_bits())
    }

    /// The place where this inbox probably is.
    pub(crate) fn probe_inbox(&self, fingerprint: &InboxFingerprint) -> Option<u32> {
        self.by_inbox.probe(fingerprint.table_bits())
    }

    /// The place of the inbox that probably holds this verification.
    pub(crate) fn probe_id(&self, id: &IdDigest) -> Option<u32> {
        self.by_id.probe(id.table_bits())
    }

    /// Prefetches the places of the next `inboxes` inserts.
    pub(crate) fn touch_free(&self, inboxes: usize) -> u64 {
        self.records.touch_free(inboxes)
    }

    /// Prefetches the records at these places, then their verifications. The sum has no meaning.
    pub(crate) fn touch(&self, places: &[u32]) -> u64 {
        let near = places.iter().fold(0, |sum, &at| sum ^ self.records.touch(at));
        places.iter().filter_map(|&at| self.get(at)).fold(near, |sum, record| sum ^ record.touch())
    }

    /// Inserts a record. The caller knows that its inbox has none.
    pub(crate) fn insert(&mut self, record: InboxRecord) -> u32 {
        let bits = record.fingerprint.table_bits();
        let at = self.records.insert(record);
        self.by_inbox.insert(bits, at);
        at
    }

    pub(crate) fn insert_id(&mut self, id: &IdDigest, at: u32) {
        self.by_id.insert(id.table_bits(), at);
    }

    /// Forgets the id of a verification that was in the record at `at`.
    pub(crate) fn remove_id(&mut self, id: &IdDigest, at: u32) {
        self.by_id.remove(id.table_bits(), at);
    }

    /// Removes an inbox. Its verifications must have been removed before.
    pub(crate) fn remove(&mut self, at: u32) {
        if let Some(record) = self.records.remove(at) {
            self.by_inbox.remove(record.fingerprint.table_bits(), at);
        }
    }

    /// Schedules a visit of the record at `at`, unless an earlier one is planned.
    pub(crate) fn schedule_by(&mut self, at: u32, due: Moment) {
        self.records.schedule_by(at, due);
    }

    /// The next inboxes that are due, at most `most`, with everything prefetched that may be
    /// removed.
    pub(crate) fn take_due(&mut self, now: Moment, most: usize, due: &mut Vec<u32>) {
        self.records.take_due(now, most, due);
        let records = due.iter().filter_map(|&at| self.get(at));
        let slots = records.fold(0, |sum, record| {
            let ids = record.first_id().map_or(0, |id| self.touch_id(id));
            sum ^ ids ^ self.touch_inbox(&record.fingerprint)
        });
        black_box(slots);
    }
}
