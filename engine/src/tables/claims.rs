//! Counts the claimed records of each project in a table, so that no project can fill it.
//!
//! A dynamic threshold: a project may add a record while it holds fewer than there are places
//! without a claim. A single project fills half of the table, the next one half of what is left.
//! Records of proved peers count as free here, since the peer table evicts records for newcomers
//! anyway.

use ahash::HashMap;

use crate::identity::Owner;
use crate::request::Source;

/// The claimed records of one table, counted by owner. 33 B for each owner that has any, so no more
/// entries than claimed records.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    held: HashMap<Owner, usize>,
    total: usize,
}

impl Claims {
    /// Whether this owner may add a record in a table of `capacity` records.
    pub(crate) fn have_room(&self, owner: Owner, capacity: usize) -> bool {
        self.held.get(&owner).copied().unwrap_or(0) < capacity.saturating_sub(self.total)
    }

    /// A record was made.
    pub(crate) fn enter(&mut self, source: Source) {
        if let Source::Claimed(owner) = source {
            *self.held.entry(owner).or_default() += 1;
            self.total += 1;
        }
    }

    /// A record was forgotten.
    pub(crate) fn leave(&mut self, source: Source) {
        if let Source::Claimed(owner) = source
            && let Some(held) = self.held.get_mut(&owner)
        {
            (*held, self.total) = (held.saturating_sub(1), self.total.saturating_sub(1));
            if *held == 0 {
                self.held.remove(&owner);
                self.held.shrink_to(2 * self.held.len());
            }
        }
    }

    /// All claimed records.
    pub(crate) fn total(&self) -> usize {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Mode, ProjectId};

    #[test]
    fn a_project_fills_half_of_what_the_others_have_left() {
        let owner = |n| Owner { project: ProjectId(n), mode: Mode::Live };
        let fill = |claims: &mut Claims, n| {
            let mut held = 0;
            while claims.have_room(owner(n), 1_000) {
                claims.enter(Source::Claimed(owner(n)));
                held += 1;
            }
            held
        };
        let mut claims = Claims::default();
        claims.enter(Source::Proved);
        assert_eq!([fill(&mut claims, 1), fill(&mut claims, 2), fill(&mut claims, 3)], [500, 250, 125]);
        for n in 4..1_000 {
            fill(&mut claims, n);
        }
        assert_eq!(claims.total(), 1_000);
        for _ in 0..500 {
            claims.leave(Source::Claimed(owner(1)));
        }
        assert_eq!((fill(&mut claims, 1), fill(&mut claims, 1_000)), (250, 125));
    }
}
