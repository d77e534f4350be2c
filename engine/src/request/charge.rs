//! What a peer and an API key are charged for, and what is left to them.

use crate::clock::Moment;
use crate::identity::{Mode, Owner};
use crate::limits::LIMITS_PER_POLICY;
use crate::peer::Peer;
use crate::request::{Activity, Refusal};
use crate::settings::Settings;

/// Whose word it is that the peer did it. Windows, strikes and bans of different sources are apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// The peer itself, over a path that it proved.
    #[default]
    Proved,
    /// A secret key of this project and mode, which named the peer as its client. What comes of it
    /// holds for requests of this project and mode alone: no socket and no other project hears of
    /// it.
    Claimed(Owner),
}

/// See [`Command::Charge`](crate::request::Command::Charge). All networks around the peer are
/// charged in the one visit.
#[derive(Clone, Copy, Debug)]
pub struct Charge {
    /// Who: the address that the handshake validated, or the `client.ip` of a secret key.
    pub peer: Peer,
    /// Which of the two.
    pub source: Source,
    /// For what.
    pub activity: Activity,
    /// Test keys have issue and check windows of their own; for the others the mode means nothing.
    pub mode: Mode,
    /// Whether a breached window costs a strike. False for what the peer can't be blamed for.
    pub strikes: bool,
}

impl Charge {
    /// What a peer did over a path that it proved; a breach strikes.
    pub const fn proved(peer: Peer, activity: Activity, mode: Mode) -> Self {
        Self { peer, source: Source::Proved, activity, mode, strikes: true }
    }

    /// The same as a secret key of `owner` tells it.
    pub const fn claimed(owner: Owner, peer: Peer, activity: Activity) -> Self {
        Self { peer, source: Source::Claimed(owner), activity, mode: owner.mode, strikes: true }
    }

    /// Whether these settings count it at all. What a project's claims have banned, no lane knows:
    /// where strikes ban, the peer's shard is asked about every claim.
    pub fn is_counted(&self, settings: &Settings) -> bool {
        let may_be_banned = self.source != Source::Proved && !settings.bans.strikes.is_empty();
        !settings.peer.of(self.activity).is_empty() || may_be_banned
    }

    /// The same without a strike.
    pub const fn guiltless(self) -> Self {
        Self { strikes: false, ..self }
    }
}

/// How a charge ended. A request that a window refused is not counted by that window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Charged {
    /// `RateLimited`, `Banned` or `Overloaded`; `None` if the request may go on.
    pub refusal: Option<Refusal>,
    /// The windows after this request. Empty where the limit is off.
    pub quotas: Quotas,
    /// When it was counted.
    pub at: Moment,
}

/// One window as its owner may know it, in the units of the `RateLimit` fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// COUNT of the limit, as it stands for a /32 or /64.
    pub count: u32,
    /// WINDOW of the limit, in whole seconds, rounded up.
    pub window_seconds: u32,
    /// Requests left: the least that any network around the peer has left.
    pub remaining: u32,
    /// Seconds until that number grows, rounded up; zero if nothing was used.
    pub reset_seconds: u32,
}

/// The quotas of one policy, in the order of its limits. Small enough to travel by value.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Quotas {
    list: [Quota; LIMITS_PER_POLICY],
    len: u8,
}

impl std::fmt::Debug for Quotas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_slice().fmt(f)
    }
}

impl Quotas {
    /// The quotas; empty if the limit is off.
    pub fn as_slice(&self) -> &[Quota] {
        self.list.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// What they are once the request counted last is taken back.
    pub fn given_back(mut self) -> Self {
        for quota in &mut self.list {
            quota.remaining = quota.remaining.saturating_add(1).min(quota.count);
            if quota.remaining == quota.count {
                quota.reset_seconds = 0;
            }
        }
        self
    }

    /// Lowers what is left to what a wider network has left.
    pub(crate) fn lower_to(&mut self, wider: &Quotas) {
        for (own, wider) in self.list.iter_mut().zip(wider.as_slice()) {
            if (wider.remaining, own.reset_seconds) < (own.remaining, wider.reset_seconds) {
                (own.remaining, own.reset_seconds) = (wider.remaining, wider.reset_seconds);
            }
        }
    }
}

/// Keeps the first [`LIMITS_PER_POLICY`].
impl FromIterator<Quota> for Quotas {
    fn from_iter<I: IntoIterator<Item = Quota>>(quotas: I) -> Self {
        let mut all = Self::default();
        for (place, quota) in all.list.iter_mut().zip(quotas) {
            *place = quota;
            all.len += 1;
        }
        all
    }
}
