//! The bans as every lane knows them: a copy that is consulted for each datagram.
//!
//! ```text
//!   owning shard ── BanChange ──▶ every lane's BanTable ◀── until(address)   before QUIC, before TLS
//! ```
//!
//! The peer's shard decides (`tables/bans.rs`); this table is only a copy. While there are no bans,
//! a look-up is one comparison; otherwise it is one probe of a keyed hash table for IPv4 and at
//! most three for IPv6. An expired ban does not apply, whether or not it has been swept.

use std::net::IpAddr;

use ahash::HashMap;

use crate::clock::Moment;
use crate::peer::{Peer, Prefix};

/// A change of one network's ban, announced by its owning shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BanChange {
    /// The network.
    pub prefix: Prefix,
    /// The end of its ban; `None` if it was lifted.
    pub until: Option<Moment>,
    /// The ban's number in a sequence in which each ban began within a day of the last one's end;
    /// from 1.
    pub count: u8,
}

/// One ban, for the operator's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BanEntry {
    /// The banned network.
    pub prefix: Prefix,
    /// When the ban ends.
    pub until: Moment,
    /// See [`BanChange::count`].
    pub count: u8,
}

/// The effect of a change on one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is banned now and was not before.
    Begins,
    /// It stays banned for at least as long as before, or stays not banned.
    Stays,
    /// It is, or will be, admitted sooner than before.
    Eases,
}

/// All bans, of all shards. Owned by one lane.
#[derive(Default)]
pub struct BanTable {
    bans: HashMap<Prefix, (Moment, u8)>,
    /// No ban ends before this, so no sweep is needed until then.
    first_end: Moment,
}

impl BanTable {
    /// Whether there are no bans.
    pub fn is_empty(&self) -> bool {
        self.bans.is_empty()
    }

    /// Bans in force, and those that have ended since the last sweep.
    pub fn len(&self) -> usize {
        self.bans.len()
    }

    /// The ban of exactly this network, in force or ended.
    pub fn entry(&self, prefix: Prefix) -> Option<BanEntry> {
        self.bans.get(&prefix).map(|&(until, count)| BanEntry { prefix, until, count })
    }

    /// When the longest ban that covers `address` ends; `None` if none does.
    pub fn until(&self, address: IpAddr, now: Moment) -> Option<Moment> {
        self.covering(address, now).map(|(_, until)| until)
    }

    /// The ban that covers `address` and ends last, with its end.
    pub fn covering(&self, address: IpAddr, now: Moment) -> Option<(Prefix, Moment)> {
        if self.bans.is_empty() {
            return None;
        }
        let end = |prefix| self.bans.get(&prefix).map(|&(until, _)| (prefix, until));
        let bans = Peer::from(address).prefixes().filter_map(end);
        bans.max_by_key(|(_, until)| *until).filter(|(_, until)| *until > now)
    }

    /// Applies a change announced by the owning shard.
    pub fn apply(&mut self, change: &BanChange, now: Moment) -> Effect {
        let before = match change.until {
            None => self.bans.remove(&change.prefix),
            Some(until) => {
                self.first_end = if self.bans.is_empty() { until } else { self.first_end.min(until) };
                self.bans.insert(change.prefix, (until, change.count))
            }
        };
        // An ended ban does not count, even if it has not been swept yet.
        let ends = |until: Option<Moment>| until.filter(|until| *until > now);
        match (ends(before.map(|(until, _)| until)), ends(change.until)) {
            (None, Some(_)) => Effect::Begins,
            (before, after) if after < before => Effect::Eases,
            _ => Effect::Stays,
        }
    }

    /// Drops the bans that `meant` selects, before their owner sends all of its bans again.
    pub(crate) fn forget(&mut self, meant: impl Fn(&Prefix) -> bool) {
        self.bans.retain(|prefix, _| !meant(prefix));
    }

    /// Frees bans that have ended. True if there were any.
    pub fn sweep(&mut self, now: Moment) -> bool {
        if self.bans.is_empty() || self.first_end > now {
            return false;
        }
        let before = self.bans.len();
        self.bans.retain(|_, (until, _)| *until > now);
        self.first_end = self.bans.values().map(|(until, _)| *until).min().unwrap_or_default();
        let freed = self.bans.len() < before;
        self.bans.shrink_to(2 * self.bans.len());
        freed
    }

    /// The bans in force at `now`, in no particular order.
    pub fn list(&self, now: Moment) -> Vec<BanEntry> {
        let entry = |(&prefix, &(until, count)): (&Prefix, &(Moment, u8))| BanEntry { prefix, until, count };
        self.bans.iter().map(entry).filter(|entry| entry.until > now).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ban(text: &str, second: u64) -> BanChange {
        let until = Some(Moment::from_millis(second * 1_000));
        BanChange { prefix: text.parse().unwrap(), until, count: 1 }
    }

    fn until(table: &BanTable, address: &str, second: u64) -> Option<u64> {
        let now = Moment::from_millis(second * 1_000);
        table.until(address.parse().unwrap(), now).map(|until| until.as_millis() / 1_000)
    }

    #[test]
    fn a_ban_covers_its_network_until_it_ends() {
        let mut table = BanTable::default();
        assert!(table.is_empty() && until(&table, "1.2.3.4", 0).is_none());
        let mut apply = |text, second| table.apply(&ban(text, second), Moment::default());
        assert_eq!(apply("1.2.3.4", 100), Effect::Begins);
        assert_eq!(apply("2001:db8:1::/48", 50), Effect::Begins);
        assert_eq!(apply("2001:db8:1:2::/64", 200), Effect::Begins);
        assert_eq!(apply("1.2.3.4", 120), Effect::Stays, "was banned before");
        assert_eq!(until(&table, "::ffff:1.2.3.4", 0), Some(120));
        assert_eq!(until(&table, "1.2.3.5", 0), None);
        assert_eq!(until(&table, "2001:db8:1:2::9", 10), Some(200), "the longer of two");
        assert_eq!(until(&table, "2001:db8:1:3::9", 49), Some(50));
        assert_eq!(until(&table, "2001:db8:1:3::9", 50), None, "ended, swept or not");
        assert_eq!(table.list(Moment::from_millis(50_000)).len(), 2);
        assert!(table.sweep(Moment::from_millis(120_000)));
        assert!(table.bans.len() == 1 && !table.sweep(Moment::from_millis(120_000)));
        table.apply(&BanChange { until: None, ..ban("2001:db8:1:2::/64", 0) }, Moment::default());
        assert!(table.is_empty());
    }

    #[test]
    fn a_change_says_whether_a_ban_begins_or_somebody_is_heard_sooner() {
        let mut table = BanTable::default();
        let mut apply = |until: Option<u64>, second: u64| {
            let change =
                BanChange { until: until.map(|s| Moment::from_millis(s * 1_000)), ..ban("1.2.3.4", 0) };
            table.apply(&change, Moment::from_millis(second * 1_000))
        };
        assert_eq!(apply(None, 0), Effect::Stays, "nobody to lift");
        assert_eq!(apply(Some(100), 0), Effect::Begins);
        assert_eq!(apply(Some(120), 10), Effect::Stays);
        assert_eq!(apply(Some(110), 10), Effect::Eases, "shortened");
        assert_eq!(apply(Some(300), 110), Effect::Begins, "the last one has ended, swept or not");
        assert_eq!(apply(None, 111), Effect::Eases);
    }
}
