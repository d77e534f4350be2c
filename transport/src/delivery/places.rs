//! A pool of places shared by projects: each may hold at most as many as remain free.
//!
//! A single project can take half of the places, a second one a third of the rest while both hold
//! theirs, and so on; there is always room for one more project. A place is released when dropped.
//! The pool is a free counter and one counter per project, each changed by one atomic operation:
//! lanes neither lock nor wait.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use authepy_engine::identity::ProjectId;

use crate::limits::PROJECTS;

/// Number of per-project counters, 4 B each. There are more than projects ([`PROJECTS`]), and the
/// store numbers projects consecutively, so two share a counter (and an allowance) only if
/// thousands were deleted in between.
const COUNTERS: usize = 16_384;
const _: () = assert!(COUNTERS > PROJECTS as usize);

/// The owner of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Holder {
    /// A project, for all its keys. (Test keys send no mail, so there is one mode.)
    Project(ProjectId),
    /// The service's own alerts.
    Service,
}

impl Holder {
    fn counter(self) -> usize {
        match self {
            Self::Project(ProjectId(number)) => number as usize % COUNTERS,
            Self::Service => COUNTERS,
        }
    }
}

/// Whether a holder may have `held` places when `free` would remain: at most as many as remain
/// free. A holder's first place is always allowed.
pub(super) fn may_hold(held: usize, free: usize, is_first: bool) -> bool {
    is_first || held <= free
}

/// See the module documentation. Shared by all lanes and the delivery thread.
pub(super) struct Places {
    total: usize,
    free: AtomicUsize,
    held: Box<[AtomicU32]>,
}

impl Places {
    pub(super) fn new(total: usize) -> Self {
        let held = (0..=COUNTERS).map(|_| AtomicU32::new(0)).collect();
        Self { total, free: AtomicUsize::new(total), held }
    }

    /// Takes `count` places for `holder`, or none.
    pub(super) fn take(&self, holder: Holder, count: usize) -> bool {
        let Ok(more) = u32::try_from(count) else { return false };
        let counter = &self.held[holder.counter()];
        // Counted first, so that two lanes asking at the same time see each other's request.
        let before = counter.fetch_add(more, Ordering::Relaxed) as usize;
        let take = |free: usize| {
            let left = free.checked_sub(count)?;
            may_hold(before + count, left, before == 0).then_some(left)
        };
        let taken = self.free.fetch_update(Ordering::Acquire, Ordering::Relaxed, take).is_ok();
        if !taken {
            counter.fetch_sub(more, Ordering::Relaxed);
        }
        taken
    }

    pub(super) fn give_back(&self, holder: Holder, count: usize) {
        let fewer = u32::try_from(count).unwrap_or(u32::MAX);
        self.held[holder.counter()].fetch_sub(fewer, Ordering::Relaxed);
        self.free.fetch_add(count, Ordering::Release);
    }

    /// Number of places held in total.
    pub(super) fn taken(&self) -> usize {
        self.total.saturating_sub(self.free.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(number: u32) -> Holder {
        Holder::Project(ProjectId(number))
    }

    /// Takes places one by one for `holder` until refused.
    fn fill(places: &Places, holder: Holder) -> usize {
        std::iter::from_fn(|| places.take(holder, 1).then_some(())).count()
    }

    #[test]
    fn one_project_alone_fills_half_and_any_number_leave_room() {
        let places = Places::new(512);
        assert_eq!(fill(&places, project(1)), 256);
        assert_eq!(fill(&places, project(2)), 128, "as many as are then still free");
        assert_eq!(fill(&places, project(1)), 0);
        let others: Vec<usize> = (3..200).map(|number| fill(&places, project(number))).collect();
        assert_eq!(&others[..4], [64, 32, 16, 8]);
        let served = others.iter().filter(|count| **count > 0).count();
        assert!(served >= 7, "{others:?}");
        assert_eq!(fill(&places, Holder::Service), 0, "all 512 are taken");
    }

    #[test]
    fn a_place_that_is_given_back_is_free_at_once_for_others() {
        let places = Places::new(8);
        assert_eq!((fill(&places, project(1)), fill(&places, project(2))), (4, 2));
        for _ in 0..4 {
            places.give_back(project(1), 1);
        }
        assert_eq!(fill(&places, project(2)), 2, "half of 8 now");
        assert_eq!(places.taken(), 4);
        for _ in 0..4 {
            places.give_back(project(2), 1);
        }
        assert_eq!((places.taken(), fill(&places, project(3))), (0, 4));
    }

    #[test]
    fn who_holds_nothing_may_have_the_last_place() {
        let places = Places::new(1);
        assert!(places.take(project(1), 1) && !places.take(project(2), 1));
        places.give_back(project(1), 1);
        assert!(places.take(project(2), 1));
        assert!(!Places::new(0).take(project(1), 1) && !Places::new(4).take(project(1), 5));
    }

    #[test]
    fn lanes_that_ask_at_once_exceed_nothing_and_lose_nothing() {
        let places = Places::new(64);
        let most = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for lane in 0..4 {
                let (places, most) = (&places, &most);
                scope.spawn(move || {
                    for turn in 0..20_000 {
                        let holder = project((lane + turn) % 3);
                        if places.take(holder, 1) {
                            most.fetch_max(places.taken(), Ordering::Relaxed);
                            places.give_back(holder, 1);
                        }
                    }
                });
            }
        });
        assert!((1..=64).contains(&most.into_inner()));
        assert_eq!((places.taken(), fill(&places, project(1))), (0, 32), "every counter is back at nothing");
    }
}
