//! The oracle's reading of shares: who holds what until when, in a list.
//!
//! One owner, a project and mode, may hold at most as much as is free. A wait is true if by then there is room,
//! and no more than ten seconds longer than it has to be.

use authepy_engine::identity::Owner;

/// Ends are told in steps of ten seconds.
const STEP: u64 = 10_000;

/// One place of a table: whose it is, and when it ends.
pub(crate) type Held = (Owner, u64);

/// A table as one owner finds it who asks for a place.
pub(crate) struct Share {
    held: Vec<Held>,
    owner: Owner,
    places: usize,
}

impl Share {
    pub(crate) fn of(held: Vec<Held>, owner: Owner, places: usize) -> Self {
        Self { held, owner, places }
    }

    pub(crate) fn fits_now(&self) -> bool {
        self.has_room(|_| true)
    }

    /// Whether there is room once all is gone that ends by then.
    pub(crate) fn fits(&self, then: u64) -> bool {
        self.has_room(|end| end > then)
    }

    fn has_room(&self, stays: impl Fn(u64) -> bool) -> bool {
        let held = || self.held.iter().filter(|(_, end)| stays(*end));
        let (all, own) = (held().count(), held().filter(|(owner, _)| *owner == self.owner).count());
        all < self.places && own <= self.places - all
    }

    /// Whether a wait that was told is true.
    pub(crate) fn judge(&self, at: u64, wait: u64) -> Result<(), String> {
        let (then, sooner) = (at + wait, (at + wait).saturating_sub(STEP + 1));
        match (self.fits(then), sooner >= at && self.fits(sooner)) {
            (true, false) => Ok(()),
            (false, _) => Err(format!("no room yet in {wait} ms, as was told")),
            (true, true) => Err(format!("room long before {wait} ms are over, as was told")),
        }
    }
}
