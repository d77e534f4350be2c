//! Addresses that a provider has refused permanently, so that it is not asked again at once.
//!
//! Relays rate senders by how often they write to unknown mailboxes, and users with a mistyped
//! address press "resend". An address is stored only as a keyed digest, and for [`REMEMBERED_FOR`],
//! because the mailbox may be created later.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use authepy_engine::clock::Moment;
use authepy_engine::route::{Digest128, StartKeys};

/// How long a refusal is remembered.
pub(super) const REMEMBERED_FOR: Duration = Duration::from_secs(600);
/// Refusals remembered: about 100 B each in both collections, 1.6 MB. The oldest is evicted first.
pub(super) const PLACES: usize = 16_384;

/// See the module documentation. Owned by the courier.
#[derive(Default)]
pub(super) struct Undeliverable {
    until: HashMap<Digest128, Moment>,
    /// Ordered by end; holds all of `until`, and older entries of the same addresses.
    order: VecDeque<(Moment, Digest128)>,
}

impl Undeliverable {
    /// Digest of an address at one provider.
    pub(super) fn digest(keys: &StartKeys, provider: usize, address: &str) -> Digest128 {
        keys.scoped("undeliverable", &[&provider.to_le_bytes(), address.as_bytes()])
    }

    /// Whether the address was refused recently.
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

    /// Removes expired entries, and the oldest beyond `most`.
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
