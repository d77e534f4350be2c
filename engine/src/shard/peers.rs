//! The peer table: who is charged, and who is forgotten when there is no place.
//!
//! ```text
//!   charge(peer) ── banned? ──▶ for each network around it: find or make a record ─▶ windows, strikes
//!                                                                │ full
//!                                                                ▼
//!                                      of the next few places, forget the record with the fewest
//!                                      requests, never one with strikes
//! ```
//!
//! Noise can't launder strikes: a million other prefixes push each other out, since each of them has made
//! fewer requests than whoever is near a limit, and records with strikes are not touched at all. If a walk
//! over [`EVICTION_LOOKS_MAX`] places finds nothing but strikes, or the logs have used up their memory,
//! the newcomer can't be counted: its issues, which cost a mail, are refused with 503, and all else goes
//! uncounted; what protects an inbox does not depend on peers.

use std::hint::black_box;

use ahash::RandomState;

use super::ban::Bans;
use super::index::Index;
use super::peer::{PeerRecord, RecordCharge};
use super::records::Records;
use super::rules::Rules;
use super::touch::DUE_AT_ONCE;
use crate::clock::Moment;
use crate::limits::{EVICTION_LOOKS, EVICTION_LOOKS_MAX, OVERLOADED_RETRY_AFTER};
use crate::perimeter::peer::{Peer, Prefix};
use crate::request::{Activity, Charge, Charged, Policy, Quotas, Refusal};

/// The networks that live on one shard. Owned by it.
#[derive(Default)]
pub(super) struct PeerTable {
    records: Records<PeerRecord>,
    by_prefix: Index,
    hash: RandomState,
    /// Bytes of all records' logs and strikes.
    heap_bytes: usize,
    /// Where the next walk for a place begins.
    hand: u32,
    /// What a sweep visits next; kept, so that it allocates nothing.
    due: Vec<u32>,
}

