//! The oracle's reading of peers, strikes and bans: every event that ever was, in lists.
//!
//! Where the contract is silent, these are the rules it holds the shard to:
//! - All limits of one policy are one window: what one of them refuses, none counts.
//! - A limit strikes at most once in any span of its WINDOW, a request at most once for each network.
//! - Of the networks around an IPv6 peer, the one whose window was breached is struck and banned.
//! - A banned peer is charged nothing. A ban, also an operator's, begins and ends without strikes.
//! - An operator's ban counts in the row; on somebody who is banned it only moves the end.
//! - What a project claims of an address is about another peer, of that project and mode; who is banned by his own
//!   doing is banned for them too. The operator's word lifts all.
//! - Exempt networks, and those around them, are neither struck nor banned.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use authepy_engine::clock::Moment;
use authepy_engine::identity::Mode;
use authepy_engine::limits::Limit;
use authepy_engine::peer::Peer;
use authepy_engine::perimeter::blocks::Blocks;
use authepy_engine::request::{
    Activity, Ban, Charge, ChargeKey, Command, KeyWindow, Outcome, Policy, Quota, Refusal, Source,
};
use authepy_engine::shard::Settings;
use authepy_engine::testing;

use super::oracle::{millis, wait_for_window};

const A_DAY: u64 = 86_400_000;

/// Blocks that some runs exempt from bans.
pub(crate) const EXEMPT: [&str; 2] = ["203.0.113.2", "2001:db8:a:201::/64"];
/// Of the networks that are played, those that share an address with one of them.
const EXEMPT_NETWORKS: [&str; 4] =
    ["203.0.113.2/32", "2001:db8:a:201::/64", "2001:db8:a:200::/56", "2001:db8:a::/48"];

type Name = String;
type Window = (Activity, Option<Mode>);

struct Counted {
    who: Name,
    window: Window,
    at: u64,
}

struct Latched {
    who: Name,
    window: Window,
    nth: usize,
    opens: u64,
}

struct Struck {
    who: Name,
    at: u64,
}

struct Banned {
    who: Name,
    end: u64,
    count: u32,
}

pub(crate) struct PeerOracle {
    rules: Settings,
    addresses: HashMap<Peer, IpAddr>,
    counted: Vec<Counted>,
    latched: Vec<Latched>,
    struck: Vec<Struck>,
    banned: Vec<Banned>,
    /// What keys and projects are charged for.
    keys: Vec<(Name, u64)>,
}

impl PeerOracle {
    pub(crate) fn new(rules: Settings) -> Self {
        let (addresses, counted, latched, struck, banned, keys) = Default::default();
        Self { rules, addresses, counted, latched, struck, banned, keys }
    }

    /// Remembers who is behind a peer: the oracle works out the networks by itself.
    pub(crate) fn meet(&mut self, peer: Peer, address: IpAddr) {
        self.addresses.insert(peer, address);
    }

    pub(crate) fn last_charge(&self, charge: &ChargeKey) -> Option<u64> {
        let name = name_of(charge);
        self.keys.iter().rev().find(|(other, _)| *other == name).map(|(_, at)| *at)
    }

    pub(crate) fn boundaries(&self) -> Vec<u64> {
        let counted = self.counted.iter().rev().take(20).flat_map(|c| {
            self.limits(c.window.0).iter().map(|limit| c.at + millis(limit.window)).collect::<Vec<_>>()
        });
        let latched = self.latched.iter().rev().take(10).map(|latched| latched.opens);
        let banned = self.banned.iter().rev().take(5).flat_map(|ban| [ban.end, ban.end + A_DAY]);
        let struck = self.struck.iter().rev().take(10).flat_map(|struck| {
            self.rules.bans.strikes.iter().map(move |limit| struck.at + millis(limit.window))
        });
        counted.chain(latched).chain(struck).chain(banned).collect()
    }

    pub(crate) fn expect(&mut self, at: u64, command: &Command) -> Outcome {
        match command {
            Command::Charge(charge) => self.charge(at, charge),
            Command::ChargeKey(charge) => self.charge_key(at, charge),
            Command::RefundKey(refund) => {
                let (name, then) = (name_of(&refund.charge), refund.at.as_millis());
                if let Some(found) = self.keys.iter().rposition(|(other, at)| *other == name && *at <= then) {
                    self.keys.remove(found);
                }
                Outcome::Noted
            }
            Command::Ban(Ban { prefix, .. }) if self.is_exempt(&prefix.to_string()) => Outcome::Exempt,
            Command::Ban(Ban { prefix, span }) => {
                let end = self.ban(prefix.to_string(), *span, at);
                Outcome::Banned(Moment::from_millis(end))
            }
            Command::Unban(prefix) => {
                let (who, claimed) = (prefix.to_string(), format!("{prefix} says "));
                let is_meant = |ban: &Banned| ban.who == who || ban.who.starts_with(&claimed);
                let live = self.banned.iter_mut().filter(|ban| is_meant(ban) && ban.end > at);
                let lifted = live.map(|ban| ban.end = at).count();
                Outcome::Unbanned { was_banned: lifted > 0 }
            }
            other => panic!("not about peers: {other:?}"),
        }
    }

