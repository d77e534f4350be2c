//! Shares of a bounded table: no project can fill a table that all share.
//!
//! ```text
//!   `owner` needs a place ── does it hold at most what is free? ── yes ──▶ taken
//!                                                               └─ no  ──▶ refused, until enough has ended
//! ```
//!
//! This is the dynamic threshold that switches use for shared buffers (Choudhury and Hahne,
//! IEEE/ACM Transactions on Networking 6 (2), 1998, with α = 1). One owner alone fills half of a
//! table, two a third each, *n* of them leave 1/(*n* + 1) free: a new owner always finds room, and
//! nothing is reserved while it is not needed. An owner is a project in live or test mode.
//!
//! The wait returned with a refusal is the time until enough has ended by itself, of this owner's
//! and of all. Ends are kept in steps of [`STEP_MILLIS`], so the wait is too long by at most that.
//! For holdings without an end of their own, such as the memory of an inbox, the wait is the
//! longest time they may last.

use std::time::Duration;

use ahash::HashMap;

use crate::clock::Moment;
use crate::identity::Owner;

/// Resolution of the ends. Codes, idempotency keys and receipts live at most 600 s, so at most 61
/// steps are in use.
const STEP_MILLIS: u64 = 10_000;
const STEPS: usize = 64;

/// What one owner, or all together, hold. 264 B; there is one per project and mode that ever had
/// something here: operators create projects, callers can't.
struct Holding {
    held: usize,
    /// The part of it that ends by itself in each step.
    ends: [u32; STEPS],
}

/// How much of one table each owner holds. Owned by the table.
#[derive(Default)]
pub(crate) struct Shares {
    holdings: Vec<(Owner, Holding)>,
    places: HashMap<Owner, usize>,
    /// The owner found last, which is mostly the next one too.
    last: usize,
    all: Holding,
}

impl Shares {
    /// Whether `owner` may take `need` more of a table of `capacity`; if not, how long it has to
    /// wait. `lasting` is the longest time for which something without an end may be held.
    pub(crate) fn admit(
        &mut self,
        owner: Owner,
        need: usize,
        capacity: usize,
        lasting: Duration,
        now: Moment,
    ) -> Result<(), Duration> {
        let own = self.find(owner).and_then(|at| self.holdings.get(at)).map(|(_, holding)| holding);
        let (mut held, mut left) = (own.map_or(0, |own| own.held), self.all.held);
        let fits = |held: usize, left: usize| {
            let free = capacity.saturating_sub(left);
            held <= free && need <= free
        };
        if fits(held, left) {
            return Ok(());
        }
        for ahead in 0..STEPS as u64 {
            let end = (now.as_millis() / STEP_MILLIS + ahead + 1).saturating_mul(STEP_MILLIS);
            let step = step(Moment::from_millis(end - 1));
            held = held.saturating_sub(own.map_or(0, |own| own.ends[step] as usize));
            left = left.saturating_sub(self.all.ends[step] as usize);
            if fits(held, left) {
                return Err(Moment::from_millis(end).since(now));
            }
        }
        Err(lasting.max(Duration::from_millis(STEP_MILLIS * STEPS as u64)))
    }

    /// What all owners hold.
    pub(crate) fn total(&self) -> usize {
        self.all.held
    }

    /// Records that `owner` holds `amount` more; `ends` is when it ends by itself. With `None` as
    /// owner, it only counts as not free.
    pub(crate) fn take(&mut self, owner: Option<Owner>, amount: usize, ends: Option<Moment>) {
        if amount == 0 {
            return;
        }
        self.all.add(amount, ends);
        if let Some(owner) = owner {
            let at = self.find(owner).unwrap_or_else(|| self.enter(owner));
            self.holdings[at].1.add(amount, ends);
        }
    }

    /// Undoes [`Shares::take`] with the same arguments.
    pub(crate) fn give_back(&mut self, owner: Option<Owner>, amount: usize, ends: Option<Moment>) {
        self.all.remove(amount, ends);
        if let Some(at) = owner.and_then(|owner| self.find(owner)) {
            self.holdings[at].1.remove(amount, ends);
        }
    }

    /// Changes what `owner` holds from `before` to `after`, without an end.
    pub(crate) fn shift(&mut self, owner: Option<Owner>, before: usize, after: usize) {
        if after > before {
            self.take(owner, after - before, None);
        } else if before > after {
            self.give_back(owner, before - after, None);
        }
    }

    fn find(&mut self, owner: Owner) -> Option<usize> {
        if self.holdings.get(self.last).is_none_or(|(of, _)| *of != owner) {
            self.last = *self.places.get(&owner)?;
        }
        Some(self.last)
    }

    fn enter(&mut self, owner: Owner) -> usize {
        self.last = self.holdings.len();
        self.places.insert(owner, self.last);
        self.holdings.push((owner, Holding::default()));
        self.last
    }
}

