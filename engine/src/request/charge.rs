//! Charges to peers' windows, and the quotas left.

use crate::clock::Moment;
use crate::identity::{Mode, Owner};
use crate::limits::LIMITS_PER_POLICY;
use crate::peer::Peer;
use crate::request::{Activity, Refusal};
use crate::settings::Settings;

/// Who reported that the peer made the request. Windows, strikes and bans of different sources are
/// kept apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// The peer itself, over a validated network path.
    #[default]
    Proved,
    /// A secret key of this project and mode, which named the peer as its client. The consequences
    /// apply to requests of this project and mode alone: no socket and no other project learns of
    /// them.
    Claimed(Owner),
}

/// See [`Command::Charge`](crate::request::Command::Charge). All networks around the peer are
/// charged in one visit.
#[derive(Clone, Copy, Debug)]
pub struct Charge {
    /// The address that the handshake validated, or the `client.ip` of a secret key.
    pub peer: Peer,
    /// Which of the two it is.
    pub source: Source,
    /// The kind of request.
    pub activity: Activity,
    /// Test keys have their own issue and check windows; for other activities the mode has no
    /// effect.
    pub mode: Mode,
    /// Whether a breached window costs a strike. False for requests that are not the peer's fault.
    pub strikes: bool,
}

impl Charge {
    /// A request the peer made over a validated path; a breach strikes.
    pub const fn proved(peer: Peer, activity: Activity, mode: Mode) -> Self {
        Self { peer, source: Source::Proved, activity, mode, strikes: true }
    }

    /// The same, as reported by a secret key of `owner`.
    pub const fn claimed(owner: Owner, peer: Peer, activity: Activity) -> Self {
        Self { peer, source: Source::Claimed(owner), activity, mode: owner.mode, strikes: true }
    }

    /// Whether these settings count it at all. Bans based on a project's claims are not in the
    /// lanes' tables, so if strikes can ban, the peer's shard must be asked about every claim.
    pub fn is_counted(&self, settings: &Settings) -> bool {
        let may_be_banned = self.source != Source::Proved && !settings.bans.strikes.is_empty();
        !settings.peer.of(self.activity).is_empty() || may_be_banned
    }

    /// The same charge, without a strike.
    pub const fn guiltless(self) -> Self {
        Self { strikes: false, ..self }
    }
}

/// The result of a charge. A request that a window refused is not counted by that window.
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

/// One window as reported to its peer, in the units of the `RateLimit` fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// COUNT of the limit, as it applies to a /32 or /64.
    pub count: u32,
    /// WINDOW of the limit, in whole seconds, rounded up.
    pub window_seconds: u32,
    /// Requests left: the minimum over all networks around the peer.
    pub remaining: u32,
    /// Seconds until `remaining` grows, rounded up; zero if nothing was used.
    pub reset_seconds: u32,
}

/// The quotas of one policy, in the order of its limits. Small enough to pass by value.
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

    /// The quotas after the request counted last is taken back.
    pub fn given_back(mut self) -> Self {
        for quota in &mut self.list {
            quota.remaining = quota.remaining.saturating_add(1).min(quota.count);
            if quota.remaining == quota.count {
                quota.reset_seconds = 0;
            }
        }
        self
    }

    /// Lowers the remaining quota to what a wider network has left.
    pub(crate) fn lower_to(&mut self, wider: &Self) {
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
