//! The keys drawn at process start, and what is hashed with them.

use std::num::NonZeroU64;

use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::digest::{
    AccountDigest, AddressDigest, Digest128, InboxFingerprint, PeerDigest, PeerShare, Route,
};
use crate::entropy::Entropy;
use crate::identity::{KeyDigest, Mode, ProjectId};
use crate::peer::{Peer, Prefix};

/// The secrets of one process run. They are half of what protects a code; the other half is in the
/// caller's id.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct StartKeys {
    inbox: [u8; 32],
    pub(crate) id: [u8; 32],
    pub(crate) code: [u8; 32],
    scope: [u8; 32],
    peer: [u8; 32],
}

impl std::fmt::Debug for StartKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StartKeys(..)")
    }
}

impl StartKeys {
    /// Draws fresh keys.
    pub fn draw(entropy: &mut impl Entropy) -> Self {
        let mut keys = Self { inbox: [0; 32], id: [0; 32], code: [0; 32], scope: [0; 32], peer: [0; 32] };
        for key in [&mut keys.inbox, &mut keys.id, &mut keys.code, &mut keys.scope, &mut keys.peer] {
            entropy.fill(key);
        }
        keys
    }

    /// Names an inbox by its canonical address. The last four bytes are the [`DomainTag`] of
    /// `counted_domain`, or zeros if there is none.
    pub fn inbox(&self, canonical: &str, counted_domain: Option<&str>, mode: Mode) -> InboxFingerprint {
        let tag = counted_domain.map_or([0; 4], |domain| {
            let [a, b, c, d, ..] = keyed(&self.inbox, b"domain", &[domain.as_bytes()]).0;
            [a, b, c, d]
        });
        self.fingerprint(canonical, mode).tagged(tag)
    }

    /// Names an inbox by its canonical address alone.
    pub fn fingerprint(&self, canonical: &str, mode: Mode) -> InboxFingerprint {
        keyed(&self.inbox, mode.name().as_bytes(), &[canonical.as_bytes()]).into()
    }

    /// Digest of [`Recipient::exact`](crate::recipient::Recipient::exact), to tell whether a later
    /// request means the same address. The ASCII case of the local part is folded: phone keyboards
    /// capitalise the first letter inconsistently, and people mean the same mailbox. Non-ASCII case
    /// and sub-addresses are not folded.
    pub fn exact_address(&self, exact: &str) -> AddressDigest {
        // The domain is lower-case already.
        let mut folded = Zeroizing::new(exact.to_owned());
        folded.make_ascii_lowercase();
        keyed(&self.inbox, b"exact", &[folded.as_bytes()]).into()
    }

    /// Digest of a nonce, a receipt id, an idempotency key or a body: anything that only has to be
    /// recognised again. `kind` separates the uses, and the digest's type separates its readers.
    pub fn scoped<D: From<Digest128>>(&self, kind: &str, parts: &[&[u8]]) -> D {
        keyed(&self.scope, kind.as_bytes(), parts).into()
    }

    /// The shard that owns a peer's windows, strikes and bans: all networks around it live on one
    /// shard.
    pub fn peer_route(&self, peer: &Peer) -> Route {
        self.prefix_route(&peer.unit())
    }

    /// The shard that owns a network's bans: that of the widest network around it.
    pub fn prefix_route(&self, prefix: &Prefix) -> Route {
        let [a, b, ..] = self.peer_hash(&prefix.network());
        Route(u16::from_be_bytes([a, b]))
    }

    /// The name of a peer where its address must not be shown.
    pub fn peer_digest(&self, peer: &Peer) -> PeerDigest {
        self.prefix_digest(&peer.unit())
    }

    /// Identifies a peer in the record of an inbox or a domain.
    pub fn peer_share(&self, peer: &Peer) -> PeerShare {
        PeerShare::of(self.peer_hash(&peer.line()))
    }

    /// Identifies a peer that a project's secret key names. The share differs from the one of the
    /// peer's own requests, and from those of other projects.
    pub fn claimed_share(&self, peer: &Peer, project: ProjectId) -> PeerShare {
        let mut hash = Sha256::new();
        hash.update(self.peer);
        hash.update(peer.line().bytes());
        hash.update(project.0.to_be_bytes());
        PeerShare::of(hash.finalize().into())
    }

