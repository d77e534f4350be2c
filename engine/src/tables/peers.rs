//! The peer table: charges peers, and evicts records when it is full.
//!
//! ```text
//!   charge(peer) ── banned? ──▶ for each network around it: find or make a record ─▶ windows, strikes
//!                                                                │ full
//!                                                                ▼
//!                                      of the next few places, evict the record with the fewest requests;
//!                                      one with strikes last, and its strikes go to `forgotten`
//! ```
//!
//! Newcomers are never refused: there is always a record to evict. Filling the table can't erase
//! strikes: a million other prefixes evict each other, since each has made fewer requests than a
//! peer near a limit, and strikes outlive their record.
//!
//! What a project's secret keys report about others (`client.ip`) is kept in separate records,
//! which apply to that project only. One project fills at most half of the places ([`Claims`]).
//! Beyond its share, a claim replaces another one of the same project; if none is found soon, it is
//! not counted. All claims together have half of the memory for logs.
//!
//! If the logs have used up their memory, records are evicted in the same way. The search continues
//! where the last one stopped, [`EVICTION_LOOKS_MAX`] places per charge, so it reaches every record
//! soon. Until it has found one, logs replace their oldest request by the new one, and no request
//! is refused for lack of memory.

use std::hint::black_box;

use ahash::RandomState;

use super::claims::Claims;
use super::forgotten::ForgottenStrikes;
use super::index::Index;
use super::records::Records;
use crate::clock::Moment;
use crate::limits::{DUE_AT_ONCE, EVICTION_LOOKS, EVICTION_LOOKS_MAX};
use crate::request::{Charge, Charged, Policy, Quotas, Refusal, Source};
use crate::rules::Rules;
use crate::rules::peer::{PeerName, PeerRecord, RecordCharge, Request, Weight};
use crate::tables::bans::Bans;

/// The networks that live on one shard. Owned by it.
#[derive(Default)]
pub(crate) struct PeerTable {
    records: Records<PeerRecord>,
    by_name: Index,
    hash: RandomState,
    claims: Claims,
    forgotten: ForgottenStrikes,
    /// Bytes of all records' logs and strikes.
    heap_bytes: usize,
    /// Bytes of claimed records' logs and strikes.
    claimed_heap_bytes: usize,
    /// Where the next search for a place begins.
    hand: u32,
    /// The records a sweep visits next; kept, so that it allocates nothing.
    due: Vec<u32>,
}

