//! The bans of one shard: those in force, those remembered, and the changes to send to the lanes.
//!
//! [`Ban`] decides how long a ban lasts.
//!
//! A network that a project's secret key reported (`client.ip`) is banned for the requests of that
//! project alone; neither other projects nor the lanes' tables learn of it. Exempt networks
//! ([`BanRules::exempts`](crate::settings::BanRules::exempts)) are never banned.
//!
//! The table is bounded ([`Capacity::bans`](crate::limits::Capacity)). A full table drops
//! remembered bans, the longest ended first. If every entry is a ban in force, a new ban is not
//! entered: the peer keeps its strikes and its windows, which refuse it at the cost of one request
//! each, and its next strike tries again. So no ban in force is ever dropped for another. Claimed
//! bans have half of the table, of which one project fills at most half ([`Claims`]), so no project
//! can prevent others' bans.

use std::collections::BTreeSet;
use std::time::Duration;

use ahash::HashMap;

use super::claims::Claims;
use crate::clock::Moment;
use crate::limits::BAN_MEMORY;
use crate::peer::{Peer, Prefix};
use crate::perimeter::ban::BanChange;
use crate::request::Source;
use crate::rules::ban::Ban;
use crate::rules::peer::PeerName;
use crate::settings::{BanRules, Settings};

/// The bans of the networks that live on one shard. Owned by it; lanes hold copies.
#[derive(Default)]
pub(crate) struct Bans {
    known: HashMap<PeerName, Ban>,
    /// All of `known`, by end.
    by_end: BTreeSet<(Moment, PeerName)>,
    claims: Claims,
    /// Changes not yet sent to the lanes. The lane takes them after every command.
    changes: Vec<BanChange>,
}

impl Bans {
    /// The end of the longest ban that applies to `peer` as reported by `source`: bans of the
    /// networks around it that rest on their own requests, or on claims of the same project. `None`
    /// if there is none.
    pub(crate) fn until(&self, peer: Peer, source: Source, now: Moment) -> Option<Moment> {
        if self.known.is_empty() {
            return None;
        }
        let end = |prefix, source| self.known.get(&PeerName { prefix, source }).map(|ban| ban.end);
        let proved = peer.prefixes().filter_map(|prefix| end(prefix, Source::Proved));
        let is_claim = source != Source::Proved && self.claims.total() > 0;
        let claimed = peer.prefixes().filter(|_| is_claim).filter_map(|prefix| end(prefix, source));
        proved.chain(claimed).max().filter(|end| *end > now)
    }

    /// Bans a network, for `span` or for the escalated default. `None` if it is exempt or the table
    /// has no room.
    pub(crate) fn ban(
        &mut self,
        name: PeerName,
        span: Option<Duration>,
        settings: &Settings,
        now: Moment,
    ) -> Option<Moment> {
        if settings.bans.exempts(name.prefix) {
            return None;
        }
        let known = self.known.get(&name).copied().filter(|ban| ban.is_remembered(now));
        if known.is_none() && !self.make_room(name.source, settings.capacity.bans, now) {
            return None;
        }
        let ban = Ban::next(known, span, &settings.bans, now);
        self.enter(name, ban);
        self.tell(name, Some(ban.end), ban.count);
        Some(ban.end)
    }

    /// Ends the bans of exactly this network, from every source. False if there was none.
    pub(crate) fn lift(&mut self, prefix: Prefix, now: Moment) -> bool {
        let proved = PeerName { prefix, source: Source::Proved };
        let names: Vec<PeerName> = match self.claims.total() {
            0 => vec![proved],
            // A full scan: only an operator waits for it.
            _ => self.known.keys().copied().filter(|name| name.prefix == prefix).collect(),
        };
        let mut was_banned = false;
        for name in names {
            let Some(ban) = self.known.get(&name).copied().filter(|ban| ban.end > now) else { continue };
            self.enter(name, Ban { end: now, ..ban });
            self.tell(name, None, ban.count);
            was_banned = true;
        }
        was_banned
    }

    /// Drops the bans of networks that have become exempt.
    pub(crate) fn lift_exempt(&mut self, rules: &BanRules) {
        let exempt: Vec<_> =
            self.by_end.iter().filter(|(_, name)| rules.exempts(name.prefix)).copied().collect();
        for (end, name) in exempt {
            self.by_end.remove(&(end, name));
            if let Some(ban) = self.drop_known(name) {
                self.tell(name, None, ban.count);
            }
        }
    }

    /// Drops bans that ended more than [`BAN_MEMORY`] ago.
    pub(crate) fn sweep(&mut self, now: Moment) {
        while let Some(&(end, _)) = self.by_end.first()
            && end.after(BAN_MEMORY) <= now
        {
            self.forget_first();
        }
    }

    pub(crate) fn take_changes(&mut self) -> Vec<BanChange> {
        std::mem::take(&mut self.changes)
    }

    /// Every ban in force that lanes must know, as changes: for a lane that has missed too many.
    pub(crate) fn all(&self, now: Moment) -> Vec<BanChange> {
        let proved = self.known.iter().filter(|(name, _)| name.source == Source::Proved);
        let change = |(name, ban): (&PeerName, &Ban)| BanChange {
            prefix: name.prefix,
            until: Some(ban.end),
            count: ban.count,
        };
        proved.filter(|(_, ban)| ban.end > now).map(change).collect()
    }

    /// Bans, live or remembered.
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// Lanes learn of bans that rest on a peer's own requests, not of claimed ones.
    fn tell(&mut self, name: PeerName, until: Option<Moment>, count: u8) {
        if name.source == Source::Proved {
            self.changes.push(BanChange { prefix: name.prefix, until, count });
        }
    }

    fn make_room(&mut self, source: Source, capacity: usize, now: Moment) -> bool {
        if let Source::Claimed(owner) = source
            && !self.claims.have_room(owner, capacity / 2)
        {
            return false;
        }
        while self.known.len() >= capacity {
            match self.by_end.first() {
                Some((end, _)) if *end <= now => self.forget_first(),
                _ => return false,
            }
        }
        true
    }

    fn enter(&mut self, name: PeerName, ban: Ban) {
        match self.known.insert(name, ban) {
            Some(before) => drop(self.by_end.remove(&(before.end, name))),
            None => self.claims.enter(name.source),
        }
        self.by_end.insert((ban.end, name));
    }

    fn forget_first(&mut self) {
        if let Some((_, name)) = self.by_end.pop_first() {
            self.drop_known(name);
        }
    }

    fn drop_known(&mut self, name: PeerName) -> Option<Ban> {
        let ban = self.known.remove(&name)?;
        self.claims.leave(name.source);
        Some(ban)
    }
}
