//! The operator's settings, in the form that shards use.

use std::time::Duration;

use crate::limits::{ALERTS, Capacity, Limit};
use crate::peer::Prefix;
use crate::perimeter::blocks::Blocks;

/// The operator's settings that shards decide by. Immutable; each shard holds a copy.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Digits of a code unless the request specifies another number.
    pub code_length: u8,
    /// Lifetime of a verification unless the request specifies another one.
    pub lifetime: Duration,
    /// Attempts of a verification, over all its codes.
    pub attempts: u8,
    /// Wait between two mails of a verification.
    pub resend_after: Duration,
    /// Mails of a verification, including the first.
    pub sends: u8,
    /// Mails per project and inbox. For all limits here, empty means off.
    pub recipient_issue: Vec<Limit>,
    /// One peer's share of these mails.
    pub recipient_peer_issue: Vec<Limit>,
    /// Mails per inbox, over all projects.
    pub recipient_all_issue: Vec<Limit>,
    /// Wrong codes compared per inbox, beyond which new codes get longer.
    pub recipient_guess: Vec<Limit>,
    /// Requests per peer.
    pub peer: PeerLimits,
    /// Accepted issues per API key.
    pub key_issue: Vec<Limit>,
    /// Mails per API key that no correct code has answered.
    pub key_unverified: Vec<Limit>,
    /// Accepted issues per project.
    pub project_issue: Vec<Limit>,
    /// Mails per registrable domain, except known mailbox providers', that no correct code has
    /// answered.
    pub domain_unverified: Vec<Limit>,
    /// One peer's share of these mails.
    pub domain_peer_unverified: Vec<Limit>,
    /// When strikes lead to bans.
    pub bans: BanRules,
    /// Capacity of the tables.
    pub capacity: Capacity,
}

impl Settings {
    /// The limits of an API key or a project.
    pub fn key(&self, window: KeyWindow) -> &[Limit] {
        match window {
            KeyWindow::Issue => &self.key_issue,
            KeyWindow::Unverified => &self.key_unverified,
            KeyWindow::Project => &self.project_issue,
            KeyWindow::Alerts => ALERTS,
        }
    }

    /// Whether mails to domains are counted.
    pub fn counts_domains(&self) -> bool {
        !self.domain_unverified.is_empty() || !self.domain_peer_unverified.is_empty()
    }
}

/// When a peer is banned, and for how long.
#[derive(Clone, Debug, Default)]
pub struct BanRules {
    /// Strikes that cause a ban; empty means never.
    pub strikes: Vec<Limit>,
    /// Duration of the first ban.
    pub first: Duration,
    /// The longest ban, however often it was doubled.
    pub max: Duration,
    /// Networks that are limited but never banned: `proxy.trusted` and `bans.exempt`.
    pub exempt: Blocks,
}

impl BanRules {
    /// Whether this network is never struck and never banned, not even by an operator: it shares an
    /// address with an exempt block, or with `127.0.0.1` or `::1`, where this host's own proxies
    /// and probes are.
    pub fn exempts(&self, prefix: Prefix) -> bool {
        prefix.is_of_localhost() || self.exempt.overlap(prefix)
    }
}

/// Limits of one peer's requests. Empty means off.
#[derive(Clone, Debug, Default)]
pub struct PeerLimits {
    /// Issues and resends.
    pub issue: Vec<Limit>,
    /// Checks.
    pub check: Vec<Limit>,
    /// Refused requests.
    pub denied: Vec<Limit>,
    /// Completed handshakes.
    pub handshake: Vec<Limit>,
    /// Everything else; and, counted separately, requests that foreign pages make a browser send.
    pub any: Vec<Limit>,
}

impl PeerLimits {
    /// The limits of one activity.
    pub fn of(&self, activity: Activity) -> &Vec<Limit> {
        match activity {
            Activity::Issue => &self.issue,
            Activity::Check => &self.check,
            Activity::Denied => &self.denied,
            Activity::Handshake => &self.handshake,
            Activity::Any | Activity::Foreign => &self.any,
        }
    }
}

/// What a peer's request is counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activity {
    /// An issue or a resend.
    Issue,
    /// A check.
    Check,
    /// A request answered with a 4xx other than 409, 425 and 429.
    Denied,
    /// A completed handshake.
    Handshake,
    /// Any other request, or a handshake begun from a validated address.
    Any,
    /// A request that a foreign page made the peer's browser send. Has the limit of
    /// [`Activity::Any`] and a window of its own, so that such a page uses up nothing of its
    /// visitor's.
    Foreign,
}

/// Names a window; each has a table of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyWindow {
    /// Issues of an API key: `limits.key.issue`.
    Issue,
    /// Mails of an API key that no correct code has answered: `limits.key.unverified`.
    Unverified,
    /// Issues of a project: `limits.project.issue`.
    Project,
    /// Alerts of a project. They are sent to people, so a back end stuck in a loop must not send
    /// many.
    Alerts,
}