impl Default for Holding {
    fn default() -> Self {
        Self { held: 0, ends: [0; STEPS] }
    }
}

impl Holding {
    fn add(&mut self, amount: usize, ends: Option<Moment>) {
        self.held += amount;
        if let Some(place) = ends.and_then(|ends| self.ends.get_mut(step(ends))) {
            *place = place.saturating_add(amount as u32);
        }
    }

    fn remove(&mut self, amount: usize, ends: Option<Moment>) {
        self.held = self.held.saturating_sub(amount);
        if let Some(place) = ends.and_then(|ends| self.ends.get_mut(step(ends))) {
            *place = place.saturating_sub(amount as u32);
        }
    }
}

fn step(end: Moment) -> usize {
    (end.as_millis() / STEP_MILLIS) as usize % STEPS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Mode, ProjectId};
    use crate::testing::Seeded;

    fn owner(project: u32) -> Owner {
        Owner { project: ProjectId(project), mode: Mode::Live }
    }

    fn fill(shares: &mut Shares, project: u32, capacity: usize) -> usize {
        let end = Moment::from_millis(300_000);
        (0..)
            .take_while(|_| {
                let admitted =
                    shares.admit(owner(project), 1, capacity, Duration::ZERO, Moment::default()).is_ok();
                if admitted {
                    shares.take(Some(owner(project)), 1, Some(end));
                }
                admitted
            })
            .count()
    }

    #[test]
    fn one_owner_fills_half_and_any_number_leave_room() {
        let mut shares = Shares::default();
        assert_eq!(fill(&mut shares, 0, 1_000), 501);
        assert_eq!(fill(&mut shares, 1, 1_000), 250);
        for greedy in 2..8 {
            fill(&mut shares, greedy, 1_000);
        }
        assert!(shares.all.held < 1_000 && fill(&mut shares, 99, 1_000) > 0);
        assert_eq!(fill(&mut shares, 0, 1_000), 0, "an owner that holds more than is free gets no more");
    }

    #[test]
    fn waiting_as_long_as_told_is_enough() {
        for seed in 0..300 {
            let mut random = Seeded::new(seed);
            let (mut shares, mut live, mut now) = (Shares::default(), Vec::new(), 0);
            for _ in 0..400 {
                now += random.below(6_000);
                live.retain(|&(of, amount, end): &(Owner, usize, u64)| {
                    let ended = end <= now;
                    if ended {
                        shares.give_back(Some(of), amount, Some(Moment::from_millis(end)));
                    }
                    !ended
                });
                let (of, amount) = (owner(random.below(3) as u32), 1 + random.below(3) as usize);
                let at = Moment::from_millis(now);
                match shares.admit(of, amount, 40, Duration::ZERO, at) {
                    Ok(()) => {
                        let end = now + 1 + random.below(600_000);
                        shares.take(Some(of), amount, Some(Moment::from_millis(end)));
                        live.push((of, amount, end));
                    }
                    Err(wait) => {
                        let fits = |then: u64| {
                            let stay = || live.iter().filter(|(_, _, end)| *end > then);
                            let own: usize = stay().filter(|(owner, ..)| *owner == of).map(|l| l.1).sum();
                            let free = 40 - stay().map(|l| l.1).sum::<usize>();
                            own <= free && amount <= free
                        };
                        let then = at.after(wait).as_millis();
                        assert!(fits(then), "seed {seed}: {wait:?} is not enough");
                        assert!(!fits(then.saturating_sub(10_001)), "seed {seed}: a step less is enough");
                    }
                }
                assert_eq!(shares.all.held, live.iter().map(|l| l.1).sum::<usize>());
            }
        }
    }

    #[test]
    fn what_was_given_back_is_held_by_nobody() {
        let mut shares = Shares::default();
        let end = Some(Moment::from_millis(7));
        shares.take(Some(owner(1)), 3, None);
        shares.take(Some(owner(1)), 2, end);
        shares.give_back(Some(owner(1)), 2, end);
        shares.give_back(Some(owner(1)), 3, None);
        assert!(shares.all.held == 0 && shares.holdings.iter().all(|(_, holding)| holding.held == 0));
        assert!(shares.all.ends.iter().all(|ends| *ends == 0));
    }

    #[test]
    fn what_is_nobodys_is_not_free_and_what_has_no_end_is_told_with_the_longest() {
        let (mut shares, day) = (Shares::default(), Duration::from_secs(86_400));
        shares.take(None, 60, None);
        shares.take(Some(owner(1)), 40, None);
        let ask = |shares: &mut Shares, need| shares.admit(owner(2), need, 100, day, Moment::default());
        assert_eq!(ask(&mut shares, 1), Err(day));
        shares.give_back(None, 1, None);
        assert_eq!((ask(&mut shares, 1), ask(&mut shares, 2)), (Ok(()), Err(day)));
        assert!(shares.holdings.len() == 1);
    }
}
