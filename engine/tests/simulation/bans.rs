//! The watch's part about bans: who may be banned, until when, and what lanes may know of it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use authepy_engine::clock::Moment;
use authepy_engine::peer::{Peer, Prefix};
use authepy_engine::perimeter::ban::BanChange;
use authepy_engine::request::{Activity, Charge, Policy, Refusal, Source};

use crate::watch::{Told, same};

/// What came up, to be counted.
pub(crate) type Sight = Option<&'static str>;

/// What shards said of networks.
pub(crate) struct BanWatch {
    /// Strikes that ban.
    strikes: u32,
    /// Refusals by the windows of each network: when, of what, and whether by the window of an hour.
    refused: HashMap<Prefix, Vec<(u64, Activity, bool)>>,
    /// Bans that owners told: from when, until when.
    bans: HashMap<Prefix, (u64, Moment)>,
}

impl BanWatch {
    pub(crate) fn new(strikes: u32) -> Self {
        Self { strikes, refused: HashMap::new(), bans: HashMap::new() }
    }

    /// 8: who is banned is told so, exactly as long as the ban holds.
    pub(crate) fn charged(
        &mut self,
        at: Moment,
        charge: &Charge,
        refusal: Option<&Refusal>,
    ) -> Result<Sight, Told> {
        let running = charge.peer.prefixes().filter_map(|prefix| self.bans.get(&prefix)).map(|(_, end)| *end);
        let until = running.max().filter(|until| *until > at);
        if charge.source != Source::Proved {
            return claimed(at, until, refusal);
        }
        match refusal {
            Some(Refusal::Banned { retry_after }) => {
                // The request that is one too many is told of the ban it brought.
                if let Some(until) = until {
                    same("the ban's end", &at.after(*retry_after), &until)?;
                }
                Ok(Some("banned"))
            }
            _ if until.is_some() => Err("a banned peer was heard".into()),
            Some(Refusal::RateLimited { policy: Policy::Peer, retry_after }) => {
                let long = *retry_after > Duration::from_secs(60);
                for prefix in charge.peer.prefixes() {
                    let refusals = self.refused.entry(prefix).or_default();
                    refusals.push((at.as_millis(), charge.activity, long));
                }
                Ok(Some("peer limit"))
            }
            _ => Ok(None),
        }
    }

    /// 8: nobody is banned who did not breach windows often enough.
    pub(crate) fn ban_changed(&mut self, change: &BanChange, at: u64) -> Result<(), Told> {
        let Some(until) = change.until else {
            let running = self.bans.get(&change.prefix).is_some_and(|(_, end)| end.as_millis() > at);
            return if running { Err("a ban was lifted by nobody".into()) } else { Ok(()) };
        };
        self.bans.insert(change.prefix, (at, until));
        // The refusal that brings the ban is not told as a limit's.
        let strikes = 1 + self.most_strikes(change.prefix, at);
        if strikes >= self.strikes { Ok(()) } else { Err(format!("banned after {strikes} strikes")) }
    }

    /// The most strikes that the refusals of the last ten minutes can have been: one for each window and minute.
    fn most_strikes(&self, prefix: Prefix, at: u64) -> u32 {
        let none = Vec::new();
        let refusals = self.refused.get(&prefix).unwrap_or(&none);
        let mut strikes = 0;
        for activity in [Activity::Issue, Activity::Check, Activity::Denied, Activity::Handshake] {
            let mut last = None;
            for &(then, _, _) in
                refusals.iter().filter(|(then, of, _)| *of == activity && then + 600_000 > at)
            {
                if last.is_none_or(|last| then >= last + 60_000) {
                    (strikes, last) = (strikes + 1, Some(then));
                }
            }
        }
        let hour = refusals.iter().any(|(then, _, long)| *long && then + 600_000 > at);
        strikes + u32::from(hour)
    }

    /// 8: lanes hear of bans within the bound, and of none that there is not.
    pub(crate) fn at_the_lane(
        &self,
        address: IpAddr,
        at: u64,
        known: Option<Moment>,
        bound: u64,
    ) -> Result<Sight, Told> {
        let bans = Peer::from(address).prefixes().filter_map(|prefix| self.bans.get(&prefix));
        let holding: Vec<_> = bans.filter(|(_, until)| until.as_millis() > at).collect();
        match known {
            Some(until) if !holding.iter().any(|(_, end)| *end == until) => {
                Err("a lane keeps out whom no shard has banned".into())
            }
            Some(_) => Ok(Some("dropped at the lane")),
            None if holding.iter().any(|(from, _)| from + 2 * bound < at) => {
                Err("a lane has not heard of a ban".into())
            }
            None => Ok(None),
        }
    }
}

/// 8: what a project says of a peer counts nowhere else; whom shards have banned, it is refused too.
fn claimed(at: Moment, until: Option<Moment>, refusal: Option<&Refusal>) -> Result<Sight, Told> {
    match (until, refusal) {
        (None, Some(Refusal::Banned { .. })) => Ok(Some("banned for a project")),
        (Some(until), Some(Refusal::Banned { retry_after })) if at.after(*retry_after) >= until => {
            Ok(Some("banned"))
        }
        (Some(_), _) => Err("a banned peer was heard through a project".into()),
        (None, _) => Ok(None),
    }
}