    fn charge(&mut self, at: u64, charge: &Charge) -> Outcome {
        let networks = networks(self.addresses[&charge.peer]);
        let is_about = |ban: &Banned, who: &Name| ban.who == *who || ban.who == named(who, charge.source);
        let ends = self.banned.iter().filter(|ban| networks.iter().any(|(who, _)| is_about(ban, who)));
        if let Some(end) = ends.map(|ban| ban.end).max().filter(|end| *end > at) {
            return charged(at, Some(banned_for(end - at)), Vec::new());
        }
        let window = match charge.activity {
            Activity::Issue | Activity::Check => (charge.activity, Some(charge.mode)),
            other => (other, None),
        };
        if self.limits(charge.activity).is_empty() {
            return charged(at, None, Vec::new());
        }
        let (mut refused, mut wait, mut ban, mut quotas) = (false, None, None, Vec::<Quota>::new());
        for (network, factor) in networks {
            let who = named(&network, charge.source);
            let may_strike = charge.strikes && !self.is_exempt(&network);
            let limits = wider(self.limits(charge.activity), factor);
            let own = wait_for_window(&limits, &self.events(&who, window), at);
            if own.is_none() {
                self.counted.push(Counted { who: who.clone(), window, at });
            } else if may_strike && self.strike(&who, window, &limits, at) {
                ban = ban.max(Some(self.ban(who.clone(), None, at)));
            }
            refused |= own.is_some();
            // Waiting has to be enough for all networks as they are after this request.
            wait = wait.max(wait_for_window(&limits, &self.events(&who, window), at));
            let left = quotas_of(&limits, &self.events(&who, window), at);
            match quotas.is_empty() {
                true => quotas = left,
                false => quotas.iter_mut().zip(left).for_each(|(own, wider)| {
                    let tighter = wider.remaining < own.remaining
                        || wider.remaining == own.remaining && wider.reset_seconds > own.reset_seconds;
                    if tighter {
                        (own.remaining, own.reset_seconds) = (wider.remaining, wider.reset_seconds);
                    }
                }),
            }
        }
        let limited = wait.filter(|_| refused).map(|wait| Refusal::RateLimited {
            policy: Policy::Peer,
            retry_after: Duration::from_millis(wait),
        });
        charged(at, ban.map(|end| banned_for(end - at)).or(limited), quotas)
    }

    /// A window has refused. True if that was the strike that bans.
    fn strike(&mut self, who: &Name, window: Window, limits: &[Limit], at: u64) -> bool {
        if self.rules.bans.strikes.is_empty() {
            return false;
        }
        let events = self.events(who, window);
        let mut fresh = false;
        for (nth, limit) in limits.iter().enumerate() {
            let breached = wait_for_window(&[*limit], &events, at).is_some();
            let closed = self
                .latched
                .iter()
                .any(|l| l.who == *who && l.window == window && l.nth == nth && l.opens > at);
            if breached && !closed {
                fresh = true;
                let opens = at + millis(limit.window);
                // A window of no time is open again at once.
                self.latched.push(Latched { who: who.clone(), window, nth, opens });
            }
        }
        if !fresh {
            return false;
        }
        self.struck.push(Struck { who: who.clone(), at });
        self.rules.bans.strikes.iter().any(|limit| {
            let recent = |s: &&Struck| s.who == *who && s.at + millis(limit.window) > at;
            self.struck.iter().filter(recent).count() >= limit.count as usize
        })
    }