    /// The name of a network where its address must not be shown.
    pub fn prefix_digest(&self, prefix: &Prefix) -> PeerDigest {
        let [.., a, b, c, d, e, f, g, h] = self.peer_hash(prefix);
        let bits = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        PeerDigest(NonZeroU64::new(bits).unwrap_or(NonZeroU64::MIN))
    }

    /// Names an API key's window; its route says which shard owns it.
    pub fn api_key(&self, key: &KeyDigest) -> AccountDigest {
        self.scoped("api key", &[key.as_bytes()])
    }

    /// SHA-256 over the peer key and a prefix: one block of a fixed length, as in `id_hash`.
    fn peer_hash(&self, prefix: &Prefix) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.peer);
        hash.update(prefix.bytes());
        hash.finalize().into()
    }

    /// SHA-256 over the id key and an id's secret: one block of fixed length, so length extension
    /// does not apply.
    pub(crate) fn id_hash(&self, secret: &[u8; 16]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.id);
        hash.update(secret);
        hash.finalize().into()
    }
}

/// The first half of SHA-256 over a key, a kind and parts, each preceded by its length, so that no
/// two lists are hashed alike. Truncation prevents length extension. HMAC, which prevents it by
/// hashing twice, would take four blocks for an address where this takes two.
fn keyed(key: &[u8; 32], kind: &[u8], parts: &[&[u8]]) -> Digest128 {
    let mut hash = Sha256::new();
    hash.update(key);
    for part in [kind].into_iter().chain(parts.iter().copied()) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    Digest128::half_of(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Seeded;
    use std::net::{IpAddr, Ipv6Addr};

    #[test]
    fn an_address_is_the_same_whatever_its_ascii_case() {
        let keys = StartKeys::draw(&mut Seeded::new(1));
        let digest = |exact| keys.exact_address(exact);
        assert_eq!(digest("Ada.L@example.com"), digest("aDA.l@example.com"));
        for other in
            ["adal@example.com", "ada.l+1@example.com", "ada.l@example.org", "\u{e4}da.l@example.com"]
        {
            assert_ne!(digest("ada.l@example.com"), digest(other));
        }
        assert_ne!(digest("\u{c4}da@example.com"), digest("\u{e4}da@example.com"), "no case beyond ASCII");
    }

    #[test]
    fn all_networks_around_a_peer_live_on_one_shard() {
        let keys = StartKeys::draw(&mut Seeded::new(1));
        for n in 0..1_000u16 {
            let peer = Peer::from(IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, n / 100, n, n, 0, 0, n)));
            assert!(peer.prefixes().all(|prefix| keys.prefix_route(&prefix) == keys.peer_route(&peer)));
        }
    }

    #[test]
    fn peers_and_inboxes_spread_evenly_and_differently_after_a_restart() {
        const SHARDS: usize = 16;
        const ALL: u32 = 100_000;
        let of_peer = |keys: &StartKeys, n: u32| keys.peer_route(&Peer::from(IpAddr::from(n.to_be_bytes())));
        let of_inbox =
            |keys: &StartKeys, n: u32| keys.fingerprint(&format!("{n}@example.com"), Mode::Live).route();
        for route in [&of_peer as &dyn Fn(&StartKeys, u32) -> Route, &of_inbox] {
            let [first, second] = [1, 2].map(|seed| {
                let keys = StartKeys::draw(&mut Seeded::new(seed));
                (0..ALL).map(|n| route(&keys, n).shard(SHARDS)).collect::<Vec<_>>()
            });
            for all in [&first, &second] {
                let most = (0..SHARDS).map(|shard| all.iter().filter(|s| **s == shard).count()).max();
                assert!(most <= Some(ALL as usize / SHARDS * 5 / 4), "{most:?}");
            }
            let same = first.iter().zip(&second).filter(|(a, b)| a == b).count();
            assert!(same < ALL as usize / SHARDS * 5 / 4, "{same} stayed where they were");
        }
    }
}
