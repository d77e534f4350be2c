//! Shares of a bounded table: no project can fill what all share.
//!
//! ```text
//!   a place for `owner` ── is what it holds at most what is free? ── yes ──▶ taken
//!                                                                 └─ no  ──▶ refused, until enough of its own ends
//! ```
//!
//! This is the dynamic threshold that switches use for shared buffers (Choudhury and Hahne, IEEE/ACM Transactions
//! on Networking 6 (2), 1998, with α = 1). One owner alone fills half of a table, two a third each, *n* of them
//! leave 1/(*n* + 1) free: whoever comes next finds room, and nothing is set aside while it is not needed.
//! An owner is a project in live or test mode.
//!
//! The wait that a refusal tells is the time in which enough of what the owner holds will have ended by itself.
//! Ends are kept in steps of [`STEP_MILLIS`], so the wait is up to that much longer than it has to be.

use std::time::Duration;

use ahash::HashMap;

use crate::clock::Moment;
use crate::limits::OVERLOADED_RETRY_AFTER;
use crate::request::Owner;

/// How exactly ends are known. Codes, claims and receipts live 600 s at most, so 61 steps are in use at once.
const STEP_MILLIS: u64 = 10_000;
const STEPS: usize = 64;

/// What one owner holds. 280 B; there are as many as projects have something live here, times two modes.
struct Holding {
    held: usize,
    /// Of it, what ends by itself in each step.
    ends: [u32; STEPS],
}

/// Who holds how much of one table. Owned by the table.
#[derive(Default)]
pub(super) struct Shares {
    holdings: HashMap<Owner, Holding>,
    total: usize,
}

impl Shares {
    /// Whether `owner` may take `need` more of a table of `capacity`; if not, how long it has to wait.
    pub(super) fn admit(
        &self,
        owner: Owner,
        need: usize,
        capacity: usize,
        now: Moment,
    ) -> Result<(), Duration> {
        let free = capacity.saturating_sub(self.total);
        let holding = self.holdings.get(&owner);
        let held = holding.map_or(0, |holding| holding.held);
        if held <= free && need <= free {
            return Ok(());
        }
        // What ends becomes free as well, so half of the excess suffices.
        let excess = held.saturating_sub(free).div_ceil(2).max(need.saturating_sub(free));
        Err(holding.map_or(OVERLOADED_RETRY_AFTER, |holding| holding.wait(excess, now)))
    }

    /// Notes that `owner` holds so much more; `ends` is when it gives it back by itself.
    pub(super) fn take(&mut self, owner: Owner, amount: usize, ends: Option<Moment>) {
        if amount == 0 {
            return;
        }
        let empty = || Holding { held: 0, ends: [0; STEPS] };
        let holding = self.holdings.entry(owner).or_insert_with(empty);
        holding.held += amount;
        if let Some(place) = ends.and_then(|ends| holding.ends.get_mut(step(ends))) {
            *place = place.saturating_add(amount as u32);
        }
        self.total += amount;
    }

    /// Takes back what [`Shares::take`] noted, with the same arguments.
    pub(super) fn give_back(&mut self, owner: Owner, amount: usize, ends: Option<Moment>) {
        let Some(holding) = self.holdings.get_mut(&owner) else { return };
        holding.held = holding.held.saturating_sub(amount);
        if let Some(place) = ends.and_then(|ends| holding.ends.get_mut(step(ends))) {
            *place = place.saturating_sub(amount as u32);
        }
        self.total = self.total.saturating_sub(amount);
        if holding.held == 0 {
            self.holdings.remove(&owner);
        }
    }
}

impl Holding {
    /// When at least `amount` of it will have ended by itself.
    fn wait(&self, amount: usize, now: Moment) -> Duration {
        let mut ended = 0;
        for ahead in 0..STEPS as u64 {
            let end = (now.as_millis() / STEP_MILLIS + ahead + 1).saturating_mul(STEP_MILLIS);
            ended += self.ends[step(Moment::from_millis(end - 1))] as usize;
            if ended >= amount {
                return Moment::from_millis(end).since(now);
            }
        }
        Duration::from_millis(STEP_MILLIS * STEPS as u64)
    }
}

fn step(end: Moment) -> usize {
    (end.as_millis() / STEP_MILLIS) as usize % STEPS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perimeter::api_key::Mode;
    use crate::request::ProjectId;
    use crate::testing::Seeded;

    fn owner(project: u32) -> Owner {
        Owner { project: ProjectId(project), mode: Mode::Live }
    }

    fn fill(shares: &mut Shares, project: u32, capacity: usize) -> usize {
        let end = Moment::from_millis(300_000);
        (0..)
            .take_while(|_| {
                let admitted = shares.admit(owner(project), 1, capacity, Moment::default()).is_ok();
                if admitted {
                    shares.take(owner(project), 1, Some(end));
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
        assert!(shares.total < 1_000 && fill(&mut shares, 99, 1_000) > 0);
        assert_eq!(fill(&mut shares, 0, 1_000), 0, "who holds more than is free gets no more");
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
                        shares.give_back(of, amount, Some(Moment::from_millis(end)));
                    }
                    !ended
                });
                let (of, amount) = (owner(random.below(3) as u32), 1 + random.below(3) as usize);
                let at = Moment::from_millis(now);
                match shares.admit(of, amount, 40, at) {
                    Ok(()) => {
                        let end = now + 1 + random.below(600_000);
                        shares.take(of, amount, Some(Moment::from_millis(end)));
                        live.push((of, amount, end));
                    }
                    Err(wait) => {
                        let then = at.after(wait);
                        let held = |of: Option<Owner>| -> usize {
                            let stay = live.iter().filter(|(_, _, end)| Moment::from_millis(*end) > then);
                            stay.filter(|(owner, ..)| of.is_none_or(|of| of == *owner)).map(|l| l.1).sum()
                        };
                        let (own, free) = (held(Some(of)), 40 - held(None));
                        let holds_nothing = !shares.holdings.contains_key(&of);
                        assert!(
                            (own <= free && amount <= free) || holds_nothing,
                            "seed {seed}: {own}, {free}"
                        );
                    }
                }
                assert_eq!(shares.total, live.iter().map(|l| l.1).sum::<usize>());
            }
        }
    }

    #[test]
    fn nothing_is_kept_of_an_owner_that_holds_nothing() {
        let mut shares = Shares::default();
        shares.take(owner(1), 3, None);
        shares.take(owner(1), 2, Some(Moment::from_millis(7)));
        shares.give_back(owner(1), 2, Some(Moment::from_millis(7)));
        shares.give_back(owner(1), 3, None);
        assert!(shares.holdings.is_empty() && shares.total == 0);
    }
}
