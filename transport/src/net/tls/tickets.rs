//! Tickets by which clients resume a TLS session, on any lane, without a lock.
//!
//! ```text
//!   ticket = name of the key (8) | nonce (12) | session, sealed with AES-256-GCM
//!
//!   draw ──▶ present ──rotate──▶ previous ──rotate──▶ forgotten
//!             seals, opens        opens
//! ```
//!
//! rustls has a ticketer of its own, which keeps its keys behind an `RwLock` that all lanes would
//! share. Here the keys are one published value ([`Published`]): lanes read it, and one task
//! replaces it as a whole. A ticket is valid for as long as its key is known, between one and two
//! lifetimes of a key. The server keeps nothing but the keys.

use std::fmt;
use std::sync::Arc;

use ::aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use rustls::server::ProducesTickets;
use zeroize::Zeroizing;

use crate::ground::published::Published;
use crate::limits::TICKET_KEY_LIFE;

const NAME_BYTES: usize = 8;
const KEY_BYTES: usize = 32;
/// Longest ticket that is decrypted: tickets of TLS 1.3 have about 200 bytes, and a client can send
/// anything.
const LONGEST_TICKET_BYTES: usize = 4 << 10;

/// The keys in use. Clones share them.
#[derive(Clone)]
pub(crate) struct Tickets(Published<Keys>);

struct Keys {
    present: Arc<Key>,
    previous: Option<Arc<Key>>,
}

struct Key {
    name: [u8; NAME_BYTES],
    key: RandomizedNonceKey,
}

impl Tickets {
    /// Draws the first key. `None` if the system has no randomness or the library lacks the cipher.
    pub(crate) fn draw() -> Option<Self> {
        Some(Self(Published::new(Keys { present: Arc::new(Key::draw()?), previous: None })))
    }

    /// Draws a new key to seal with. Returns false, and keeps the present one, if that fails.
    pub(crate) fn rotate(&self) -> bool {
        let Some(next) = Key::draw() else { return false };
        let previous = Some(self.0.hold().present.clone());
        self.0.replace(Keys { present: Arc::new(next), previous });
        true
    }

    /// Rotates for as long as the process runs.
    pub(crate) async fn keep_rotating(self) {
        loop {
            tokio::time::sleep(TICKET_KEY_LIFE).await;
            if !self.rotate() {
                tracing::error!("could not draw a new key for TLS tickets; the present one stays in use");
            }
        }
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(TICKET_KEY_LIFE.as_secs()).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.0.read().present.seal(plain)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        if ticket.len() > LONGEST_TICKET_BYTES {
            return None;
        }
        let (name, sealed) = ticket.split_first_chunk()?;
        let keys = self.0.read();
        let known = [Some(&keys.present), keys.previous.as_ref()].into_iter().flatten();
        // The name is not secret: every ticket contains it.
        known.filter(|key| key.name == *name).find_map(|key| key.open(sealed))
    }
}

impl Key {
    fn draw() -> Option<Self> {
        let (mut name, mut key) = ([0; NAME_BYTES], Zeroizing::new([0; KEY_BYTES]));
        getrandom::fill(&mut name).ok()?;
        getrandom::fill(&mut *key).ok()?;
        Some(Self { name, key: RandomizedNonceKey::new(&AES_256_GCM, &*key).ok()? })
    }

    fn seal(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut session = plain.to_vec();
        let nonce = self.key.seal_in_place_append_tag(Aad::from(self.name), &mut session).ok()?;
        Some([&self.name, &nonce.as_ref()[..], &session].concat())
    }

    fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, session) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut session = session.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self.key.open_in_place(nonce, Aad::from(self.name), &mut session).ok()?.len();
        session.truncate(plain);
        Some(session)
    }
}

/// No key material.
impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tickets(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_opened_by_whoever_shares_the_keys_and_nobody_else() {
        let tickets = Tickets::draw().unwrap();
        let ticket = tickets.encrypt(b"a session").unwrap();
        assert_eq!(tickets.clone().decrypt(&ticket).unwrap(), b"a session");
        assert!(Tickets::draw().unwrap().decrypt(&ticket).is_none(), "another process");
        assert_ne!(tickets.encrypt(b"a session").unwrap(), ticket, "no two tickets are alike");
        assert!(!ticket.windows(9).any(|part| part == b"a session"));
    }

    #[test]
    fn a_ticket_lives_through_one_rotation_and_not_through_two() {
        let tickets = Tickets::draw().unwrap();
        let first = tickets.encrypt(b"first").unwrap();
        assert!(tickets.rotate());
        let second = tickets.encrypt(b"second").unwrap();
        assert_eq!(tickets.decrypt(&first).unwrap(), b"first");
        assert!(tickets.rotate());
        assert!(tickets.decrypt(&first).is_none());
        assert_eq!(tickets.decrypt(&second).unwrap(), b"second");
    }

    #[test]
    fn what_is_no_ticket_is_not_opened() {
        let tickets = Tickets::draw().unwrap();
        let ticket = tickets.encrypt(b"a session").unwrap();
        for length in 0..ticket.len() {
            assert!(tickets.decrypt(&ticket[..length]).is_none(), "cut to {length}");
        }
        for at in 0..ticket.len() {
            let mut spoiled = ticket.clone();
            spoiled[at] ^= 1;
            assert!(tickets.decrypt(&spoiled).is_none(), "byte {at}");
        }
        assert!(tickets.decrypt(&vec![0; 1 << 20]).is_none());
    }
}
