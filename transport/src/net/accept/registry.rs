//! The connections of this lane by address, and how to close them.
//!
//! Each connection with a complete handshake is registered under the address that the handshake
//! validated, for as long as it lives, even if it migrates. When a network is banned, its
//! connections are looked up and closed. A /32 or /64 takes one look-up; for a /56 or /48, whose
//! bans are rare, all peers are scanned (100,000 of them in about a millisecond). At most
//! `connections.max` entries of about 150 B.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;

use authepy_engine::peer::{Level, Peer, Prefix};

/// Closes one connection at once. It must not await, nor enter or leave a registry.
pub(crate) type ShowOut = Rc<dyn Fn()>;

/// The registry of one lane. Lives on its thread.
#[derive(Clone, Default)]
pub(super) struct ConnectionRegistry(Rc<RefCell<Entries>>);

#[derive(Default)]
struct Entries {
    last: u64,
    by_peer: HashMap<Prefix, Present>,
}

/// The connections of one peer.
struct Present {
    address: IpAddr,
    ways_out: HashMap<u64, ShowOut>,
}

/// One connection's entry in the registry; removed when dropped.
pub(crate) struct Listed {
    registry: ConnectionRegistry,
    unit: Prefix,
    number: u64,
}

impl ConnectionRegistry {
    pub(super) fn enter(&self, address: IpAddr, show_out: ShowOut) -> Listed {
        let unit = Peer::from(address).unit();
        let mut entries = self.0.borrow_mut();
        entries.last += 1;
        let number = entries.last;
        let of_peer = entries.by_peer.entry(unit);
        let of_peer = of_peer.or_insert_with(|| Present { address, ways_out: HashMap::new() });
        of_peer.ways_out.insert(number, show_out);
        Listed { registry: self.clone(), unit, number }
    }

    /// Closes every connection from this network.
    pub(super) fn show_out(&self, network: Prefix) {
        let ways_out: Vec<ShowOut> = {
            let by_peer = &self.0.borrow().by_peer;
            let all = |present: &Present| present.ways_out.values().cloned().collect::<Vec<_>>();
            match network.level() {
                Level::V4 | Level::V6Net64 => by_peer.get(&network).map(all).unwrap_or_default(),
                Level::V6Net56 | Level::V6Net48 => {
                    by_peer.values().filter(|present| network.covers(present.address)).flat_map(all).collect()
                }
            }
        };
        ways_out.iter().for_each(|show_out| show_out());
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let by_peer = &mut self.registry.0.borrow_mut().by_peer;
        if let Some(present) = by_peer.get_mut(&self.unit) {
            present.ways_out.remove(&self.number);
            if present.ways_out.is_empty() {
                by_peer.remove(&self.unit);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn entered(registry: &ConnectionRegistry, address: &str) -> (Listed, Rc<Cell<u32>>) {
        let calls = Rc::new(Cell::new(0));
        let counted = calls.clone();
        let show_out = Rc::new(move || counted.set(counted.get() + 1));
        (registry.enter(address.parse().unwrap(), show_out), calls)
    }

    #[test]
    fn a_ban_shows_out_its_network_and_nobody_else() {
        let registry = ConnectionRegistry::default();
        let addresses =
            ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"];
        let listed = addresses.map(|address| entered(&registry, address));
        let shown_out = |network: &str| {
            listed.iter().for_each(|(_, calls)| calls.set(0));
            registry.show_out(network.parse().unwrap());
            listed.each_ref().map(|(_, calls)| calls.get())
        };
        assert_eq!(shown_out("192.0.2.1"), [1, 1, 0, 0, 0, 0]);
        assert_eq!(shown_out("2001:db8::/64"), [0, 0, 0, 1, 1, 0]);
        assert_eq!(shown_out("2001:db8::/56"), [0, 0, 0, 1, 1, 1]);
        assert_eq!(shown_out("2001:db8::/48"), [0, 0, 0, 1, 1, 1]);
        assert_eq!(shown_out("192.0.2.3"), [0; 6]);
        drop(listed);
        assert!(registry.0.borrow().by_peer.is_empty());
    }
}