    fn ban(&mut self, who: Name, span: Option<Duration>, at: u64) -> u64 {
        self.struck.retain(|struck| struck.who != who);
        let before = self.banned.iter().rfind(|ban| ban.who == who && ban.end + A_DAY > at);
        let count = match before {
            Some(ban) if ban.end > at => ban.count,
            Some(ban) => ban.count + 1,
            None => 1,
        };
        let mut doubled = self.rules.bans.first;
        for _ in 1..count {
            doubled = (doubled * 2).min(self.rules.bans.max);
        }
        let end = at + millis(span.unwrap_or(doubled.min(self.rules.bans.max)));
        if before.is_some_and(|ban| ban.end > at) {
            self.banned.iter_mut().rfind(|ban| ban.who == who).into_iter().for_each(|ban| ban.end = end);
        } else {
            self.banned.push(Banned { who, end, count });
        }
        end
    }

    fn charge_key(&mut self, at: u64, charge: &ChargeKey) -> Outcome {
        let (limits, name) = (self.rules.key(charge.window).to_vec(), name_of(charge));
        if limits.is_empty() {
            return charged(at, None, Vec::new());
        }
        let events = |keys: &[(Name, u64)]| -> Vec<u64> {
            keys.iter().filter(|(other, _)| *other == name).map(|(_, at)| *at).collect()
        };
        let wait = wait_for_window(&limits, &events(&self.keys), at);
        if wait.is_none() {
            self.keys.push((name.clone(), at));
        }
        let refusal = wait.map(|wait| Refusal::RateLimited {
            policy: if charge.window == KeyWindow::Project { Policy::Project } else { Policy::Key },
            retry_after: Duration::from_millis(wait),
        });
        charged(at, refusal, quotas_of(&limits, &events(&self.keys), at))
    }

    fn limits(&self, activity: Activity) -> &[Limit] {
        let peer = &self.rules.peer;
        match activity {
            Activity::Issue => &peer.issue,
            Activity::Check => &peer.check,
            Activity::Denied => &peer.denied,
            Activity::Handshake => &peer.handshake,
            Activity::Any | Activity::Foreign => &peer.any,
        }
    }

    fn is_exempt(&self, network: &str) -> bool {
        let is_listed = self.rules.bans.exempt != Blocks::default() && EXEMPT_NETWORKS.contains(&network);
        is_listed || network == "127.0.0.1/32"
    }

    fn events(&self, who: &Name, window: Window) -> Vec<u64> {
        self.counted.iter().filter(|c| c.who == *who && c.window == window).map(|c| c.at).collect()
    }
}

/// The name under which a network's windows, strikes and bans go.
fn named(network: &str, source: Source) -> Name {
    match source {
        Source::Proved => network.to_owned(),
        Source::Claimed(owner) => format!("{network} says {owner:?}"),
    }
}

/// A key's or a project's window. A refund takes the newest charge back that is not newer than it says.
fn name_of(charge: &ChargeKey) -> Name {
    format!("{:?} {:?}", charge.window, charge.of.as_bytes())
}

/// The networks around an address, with what their thresholds are multiplied by.
fn networks(address: IpAddr) -> Vec<(Name, u32)> {
    let v6 = match address {
        IpAddr::V4(v4) => return vec![(format!("{v4}/32"), 1)],
        IpAddr::V6(v6) => v6,
    };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return vec![(format!("{v4}/32"), 1)];
    }
    let widths = [(64, 1), (56, 4), (48, 16)];
    let masked = |width: u32| Ipv6Addr::from(u128::from(v6) >> (128 - width) << (128 - width));
    widths.map(|(width, factor)| (format!("{}/{width}", masked(width)), factor)).to_vec()
}

fn wider(limits: &[Limit], factor: u32) -> Vec<Limit> {
    limits.iter().map(|limit| Limit { count: limit.count * factor, ..*limit }).collect()
}

fn quotas_of(limits: &[Limit], events: &[u64], at: u64) -> Vec<Quota> {
    let quota = |limit: &Limit| {
        let span = millis(limit.window);
        let inside: Vec<u64> = events.iter().copied().filter(|event| event + span > at).collect();
        let next = wait_for_window(&[*limit], events, at);
        let next = next.or(inside.iter().min().map(|oldest| oldest + span - at)).unwrap_or(0);
        Quota {
            count: limit.count,
            window_seconds: span.div_ceil(1_000) as u32,
            remaining: (limit.count as usize).saturating_sub(inside.len()) as u32,
            reset_seconds: next.div_ceil(1_000) as u32,
        }
    };
    limits.iter().map(quota).collect()
}

fn charged(at: u64, refusal: Option<Refusal>, quotas: Vec<Quota>) -> Outcome {
    Outcome::Charged(testing::charged(refusal, quotas.into_iter().collect(), Moment::from_millis(at)))
}

fn banned_for(wait: u64) -> Refusal {
    Refusal::Banned { retry_after: Duration::from_millis(wait) }
}