impl PeerTable {
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Bytes of the logs.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.heap_bytes
    }

    /// Bytes of the table of evicted strikes.
    pub(crate) fn forgotten_bytes(&self) -> usize {
        self.forgotten.bytes()
    }

    /// Counts one request in the windows of all networks around the peer.
    pub(crate) fn charge(&mut self, charge: &Charge, bans: &mut Bans, rules: &Rules, now: Moment) -> Charged {
        let Charge { peer, source, activity, mode, .. } = *charge;
        if let Some(until) = bans.until(peer, source, now) {
            let refusal = Some(Refusal::Banned { retry_after: until.since(now) });
            return Charged { refusal, quotas: Quotas::default(), at: now };
        }
        if rules.peer(activity).is_empty() {
            return Charged { refusal: None, quotas: Quotas::default(), at: now };
        }
        let (mut is_refused, mut banned, mut quotas) = (false, None, None::<Quotas>);
        for prefix in peer.prefixes() {
            let name = PeerName { prefix, source };
            let Some(charged) = self.charge_one(name, charge, rules, now) else { continue };
            let RecordCharge { is_refused: here, is_out, quotas: left } = charged;
            is_refused |= here;
            match &mut quotas {
                Some(least) => least.lower_to(&left),
                None => quotas = Some(left),
            }
            if is_out && let Some(until) = bans.ban(name, None, &rules.settings, now) {
                self.clear_strikes(name, rules, now);
                banned = banned.max(Some(until));
            }
        }
        // A network that counted a request which another network refused may be full now, so its
        // wait counts too.
        let wait = || {
            let names = peer.prefixes().map(|prefix| PeerName { prefix, source });
            let records = names.filter_map(|name| self.records.get(self.find(&name)?));
            records.filter_map(|record| record.wait(activity, mode, rules, now)).max()
        };
        let refusal = match (banned, is_refused.then(wait).flatten()) {
            (Some(until), _) => Some(Refusal::Banned { retry_after: until.since(now) }),
            (None, Some(wait)) => {
                Some(Refusal::RateLimited { policy: Policy::Peer, retry_after: wait.into() })
            }
            (None, None) => None,
        };
        Charged { refusal, quotas: quotas.unwrap_or_default(), at: now }
    }

    /// Clears the strikes of exactly this network, whether it has a record or not.
    pub(crate) fn clear_strikes(&mut self, name: PeerName, rules: &Rules, now: Moment) {
        match self.find(&name) {
            None => drop(self.forgotten.take(self.hash.hash_one(name), rules.strikes.limits(), now)),
            Some(at) => {
                self.change(at, PeerRecord::heap_bytes, PeerRecord::clear_strikes);
            }
        }
    }

    /// Visits networks that are due. Returns how many, at most `visits`.
    pub(crate) fn sweep(&mut self, rules: &Rules, now: Moment, visits: usize) -> usize {
        let (mut visited, mut due) = (0, std::mem::take(&mut self.due));
        while visited < visits {
            self.records.take_due(now, DUE_AT_ONCE.min(visits - visited), &mut due);
            if due.is_empty() {
                break;
            }
            visited += due.len();
            let records = due.iter().filter_map(|&at| self.records.get(at));
            black_box(records.fold(0, |sum, record| {
                sum ^ record.touch() ^ self.by_name.touch(self.hash.hash_one(record.name))
            }));
            for &at in &due {
                self.prune(at, rules, now);
            }
        }
        self.due = due;
        visited
    }

    /// Counts one request in the windows of one network, creating its record if needed. `None` if
    /// there is no place, which happens to claims only.
    fn charge_one(
        &mut self,
        name: PeerName,
        charge: &Charge,
        rules: &Rules,
        now: Moment,
    ) -> Option<RecordCharge> {
        let Charge { activity, mode, strikes, .. } = *charge;
        if self.is_out_of_memory(name.source, rules) {
            self.free_memory(name.source, rules, now);
        }
        let at = match self.find(&name) {
            Some(at) => at,
            None => self.insert(name, rules, now)?,
        };
        let may_grow = !self.is_out_of_memory(name.source, rules);
        let request = Request { activity, mode, strikes, may_grow };
        let bytes = |record: &PeerRecord| record.heap_bytes_of(activity, mode);
        let charged = self.change(at, bytes, |record| record.charge(request, rules, now))?;
        // This request leaves its window later than those counted before. A single visit then frees
        // everything, or schedules the next one.
        self.records.schedule_once(at, now.plus(rules.peer(activity).limits().longest()));
        Some(charged)
    }

    /// Prefetches the index slots of the networks around a peer; see [`crate::shard::touch`] for
    /// this and the following.
    pub(crate) fn touch_slots(&self, charge: &Charge) -> u64 {
        self.hashes(charge).fold(0, |sum, hash| sum ^ self.by_name.touch(hash))
    }

    /// The places where the records of these networks probably are.
    pub(crate) fn probe(&self, charge: &Charge) -> impl Iterator<Item = u32> {
        self.hashes(charge).filter_map(|hash| self.by_name.probe(hash))
    }

    /// Prefetches the places of the next `networks` inserts.
    pub(crate) fn touch_free(&self, networks: usize) -> u64 {
        self.records.touch_free(networks)
    }

    /// Prefetches the records at these places. The sum has no meaning.
    pub(crate) fn touch(&self, places: &[u32]) -> u64 {
        let near = places.iter().fold(0, |sum, &at| sum ^ self.records.touch(at));
        let records = places.iter().filter_map(|&at| self.records.get(at));
        records.fold(near, |sum, record| sum ^ record.touch())
    }

    fn hashes(&self, charge: &Charge) -> impl Iterator<Item = u64> {
        let Charge { peer, source, .. } = *charge;
        peer.prefixes().map(move |prefix| self.hash.hash_one(PeerName { prefix, source }))
    }

    fn find(&self, name: &PeerName) -> Option<u32> {
        let is_meant = |at| self.records.get(at).is_some_and(|record| record.name == *name);
        self.by_name.find(self.hash.hash_one(name), is_meant)
    }

    fn insert(&mut self, name: PeerName, rules: &Rules, now: Moment) -> Option<u32> {
        let capacity = rules.settings.capacity.peers;
        match name.source {
            Source::Claimed(owner) if !self.claims.have_room(owner, capacity) => {
                self.make_room(|record| record.name.source == name.source, rules, now)?;
            }
            // In a full table, each place holds a record.
            _ if self.records.len() >= capacity => self.make_room(|_| true, rules, now)?,
            _ => {}
        }
        let hash = self.hash.hash_one(name);
        let rule = rules.strikes.limits();
        let record = PeerRecord::new(name, self.forgotten.take(hash, rule, now), rule);
        self.account(name.source, 0, record.heap_bytes());
        let at = self.records.insert(record);
        self.by_name.insert(hash, at);
        self.claims.enter(name.source);
        Some(at)
    }

    /// The next place to examine.
    fn next_place(&mut self) -> u32 {
        let at = self.hand % self.records.places().max(1);
        self.hand = at + 1;
        at
    }

    /// Evicts a record that `may_go` accepts: the one with the least weight among the next few
    /// places, or among some more if those hold none or only records with strikes. `None` if none
    /// was found.
    fn make_room(&mut self, may_go: impl Fn(&PeerRecord) -> bool, rules: &Rules, now: Moment) -> Option<()> {
        let mut lightest: Option<(Weight, u32)> = None;
        for look in 0..EVICTION_LOOKS_MAX {
            if look >= EVICTION_LOOKS && lightest.is_some_and(|((has_strikes, _), _)| !has_strikes) {
                break;
            }
            let at = self.next_place();
            if !self.records.get(at).is_some_and(&may_go) {
                continue;
            }
            if !self.prune(at, rules, now) {
                return Some(());
            }
            lightest = self.lighter(lightest, at);
        }
        lightest.map(|(_, at)| self.forget(at, rules, now))
    }

    fn lighter(&self, lightest: Option<(Weight, u32)>, at: u32) -> Option<(Weight, u32)> {
        let candidate = self.records.get(at).map(|record| (record.weight(), at));
        lightest.into_iter().chain(candidate).min()
    }

    /// Whether records of this source may take no more heap memory.
    fn is_out_of_memory(&self, source: Source, rules: &Rules) -> bool {
        let most = rules.settings.capacity.peer_log_bytes;
        match source {
            Source::Proved => self.heap_bytes >= most,
            Source::Claimed(_) => self.claimed_heap_bytes >= most / 2 || self.heap_bytes >= most,
        }
    }

    /// Evicts the record with heap memory of the least weight out of each few places, until there
    /// is enough memory or the search limit is reached. A claim evicts only other claims.
    fn free_memory(&mut self, source: Source, rules: &Rules, now: Moment) {
        for _ in 0..EVICTION_LOOKS_MAX / EVICTION_LOOKS {
            let mut lightest = None;
            for _ in 0..EVICTION_LOOKS {
                let at = self.next_place();
                if !self.prune(at, rules, now) {
                    continue;
                }
                let may_go = |record: &PeerRecord| {
                    let is_claim = record.name.source != Source::Proved;
                    record.heap_bytes() > 0 && (is_claim || source == Source::Proved)
                };
                if self.records.get(at).is_some_and(may_go) {
                    lightest = self.lighter(lightest, at);
                }
            }
            if let Some((_, at)) = lightest {
                self.forget(at, rules, now);
            }
            if !self.is_out_of_memory(source, rules) {
                return;
            }
        }
    }

    /// Evicts a record but keeps its strikes, unless they rest on a project's claims: no project
    /// shall push out what is known about other peers.
    fn forget(&mut self, at: u32, rules: &Rules, now: Moment) {
        if let Some(record) = self.records.get(at)
            && record.name.source == Source::Proved
            && let Some(strikes) = record.strikes(rules, now)
        {
            let (hash, capacity) = (self.hash.hash_one(record.name), rules.settings.capacity.forgotten);
            self.forgotten.keep(hash, &strikes, capacity, rules.strikes.limits(), now);
        }
        self.remove(at);
    }

    /// Drops what is outside every window, and the record if that was all. True if it stays.
    fn prune(&mut self, at: u32, rules: &Rules, now: Moment) -> bool {
        match self.change(at, PeerRecord::heap_bytes, |record| record.prune(rules, now)) {
            None => return false,
            Some(Some(end)) => self.records.schedule(at, end),
            Some(None) => {
                self.remove(at);
                return false;
            }
        }
        true
    }

    fn remove(&mut self, at: u32) {
        let Some(record) = self.records.remove(at) else { return };
        self.account(record.name.source, record.heap_bytes(), 0);
        self.claims.leave(record.name.source);
        self.by_name.remove(self.hash.hash_one(record.name), at);
    }

    /// Changes a record, and accounts for the difference in its `bytes`.
    fn change<T>(
        &mut self,
        at: u32,
        bytes: impl Fn(&PeerRecord) -> usize,
        change: impl FnOnce(&mut PeerRecord) -> T,
    ) -> Option<T> {
        let record = self.records.get_mut(at)?;
        let before = bytes(record);
        let changed = change(record);
        let (source, after) = (record.name.source, bytes(record));
        self.account(source, before, after);
        Some(changed)
    }

    fn account(&mut self, source: Source, before: usize, after: usize) {
        self.heap_bytes = self.heap_bytes + after - before;
        if source != Source::Proved {
            self.claimed_heap_bytes = self.claimed_heap_bytes + after - before;
        }
    }
}
