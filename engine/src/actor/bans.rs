//! How a ban reaches every lane.
//!
//! ```text
//!   owning shard ─▶ take_ban_changes ─▶ own BanTable
//!                         └─▶ backlog[lane] ── end of the turn, try_send ──▶ flume(16 batches) ─▶ BanTable
//!                                ▲                │ full: stays, next turn or sweep
//!                                └────────────────┘
//! ```
//!
//! Nothing is lost and nobody waits: what a lane has not been told yet stays in its backlog, which keeps the
//! newest word about each network, until its channel has taken it; each channel has one order, as all that
//! an owner has to say about a network goes through one backlog. A backlog that has grown past
//! [`BACKLOG_MAX`] (its lane stands still) is dropped for a note that all is to be told anew: then the lane
//! forgets this owner's bans and learns those that hold. So memory is bounded, too. A lane that has ended
//! needs no bans.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;

use ahash::HashMap;

use crate::clock::Moment;
use crate::limits::BAN_NEWS;
use crate::perimeter::ban::{BanChange, BanEntry, BanTable};
use crate::perimeter::peer::Prefix;
use crate::route::StartKeys;

/// Networks a lane may be behind by before it is told everything anew. 48 B each.
const BACKLOG_MAX: usize = 16 * BAN_NEWS;

/// Some of what an owner has to tell.
pub(super) struct BanNews {
    pub(super) from: usize,
    /// Whether everything this owner said before is void.
    pub(super) anew: bool,
    pub(super) changes: Vec<BanChange>,
}

/// What one lane has not been told yet.
#[derive(Default)]
struct Backlog {
    changes: HashMap<Prefix, BanChange>,
    anew: bool,
}

type Watcher = Rc<dyn Fn(Prefix)>;

/// One lane's copy of all bans, and what it owes the others about its own. Owned by the lane.
pub(super) struct LaneBans {
    index: usize,
    table: RefCell<BanTable>,
    backlogs: RefCell<Vec<Backlog>>,
    watchers: RefCell<Vec<Watcher>>,
}

impl LaneBans {
    pub(super) fn new(index: usize, lanes: usize) -> Self {
        let backlogs = RefCell::new((0..lanes).map(|_| Backlog::default()).collect());
        Self { index, table: RefCell::default(), backlogs, watchers: RefCell::default() }
    }

    pub(super) fn until(&self, address: IpAddr, now: impl FnOnce() -> Moment) -> Option<Moment> {
        let table = self.table.borrow();
        if table.is_empty() { None } else { table.until(address, now()) }
    }

    pub(super) fn len(&self) -> usize {
        self.table.borrow().len()
    }

    /// What this lane knows of exactly this network.
    pub(super) fn entry(&self, prefix: Prefix) -> Option<BanEntry> {
        self.table.borrow().entry(prefix)
    }

    pub(super) fn list(&self, now: Moment) -> Vec<BanEntry> {
        self.table.borrow().list(now)
    }

    pub(super) fn sweep(&self, now: Moment) {
        self.table.borrow_mut().sweep(now);
    }

    pub(super) fn watch(&self, watcher: Watcher) {
        self.watchers.borrow_mut().push(watcher);
    }

    /// Takes in what this lane's own shard decided, and notes it for the others.
    pub(super) fn announce(&self, changes: &[BanChange]) {
        for (target, backlog) in self.backlogs.borrow_mut().iter_mut().enumerate() {
            if target != self.index && !backlog.anew {
                backlog.changes.extend(changes.iter().map(|change| (change.prefix, *change)));
                if backlog.changes.len() > BACKLOG_MAX {
                    *backlog = Backlog { anew: true, ..Backlog::default() };
                }
            }
        }
        self.apply(changes);
    }

    /// Takes in what another lane's shard decided.
    pub(super) fn learn(&self, news: &BanNews, keys: &StartKeys) {
        let lanes = self.backlogs.borrow().len();
        if news.anew {
            let is_owners = |prefix: &Prefix| keys.prefix_route(prefix).shard(lanes) == news.from;
            self.table.borrow_mut().forget(is_owners);
        }
        self.apply(&news.changes);
    }

