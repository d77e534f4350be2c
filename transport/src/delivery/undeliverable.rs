//! Addresses that a provider has refused for good, so that it is not asked again at once.
//!
//! Why: relays judge senders by how often they write to nobody; and whoever types a dead address presses
//! "resend". An address is known by a keyed digest alone, and for [`REMEMBERED_FOR`]: a mailbox may be made
//! any minute.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use authepy_engine::clock::Moment;
use authepy_engine::route::{Digest128, StartKeys};

/// How long a refusal stands.
pub(super) const REMEMBERED_FOR: Duration = Duration::from_secs(600);
/// Refusals remembered: about 100 B each with both tables, 1.6 MB. The oldest makes room.
pub(super) const PLACES: usize = 16_384;

/// See the module's doc. Owned by the courier.
#[derive(Default)]
pub(super) struct Undeliverable {
    until: HashMap<Digest128, Moment>,
    /// In the order in which they end; holds what `until` holds, and older entries of the same address.
    order: VecDeque<(Moment, Digest128)>,
}

impl Undeliverable {
    /// What an address is known by, at one provider.
    pub(super) fn digest(keys: &StartKeys, provider: usize, address: &str) -> Digest128 {
        keys.scoped("undeliverable", &[&provider.to_le_bytes(), address.as_bytes()])
    }

    /// Whether a refusal stands.
    pub(super) fn stands(&mut self, address: &Digest128, now: Moment) -> bool {
        self.forget(now, PLACES);
        self.until.contains_key(address)
    }

    /// Remembers a refusal.
    pub(super) fn note(&mut self, address: Digest128, now: Moment) {
        self.forget(now, PLACES - 1);
        let until = now.after(REMEMBERED_FOR);
        self.until.insert(address, until);
        self.order.push_back((until, address));
    }

    /// Lets go of what has ended, and of the oldest beyond `most`.
    fn forget(&mut self, now: Moment, most: usize) {
        while let Some(&(until, address)) = self.order.front()
            && (until <= now || self.order.len() > most)
        {
            self.order.pop_front();
            if self.until.get(&address) == Some(&until) {
                self.until.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use authepy_engine::testing::Seeded;

    #[test]
    fn a_refusal_stands_for_its_time_at_its_provider() {
        let keys = StartKeys::draw(&mut Seeded::new(1));
        let of = |provider, address| Undeliverable::digest(&keys, provider, address);
        let (mut known, then) = (Undeliverable::default(), Moment::from_millis(5));
        known.note(of(1, "ada@x.org"), then);
        let last = Moment::from_millis(then.after(REMEMBERED_FOR).as_millis() - 1);
        assert!(known.stands(&of(1, "ada@x.org"), last));
        assert!(!known.stands(&of(2, "ada@x.org"), last) && !known.stands(&of(1, "eve@x.org"), last));
        known.note(of(1, "ada@x.org"), last);
        assert!(known.stands(&of(1, "ada@x.org"), then.after(REMEMBERED_FOR)), "said again");
        assert!(!known.stands(&of(1, "ada@x.org"), last.after(REMEMBERED_FOR)));
        assert!(known.until.is_empty() && known.order.is_empty());
    }

    #[test]
    fn a_flood_of_dead_addresses_takes_bounded_memory() {
        let keys = StartKeys::draw(&mut Seeded::new(1));
        let mut known = Undeliverable::default();
        let now = Moment::default();
        for n in 0..(PLACES + 10) {
            known.note(Undeliverable::digest(&keys, 1, &n.to_string()), now);
            known.note(Undeliverable::digest(&keys, 1, "again@x.org"), now);
        }
        assert!(known.order.len() <= PLACES && known.until.len() <= PLACES);
        assert!(!known.stands(&Undeliverable::digest(&keys, 1, "3"), now), "the oldest made room");
    }
}
