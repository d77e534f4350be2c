//! Shared by tests: a reproducible source of randomness, the settings as shipped, and a minimal
//! request.

use std::time::Duration;

use crate::clock::Moment;
use crate::entropy::Entropy;
use crate::id::{IdSecret, VerificationId};
use crate::identity::{KeyTag, Owner};
use crate::limits::{Capacity, Limit};
use crate::request::{Charged, Issue, MailForm, Proven, Quotas, Refusal};
use crate::route::{AddressDigest, InboxFingerprint, StartKeys};
use crate::settings::{BanRules, PeerLimits, Settings};

/// SplitMix64: good enough to vary a test, and reproducible from its seed.
#[derive(Clone, Debug)]
pub struct Seeded {
    state: u64,
    /// The rest of the script, last octet first; `None` if there was none.
    script: Option<Vec<u8>>,
}

impl Seeded {
    /// A source that is reproducible from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed, script: None }
    }

    /// A source whose choices ([`below`](Self::below)) follow `script`, two octets per choice, so
    /// that a fuzzer, for example, decides what happens. All other bits come from a seed, so that
    /// ids and codes stay distinct.
    pub fn scripted(script: &[u8]) -> Self {
        Self { state: script.len() as u64, script: Some(script.iter().rev().copied().collect()) }
    }

    /// Whether there was a script and it is used up.
    pub fn is_over(&self) -> bool {
        self.script.as_ref().is_some_and(|script| script.len() < 2)
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        let choice = self.script.as_mut().and_then(|script| Some((script.pop()?, script.pop()?)));
        match choice {
            // The whole range is reachable, in 2^16 steps.
            Some((high, low)) => {
                ((u128::from(bound) * u128::from(u16::from_be_bytes([high, low]))) >> 16) as u64
            }
            None => self.draw() % bound,
        }
    }
}

impl Entropy for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            let bytes = self.draw().to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
    }
}

/// A command without its proofs, for tests and benches of what is behind the perimeter.
pub fn unproven<T>(asked: T) -> Proven<T> {
    Proven(asked)
}

/// Mutable access to a command, for tests that falsify one.
pub fn falsify<T>(asked: &mut Proven<T>) -> &mut T {
    &mut asked.0
}

/// The result of a charge as a model computes it.
pub fn charged(refusal: Option<Refusal>, quotas: Quotas, at: Moment) -> Charged {
    Charged { refusal, quotas, at }
}

/// A substitute for the address digest, for tests without an address.
pub fn address_of(inbox: InboxFingerprint) -> AddressDigest {
    AddressDigest::from_bytes(*inbox.as_bytes())
}

/// A minimal `Issue`: required fields only, with the inbox's bytes as the address digest.
pub fn plain_issue(
    keys: &StartKeys,
    inbox: InboxFingerprint,
    owner: Owner,
    entropy: &mut impl Entropy,
) -> Issue {
    Issue {
        id: VerificationId::new(keys, IdSecret::draw(entropy), inbox.route()),
        inbox,
        address: address_of(inbox),
        owner,
        key: KeyTag::default(),
        peer: None,
        code_length: None,
        lifetime: None,
        nonce: None,
        purpose: "login".into(),
        form: MailForm::default(),
        metadata: None,
    }
}

/// The default settings, with unbounded memory.
pub fn as_shipped() -> Settings {
    let limits = |list: &[(u32, u64)]| -> Vec<Limit> {
        list.iter().map(|&(count, secs)| Limit { count, window: Duration::from_secs(secs) }).collect()
    };
    Settings {
        code_length: 6,
        lifetime: Duration::from_secs(300),
        attempts: 5,
        resend_after: Duration::from_secs(30),
        sends: 5,
        recipient_issue: limits(&[(5, 600), (10, 86_400)]),
        recipient_peer_issue: limits(&[(3, 600), (5, 86_400)]),
        recipient_all_issue: limits(&[(15, 600), (30, 86_400)]),
        recipient_guess: limits(&[(20, 86_400)]),
        peer: PeerLimits {
            issue: limits(&[(20, 60), (100, 3_600)]),
            check: limits(&[(60, 60)]),
            denied: limits(&[(30, 60)]),
            handshake: limits(&[(100, 60)]),
            any: limits(&[(600, 60)]),
        },
        key_issue: Vec::new(),
        key_unverified: Vec::new(),
        project_issue: Vec::new(),
        domain_unverified: limits(&[(500, 600)]),
        domain_peer_unverified: limits(&[(20, 600)]),
        bans: BanRules {
            strikes: limits(&[(5, 600)]),
            first: Duration::from_secs(3 * 3_600),
            max: Duration::from_secs(86_400),
            ..BanRules::default()
        },
        capacity: Capacity::UNBOUNDED,
    }
}