    /// Tells `target` what it does not know yet, as far as `send` takes it. True if something is left.
    pub(super) fn tell(
        &self,
        target: usize,
        all: impl FnOnce() -> Vec<BanChange>,
        mut send: impl FnMut(BanNews) -> Result<(), BanNews>,
    ) -> bool {
        let mut backlogs = self.backlogs.borrow_mut();
        let Some(backlog) = backlogs.get_mut(target) else { return false };
        let from = self.index;
        if backlog.anew {
            // One batch, however long: it is the only way to be whole, and it happens to a lane that stood.
            if send(BanNews { from, anew: true, changes: all() }).is_err() {
                return true;
            }
            backlog.anew = false;
        }
        while !backlog.changes.is_empty() {
            let changes: Vec<_> = backlog.changes.values().take(BAN_NEWS).copied().collect();
            let sent: Vec<_> = changes.iter().map(|change| change.prefix).collect();
            if send(BanNews { from, anew: false, changes }).is_err() {
                return true;
            }
            for prefix in sent {
                backlog.changes.remove(&prefix);
            }
        }
        false
    }

    fn apply(&self, changes: &[BanChange]) {
        let mut begun = Vec::new();
        {
            let mut table = self.table.borrow_mut();
            begun.extend(changes.iter().filter(|change| table.apply(change)).map(|change| change.prefix));
        }
        if begun.is_empty() {
            return;
        }
        // Copied, so that a watcher may ask this lane anything.
        let watchers = self.watchers.borrow().clone();
        for prefix in begun {
            watchers.iter().for_each(|watcher| watcher(prefix));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Seeded;

    const LATER: Option<Moment> = Some(Moment::from_millis(60_000));

    fn ban(n: u32, until: Option<Moment>) -> BanChange {
        let address = IpAddr::from(n.to_be_bytes());
        BanChange { prefix: address.to_string().parse().unwrap(), until, count: 1 }
    }

    fn is_banned(bans: &LaneBans, n: u32) -> bool {
        bans.until(IpAddr::from(n.to_be_bytes()), Moment::default).is_some()
    }

    /// What a channel with room does.
    fn taken(lane: &LaneBans, news: &BanNews, keys: &StartKeys) -> Result<(), BanNews> {
        lane.learn(news, keys);
        Ok(())
    }

    /// The first of `n` from which all live on shard 0 of 2.
    fn own(keys: &StartKeys) -> impl Iterator<Item = u32> {
        (1..).filter(|n| keys.prefix_route(&ban(*n, None).prefix).shard(2) == 0)
    }

    #[test]
    fn a_full_channel_loses_nothing_and_the_last_word_counts() {
        let keys = StartKeys::draw(&mut Seeded::new(1));
        let (owner, other) = (LaneBans::new(0, 2), LaneBans::new(1, 2));
        let some: Vec<u32> = own(&keys).take(3 * BAN_NEWS).collect();
        owner.announce(&some.iter().map(|&n| ban(n, LATER)).collect::<Vec<_>>());
        assert!(owner.tell(1, Vec::new, Err), "the channel is full");
        owner.announce(&[ban(some[0], None)]);
        let mut room = 2;
        let mut take_two = |news: BanNews| {
            room -= 1;
            if room < 0 {
                return Err(news);
            }
            other.learn(&news, &keys);
            Ok(())
        };
        assert!(owner.tell(1, Vec::new, &mut take_two));
        assert!(!owner.tell(1, Vec::new, |news| taken(&other, &news, &keys)));
        assert!(!is_banned(&owner, some[0]) && !is_banned(&other, some[0]));
        assert!(some[1..].iter().all(|&n| is_banned(&owner, n) && is_banned(&other, n)));
    }

    #[test]
    fn a_lane_that_stood_still_is_told_everything_anew() {
        let keys = StartKeys::draw(&mut Seeded::new(1));
        let (owner, other) = (LaneBans::new(0, 2), LaneBans::new(1, 2));
        let some: Vec<u32> = own(&keys).take(BACKLOG_MAX + 1).collect();
        owner.announce(&[ban(some[0], LATER)]);
        owner.tell(1, Vec::new, |news| taken(&other, &news, &keys));
        let foreign = (1..).find(|n| keys.prefix_route(&ban(*n, None).prefix).shard(2) == 1).unwrap();
        other.announce(&[ban(foreign, LATER)]);
        owner.announce(&[ban(some[0], None)]);
        owner.announce(&some[1..].iter().map(|&n| ban(n, LATER)).collect::<Vec<_>>());
        assert!(owner.backlogs.borrow()[1].anew, "its memory is bounded");
        let all = || vec![ban(some[7], LATER)];
        assert!(owner.tell(1, all, Err));
        assert!(!owner.tell(1, all, |news| taken(&other, &news, &keys)));
        assert!(is_banned(&other, some[7]) && !is_banned(&other, some[0]));
        assert!(is_banned(&other, foreign), "another owner's word stands");
    }
}
