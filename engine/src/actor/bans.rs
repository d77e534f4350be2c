//! How a ban reaches every lane.
//!
//! ```text
//!   owning shard ─▶ take_ban_changes ─▶ own BanTable
//!                         └─▶ backlog[lane] ── end of the turn, try_send ──▶ flume(16 batches) ─▶ BanTable
//!                                ▲                │ full: stays, next turn or sweep
//!                                └────────────────┘
//! ```
//!
//! No change is lost and no lane waits. A change stays in the backlog of each target lane, which
//! keeps the newest change per network, until the channel accepts it. Changes stay in order, since
//! all changes of one network go from its owner through one backlog and one channel. If a backlog
//! exceeds [`BACKLOG_MAX`] (its lane is stuck), it is replaced by a flag to resend everything: the
//! lane then forgets this owner's bans and receives those in force. So memory is bounded, too. A
//! lane that has ended needs no bans.
//!
//! Code that keeps something besides the table (connections to close, a filter in the kernel)
//! registers a watcher, which is called after every change, in the same turn.

use std::cell::{Ref, RefCell};
use std::net::IpAddr;
use std::rc::Rc;

use ahash::HashMap;

use crate::clock::Moment;
use crate::limits::BAN_NEWS;
use crate::peer::Prefix;
use crate::perimeter::ban::{BanChange, BanEntry, BanTable, Effect};
use crate::route::StartKeys;

/// Networks a lane may be behind by before all bans are resent. 48 B each.
const BACKLOG_MAX: usize = 16 * BAN_NEWS;

/// A batch of ban changes from their owner.
pub(super) struct BanNews {
    pub(super) from: usize,
    /// Whether this replaces everything this owner sent before.
    pub(super) anew: bool,
    pub(super) changes: Vec<BanChange>,
}

/// The changes not yet sent to one lane.
#[derive(Default)]
struct Backlog {
    changes: HashMap<Prefix, BanChange>,
    anew: bool,
}

type Watcher = Rc<dyn Fn(Prefix)>;
type ChangeWatcher = Rc<dyn Fn(bool)>;

/// The bans at one moment.
pub struct BansNow<'a> {
    table: Ref<'a, BanTable>,
    now: Moment,
}

impl BansNow<'_> {
    /// The network whose ban covers `address`; if there are several, the one whose ban lasts
    /// longest.
    pub fn covering(&self, address: IpAddr) -> Option<Prefix> {
        self.table.covering(address, self.now).map(|(prefix, _)| prefix)
    }
}

/// One lane's copy of all bans, and the changes of its own bans to send to the others. Owned by the
/// lane.
pub(super) struct LaneBans {
    index: usize,
    table: RefCell<BanTable>,
    backlogs: RefCell<Vec<Backlog>>,
    watchers: RefCell<Vec<Watcher>>,
    change_watchers: RefCell<Vec<ChangeWatcher>>,
}

impl LaneBans {
    pub(super) fn new(index: usize, lanes: usize) -> Self {
        let backlogs = RefCell::new((0..lanes).map(|_| Backlog::default()).collect());
        let (table, watchers, change_watchers) = Default::default();
        Self { index, table, backlogs, watchers, change_watchers }
    }

    pub(super) fn until(&self, address: IpAddr, now: impl FnOnce() -> Moment) -> Option<Moment> {
        let table = self.table.borrow();
        if table.is_empty() { None } else { table.until(address, now()) }
    }

