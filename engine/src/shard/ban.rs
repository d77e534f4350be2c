//! Bans: how long, how often, and who remembers.
//!
//! ```text
//!              the strike that reaches `bans.strikes`, or the operator's word
//!   (none) ───────────────────────────────────────────────▶ banned #1: bans.first
//!     ▲                                                       │ end, or lifted
//!     │ 24 h after the end                                    ▼
//!     └──────────────────────────────────────────────── remembered #1
//!                                                             │ banned again within 24 h
//!                                                             ▼
//!                                                        banned #2: twice as long, up to bans.max, …
//! ```
//!
//! A banned peer is charged nothing and gets no strikes: knocking does not prolong a ban. After it, it
//! starts from strike 0. A lifted ban is remembered like one that ended. An operator's ban counts in the
//! row; on somebody who is banned already it only moves the end.
//!
//! The table is bounded ([`Capacity::bans`](crate::limits::Capacity)). A full one forgets first what is
//! only remembered, the longest ended first. If every place holds a live ban, a new one is not entered:
//! its peer keeps its strikes and meets its windows, which refuse it at the price of a request each, and
//! is tried again with its next strike. So no live ban is ever dropped for another.

use std::collections::BTreeSet;
use std::time::Duration;

use ahash::HashMap;

use super::Settings;
use crate::clock::Moment;
use crate::limits::BAN_MEMORY;
use crate::perimeter::ban::BanChange;
use crate::perimeter::peer::{Peer, Prefix};

#[derive(Clone, Copy)]
struct Ban {
    end: Moment,
    count: u8,
}

/// The bans of the networks that live on one shard. Owned by it; lanes hold copies.
#[derive(Default)]
pub(super) struct Bans {
    known: HashMap<Prefix, Ban>,
    /// All of `known` by its end.
    by_end: BTreeSet<(Moment, Prefix)>,
    /// What lanes have not been told yet. The lane takes it after every command.
    changes: Vec<BanChange>,
}

impl Bans {
    /// When the longest ban of the networks around `peer` ends; `None` if none holds.
    pub(super) fn until(&self, peer: Peer, now: Moment) -> Option<Moment> {
        if self.known.is_empty() {
            return None;
        }
        let ends = peer.prefixes().filter_map(|prefix| self.known.get(&prefix)).map(|ban| ban.end);
        ends.max().filter(|end| *end > now)
    }

    /// Bans a network, for `span` or for as long as it is its turn. `None` if there is no place.
    pub(super) fn ban(
        &mut self,
        prefix: Prefix,
        span: Option<Duration>,
        settings: &Settings,
        now: Moment,
    ) -> Option<Moment> {
        let known = self.known.get(&prefix).copied().filter(|ban| ban.end.after(BAN_MEMORY) > now);
        if known.is_none() && !self.make_room(settings.capacity.bans, now) {
            return None;
        }
        let before = known.map_or(0, |ban| ban.count);
        let count = match known {
            Some(ban) if ban.end > now => ban.count,
            _ => before.saturating_add(1),
        };
        let doubled =
            settings.bans.first.saturating_mul(2u32.saturating_pow(u32::from(count.saturating_sub(1))));
        let end = now.after(span.unwrap_or(doubled.min(settings.bans.max)));
        self.enter(prefix, Ban { end, count });
        self.changes.push(BanChange { prefix, until: Some(end), count });
        Some(end)
    }

    /// Ends the ban of exactly this network. False if there was none.
    pub(super) fn lift(&mut self, prefix: Prefix, now: Moment) -> bool {
        let Some(ban) = self.known.get(&prefix).copied().filter(|ban| ban.end > now) else { return false };
        self.enter(prefix, Ban { end: now, ..ban });
        self.changes.push(BanChange { prefix, until: None, count: ban.count });
        true
    }

    /// Forgets what ended more than a day ago.
    pub(super) fn sweep(&mut self, now: Moment) {
        while let Some(&(end, _)) = self.by_end.first()
            && end.after(BAN_MEMORY) <= now
        {
            self.forget_first();
        }
    }

    pub(super) fn take_changes(&mut self) -> Vec<BanChange> {
        std::mem::take(&mut self.changes)
    }

    /// Every ban that holds, as if it had just begun: for a lane that has missed too much.
    pub(super) fn all(&self, now: Moment) -> Vec<BanChange> {
        let change =
            |(&prefix, ban): (&Prefix, &Ban)| BanChange { prefix, until: Some(ban.end), count: ban.count };
        self.known.iter().filter(|(_, ban)| ban.end > now).map(change).collect()
    }

    /// Bans, live or remembered.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    fn make_room(&mut self, capacity: usize, now: Moment) -> bool {
        while self.known.len() >= capacity {
            match self.by_end.first() {
                Some((end, _)) if *end <= now => self.forget_first(),
                _ => return false,
            }
        }
        true
    }

    fn enter(&mut self, prefix: Prefix, ban: Ban) {
        if let Some(before) = self.known.insert(prefix, ban) {
            self.by_end.remove(&(before.end, prefix));
        }
        self.by_end.insert((ban.end, prefix));
    }

    fn forget_first(&mut self) {
        if let Some((_, prefix)) = self.by_end.pop_first() {
            self.known.remove(&prefix);
        }
    }
}