impl PeerTable {
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.heap_bytes
    }

    /// Counts one request in the windows of all networks around the peer.
    pub(super) fn charge(&mut self, charge: &Charge, bans: &mut Bans, rules: &Rules, now: Moment) -> Charged {
        let Charge { peer, activity, mode } = *charge;
        if let Some(until) = bans.until(peer, now) {
            let refusal = Some(Refusal::Banned { retry_after: until.since(now) });
            return Charged { refusal, quotas: Quotas::default(), at: now };
        }
        if rules.peer(activity).is_empty() {
            return Charged { refusal: None, quotas: Quotas::default(), at: now };
        }
        let (mut is_refused, mut is_counted) = (false, false);
        let (mut banned, mut quotas) = (None, None::<Quotas>);
        for prefix in peer.prefixes() {
            let Some(charged) = self.charge_one(prefix, charge, rules, now) else { continue };
            let RecordCharge { is_refused: here, is_out, quotas: left } = charged;
            is_counted |= prefix == peer.unit();
            is_refused |= here;
            match &mut quotas {
                Some(least) => least.lower_to(&left),
                None => quotas = Some(left),
            }
            if is_out && let Some(until) = bans.ban(prefix, None, &rules.settings, now) {
                self.clear_strikes(prefix);
                banned = banned.max(Some(until));
            }
        }
        // A network that has counted what another refused may be full now, and is waited for too.
        let wait = || {
            let records = peer.prefixes().filter_map(|prefix| self.records.get(self.find(&prefix)?));
            records.filter_map(|record| record.wait(activity, mode, rules, now)).max()
        };
        let refusal = match (banned, is_refused.then(wait).flatten()) {
            (Some(until), _) => Some(Refusal::Banned { retry_after: until.since(now) }),
            (None, Some(wait)) => {
                Some(Refusal::RateLimited { policy: Policy::Peer, retry_after: wait.into() })
            }
            (None, None) if !is_counted && activity == Activity::Issue => {
                Some(Refusal::Overloaded { retry_after: OVERLOADED_RETRY_AFTER })
            }
            (None, None) => None,
        };
        Charged { refusal, quotas: quotas.unwrap_or_default(), at: now }
    }

    pub(super) fn clear_strikes(&mut self, prefix: Prefix) {
        if let Some(record) = self.find(&prefix).and_then(|at| self.records.get_mut(at)) {
            let before = record.heap_bytes();
            record.clear_strikes();
            self.heap_bytes = self.heap_bytes + record.heap_bytes() - before;
        }
    }

    /// Visits networks whose time has come. Returns how many, at most `visits`.
    pub(super) fn sweep(&mut self, rules: &Rules, now: Moment, visits: usize) -> usize {
        let (mut visited, mut due) = (0, std::mem::take(&mut self.due));
        while visited < visits {
            self.records.take_due(now, DUE_AT_ONCE.min(visits - visited), &mut due);
            if due.is_empty() {
                break;
            }
            visited += due.len();
            let records = due.iter().filter_map(|&at| self.records.get(at));
            black_box(records.fold(0, |sum, record| {
                sum ^ record.touch() ^ self.by_prefix.touch(self.hash.hash_one(record.prefix))
            }));
            for &at in &due {
                self.prune(at, rules, now);
            }
        }
        self.due = due;
        visited
    }

    /// Counts one request in the windows of one network, whose record is made if need be. `None` if there is no
    /// place for it.
    fn charge_one(
        &mut self,
        prefix: Prefix,
        charge: &Charge,
        rules: &Rules,
        now: Moment,
    ) -> Option<RecordCharge> {
        let Charge { activity, mode, .. } = *charge;
        if self.heap_bytes >= rules.settings.capacity.peer_log_bytes {
            self.make_room(rules, now);
            if self.heap_bytes >= rules.settings.capacity.peer_log_bytes {
                return None;
            }
        }
        let at = match self.find(&prefix) {
            Some(at) => at,
            None => self.insert(prefix, rules, now)?,
        };
        let record = self.records.get_mut(at)?;
        let before = record.heap_bytes_of(activity, mode);
        let charged = record.charge(activity, mode, rules, now);
        self.heap_bytes = self.heap_bytes + record.heap_bytes_of(activity, mode) - before;
        // What was counted now ends later than what was counted before: one visit will see it all, or
        // tell when to come again.
        self.records.schedule_once(at, now.plus(rules.peer(activity).limits().longest()));
        Some(charged)
    }

    /// Looks at the slots of the networks around a peer; see [`super::touch`] for this and what follows.
    pub(super) fn touch_slots(&self, peer: Peer) -> u64 {
        peer.prefixes().fold(0, |sum, prefix| sum ^ self.by_prefix.touch(self.hash.hash_one(prefix)))
    }

    /// Where the records of these networks probably are.
    pub(super) fn probe(&self, peer: Peer) -> impl Iterator<Item = u32> {
        peer.prefixes().filter_map(|prefix| self.by_prefix.probe(self.hash.hash_one(prefix)))
    }

    /// Looks at the places of so many networks to come.
    pub(super) fn touch_free(&self, networks: usize) -> u64 {
        self.records.touch_free(networks)
    }

    /// Looks at the records at these places. The sum is worth nothing.
    pub(super) fn touch(&self, places: &[u32]) -> u64 {
        let near = places.iter().fold(0, |sum, &at| sum ^ self.records.touch(at));
        let records = places.iter().filter_map(|&at| self.records.get(at));
        records.fold(near, |sum, record| sum ^ record.touch())
    }

    fn find(&self, prefix: &Prefix) -> Option<u32> {
        let is_meant = |at| self.records.get(at).is_some_and(|record| record.prefix == *prefix);
        self.by_prefix.find(self.hash.hash_one(prefix), is_meant)
    }

    fn insert(&mut self, prefix: Prefix, rules: &Rules, now: Moment) -> Option<u32> {
        if self.records.len() >= rules.settings.capacity.peers && !self.make_room(rules, now) {
            return None;
        }
        let at = self.records.insert(PeerRecord::new(prefix));
        self.by_prefix.insert(self.hash.hash_one(prefix), at);
        Some(at)
    }

    /// Forgets one record, the lightest of the next few without strikes. False if there is none.
    fn make_room(&mut self, rules: &Rules, now: Moment) -> bool {
        let mut lightest: Option<(usize, u32)> = None;
        for look in 0..EVICTION_LOOKS_MAX {
            if look >= EVICTION_LOOKS && lightest.is_some() {
                break;
            }
            let at = self.hand % self.records.places().max(1);
            self.hand = at + 1;
            if self.records.get(at).is_none() {
                continue;
            }
            if !self.prune(at, rules, now) {
                return true;
            }
            if let Some(record) = self.records.get(at).filter(|record| !record.has_strikes()) {
                let candidate = (record.weight(), at);
                lightest = Some(lightest.map_or(candidate, |best| best.min(candidate)));
            }
        }
        lightest.is_some_and(|(_, at)| {
            self.remove(at);
            true
        })
    }

    /// Forgets what no window sees any more, and the record if that was all. True if it stays.
    fn prune(&mut self, at: u32, rules: &Rules, now: Moment) -> bool {
        let Some(record) = self.records.get_mut(at) else { return false };
        let before = record.heap_bytes();
        let end = record.prune(rules, now);
        self.heap_bytes = self.heap_bytes + record.heap_bytes() - before;
        match end {
            Some(end) => self.records.schedule(at, end),
            None => self.remove(at),
        }
        end.is_some()
    }

    fn remove(&mut self, at: u32) {
        let Some(record) = self.records.remove(at) else { return };
        self.heap_bytes -= record.heap_bytes();
        self.by_prefix.remove(self.hash.hash_one(record.prefix), at);
    }
}