    pub(super) fn at(&self, now: Moment) -> Option<BansNow<'_>> {
        let table = self.table.borrow();
        if table.is_empty() { None } else { Some(BansNow { table, now }) }
    }

    pub(super) fn len(&self) -> usize {
        self.table.borrow().len()
    }

    /// What this lane knows about exactly this network.
    pub(super) fn entry(&self, prefix: Prefix) -> Option<BanEntry> {
        self.table.borrow().entry(prefix)
    }

    pub(super) fn list(&self, now: Moment) -> Vec<BanEntry> {
        self.table.borrow().list(now)
    }

    pub(super) fn sweep(&self, now: Moment) {
        let freed = self.table.borrow_mut().sweep(now);
        if freed {
            self.changed(true);
        }
    }

    pub(super) fn watch(&self, watcher: Watcher) {
        self.watchers.borrow_mut().push(watcher);
    }

    pub(super) fn watch_changes(&self, watcher: ChangeWatcher) {
        self.change_watchers.borrow_mut().push(watcher);
    }

    /// Applies what this lane's own shard decided, and queues it for the others.
    pub(super) fn announce(&self, changes: &[BanChange], now: Moment) {
        for (target, backlog) in self.backlogs.borrow_mut().iter_mut().enumerate() {
            if target != self.index && !backlog.anew {
                backlog.changes.extend(changes.iter().map(|change| (change.prefix, *change)));
                if backlog.changes.len() > BACKLOG_MAX {
                    *backlog = Backlog { anew: true, ..Backlog::default() };
                }
            }
        }
        self.apply(changes, now, false);
    }

    /// Applies what another lane's shard decided.
    pub(super) fn learn(&self, news: &BanNews, keys: &StartKeys, now: Moment) {
        let lanes = self.backlogs.borrow().len();
        if news.anew {
            let is_owners = |prefix: &Prefix| keys.prefix_route(prefix).shard(lanes) == news.from;
            self.table.borrow_mut().forget(is_owners);
        }
        self.apply(&news.changes, now, news.anew);
    }

    /// Sends `target` the changes it does not have yet, until `send` refuses. True if some are
    /// left.
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
            // One batch of any length, so that the copy is complete; this is rare, since the lane
            // was stuck.
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

    /// `eased`: whether a network may be admitted sooner already.
    fn apply(&self, changes: &[BanChange], now: Moment, mut eased: bool) {
        let mut begun = Vec::new();
        {
            let mut table = self.table.borrow_mut();
            for change in changes {
                match table.apply(change, now) {
                    Effect::Begins => begun.push(change.prefix),
                    Effect::Eases => eased = true,
                    Effect::Stays => {}
                }
            }
        }
        // Cloned, so that a watcher may call any method of this lane.
        let watchers = self.watchers.borrow().clone();
        for prefix in begun {
            watchers.iter().for_each(|watcher| watcher(prefix));
        }
        self.changed(eased);
    }

    fn changed(&self, eased: bool) {
        let watchers = self.change_watchers.borrow().clone();
        watchers.iter().for_each(|watcher| watcher(eased));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Seeded;

    const NOW: Moment = Moment::from_millis(0);
    const LATER: Option<Moment> = Some(Moment::from_millis(60_000));

    fn ban(n: u32, until: Option<Moment>) -> BanChange {
        let address = IpAddr::from(n.to_be_bytes());
        BanChange { prefix: address.to_string().parse().unwrap(), until, count: 1 }
    }

    fn is_banned(bans: &LaneBans, n: u32) -> bool {
        bans.until(IpAddr::from(n.to_be_bytes()), Moment::default).is_some()
    }

    /// The values of `n` whose network lives on shard 0 of 2.
    fn own(keys: &StartKeys) -> impl Iterator<Item = u32> {
        (1..).filter(|n| keys.prefix_route(&ban(*n, None).prefix).shard(2) == 0)
    }

    /// A `send` that always has room.
    fn told(lane: &LaneBans, keys: &StartKeys) -> impl FnMut(BanNews) -> Result<(), BanNews> {
        |news| {
            lane.learn(&news, keys, NOW);
            Ok(())
        }
    }

    #[test]
    fn a_full_channel_loses_nothing_and_the_last_word_counts() {
        let keys = StartKeys::draw(&mut Seeded::new(1));
        let (owner, other) = (LaneBans::new(0, 2), LaneBans::new(1, 2));
        let some: Vec<u32> = own(&keys).take(3 * BAN_NEWS).collect();
        owner.announce(&some.iter().map(|&n| ban(n, LATER)).collect::<Vec<_>>(), NOW);
        assert!(owner.tell(1, Vec::new, Err), "the channel is full");
        owner.announce(&[ban(some[0], None)], NOW);
        let mut room = 2;
        let mut take_two = |news: BanNews| {
            room -= 1;
            if room < 0 {
                return Err(news);
            }
            other.learn(&news, &keys, NOW);
            Ok(())
        };
        assert!(owner.tell(1, Vec::new, &mut take_two));
        assert!(!owner.tell(1, Vec::new, told(&other, &keys)));
        assert!(!is_banned(&owner, some[0]) && !is_banned(&other, some[0]));
        assert!(some[1..].iter().all(|&n| is_banned(&owner, n) && is_banned(&other, n)));
    }

    #[test]
    fn a_lane_that_stood_still_is_told_everything_anew() {
        let keys = StartKeys::draw(&mut Seeded::new(1));
        let (owner, other) = (LaneBans::new(0, 2), LaneBans::new(1, 2));
        let some: Vec<u32> = own(&keys).take(BACKLOG_MAX + 1).collect();
        owner.announce(&[ban(some[0], LATER)], NOW);
        owner.tell(1, Vec::new, told(&other, &keys));
        let foreign = (1..).find(|n| keys.prefix_route(&ban(*n, None).prefix).shard(2) == 1).unwrap();
        other.announce(&[ban(foreign, LATER)], NOW);
        owner.announce(&[ban(some[0], None)], NOW);
        owner.announce(&some[1..].iter().map(|&n| ban(n, LATER)).collect::<Vec<_>>(), NOW);
        assert!(owner.backlogs.borrow()[1].anew, "its memory is bounded");
        let all = || vec![ban(some[7], LATER)];
        assert!(owner.tell(1, all, Err));
        assert!(!owner.tell(1, all, told(&other, &keys)));
        assert!(is_banned(&other, some[7]) && !is_banned(&other, some[0]));
        assert!(is_banned(&other, foreign), "another owner's ban still holds");
    }

    #[test]
    fn watchers_are_told_of_every_change_and_whether_it_lets_somebody_in() {
        let keys = StartKeys::draw(&mut Seeded::new(1));
        let lane = Rc::new(LaneBans::new(0, 2));
        let told = Rc::new(RefCell::new(Vec::new()));
        let (seen, tell) = (lane.clone(), told.clone());
        // A watcher may ask the lane anything, and finds the change made.
        lane.watch_changes(Rc::new(move |eased| tell.borrow_mut().push((eased, seen.len()))));
        let heard = || told.borrow_mut().drain(..).collect::<Vec<_>>();
        lane.announce(&[ban(1, LATER), ban(2, LATER)], NOW);
        assert_eq!(heard(), [(false, 2)]);
        lane.announce(&[ban(1, None)], NOW);
        assert_eq!(heard(), [(true, 1)], "lifted");
        lane.announce(&[ban(2, Some(Moment::from_millis(500)))], NOW);
        assert_eq!(heard(), [(true, 1)], "shortened");
        lane.sweep(Moment::from_millis(499));
        assert_eq!(heard(), [], "nothing has ended");
        lane.sweep(Moment::from_millis(500));
        assert_eq!(heard(), [(true, 0)]);
        let mut news = BanNews { from: 1, anew: false, changes: vec![ban(3, LATER)] };
        lane.learn(&news, &keys, NOW);
        assert_eq!(heard(), [(false, 1)]);
        news.anew = true;
        lane.learn(&news, &keys, NOW);
        assert_eq!(heard(), [(true, 1)], "forgotten for a moment");
    }

    #[test]
    fn a_ban_that_follows_an_ended_one_begins_again() {
        let lane = LaneBans::new(0, 1);
        let begun = Rc::new(RefCell::new(0));
        let count = begun.clone();
        lane.watch(Rc::new(move |_| *count.borrow_mut() += 1));
        for (until, at, in_all) in [(500, 0, 1), (600, 100, 1), (900, 600, 2)] {
            lane.announce(&[ban(1, Some(Moment::from_millis(until)))], Moment::from_millis(at));
            assert_eq!(*begun.borrow(), in_all);
        }
    }
}
