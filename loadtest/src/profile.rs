//! A profile is the whole run as a value: print it, and the same run can be had again.
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::random::Random;
use crate::scenario::{Role, Scenario};

mod check;
mod knobs;
pub(crate) use knobs::Knobs;

/// Seed and knobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Profile {
    pub(crate) scenario: Scenario,
    /// Fixes start times, addresses, recipients and choices. A second run against the same server wants another
    /// one: the server remembers who asked.
    pub(crate) seed: u64,
    /// How long stories keep starting.
    pub(crate) seconds: f64,
    pub(crate) arrivals: Arrivals,
    /// Threads, each with its own runtime and sockets.
    pub(crate) threads: usize,
    /// Stories under way at once; one above the cap is reported as not started.
    pub(crate) in_flight: usize,
    /// Who acts, and how much.
    #[serde(flatten)]
    pub(crate) parts: BTreeMap<Role, Knobs>,
    /// Settings that a server is started with, and that the oracle holds it to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) server: BTreeMap<String, String>,
}

/// How start times are spread over the run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Arrivals {
    /// Independent callers: exponential gaps, so bursts happen
    Poisson,
    /// One every 1/rate seconds
    Uniform,
}

/// One story of the schedule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) role: Role,
    /// Counts the role's stories.
    pub(crate) n: u64,
    /// Since the run's beginning.
    pub(crate) start: Duration,
}

/// What 127.x.y.z has room for, for each role and seed.
const PEERS_MAX: usize = 65_000;

impl Profile {
    /// From TOML or JSON text.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text.trim_start().starts_with('{') {
            true => serde_json::from_str(text).map_err(|error| error.to_string()),
            false => toml::from_str(text).map_err(|error| error.to_string()),
        }
    }

    pub(crate) fn print(&self) -> String {
        toml::to_string(self).unwrap_or_default()
    }

    /// Turns one knob: `seconds=5`, `crowd.rate=100`, `server.bans.strikes=3/10m`.
    pub(crate) fn set(&mut self, assignment: &str) -> Result<(), String> {
        let (name, value) = assignment.split_once('=').ok_or(format!("{assignment}: not KNOB=VALUE"))?;
        if let Some(setting) = name.strip_prefix("server.") {
            self.server.insert(setting.into(), value.into());
            return Ok(());
        }
        let blame = |error: &dyn std::fmt::Display| format!("{assignment}: {error}");
        let mut all = toml::Table::try_from(&*self).map_err(|error| blame(&error))?;
        let line = format!("{name} = {value}");
        let turned: toml::Table = line
            .parse()
            .or_else(|_| format!("{name} = '{value}'").parse())
            .map_err(|error: toml::de::Error| blame(&error))?;
        for (key, value) in turned {
            match (all.get_mut(&key).and_then(toml::Value::as_table_mut), value) {
                (Some(part), toml::Value::Table(knobs)) => part.extend(knobs),
                (_, value) => drop(all.insert(key, value)),
            }
        }
        *self = all.try_into().map_err(|error| blame(&error))?;
        Ok(())
    }

    /// Every story in order of its start. Each role's times come from their own stream of the seed, so that
    /// turning one knob leaves the rest of the run as it was.
    pub(crate) fn schedule(&self) -> Vec<Plan> {
        let mut plans: Vec<_> =
            self.parts.iter().flat_map(|(role, knobs)| self.schedule_of(*role, knobs)).collect();
        plans.sort_by_key(|plan| plan.start);
        plans
    }

    fn schedule_of(&self, role: Role, knobs: &Knobs) -> Vec<Plan> {
        let mut times = Random::new(self.seed, role.name());
        let third = self.seconds / 3.0;
        let mut at = 0.0;
        let mut plans = Vec::new();
        loop {
            let in_spike = knobs.spike > 0.0 && (third..2.0 * third).contains(&at);
            let gap = 1.0 / if in_spike { knobs.rate * knobs.spike } else { knobs.rate };
            at += match self.arrivals {
                Arrivals::Poisson => times.gap() * gap,
                Arrivals::Uniform => gap,
            };
            if at > self.seconds {
                return plans;
            }
            plans.push(Plan { role, n: plans.len() as u64, start: Duration::from_secs_f64(at) });
        }
    }

    /// The knobs of a role; those of one that does not act are zero.
    pub(crate) fn knobs(&self, role: Role) -> Knobs {
        self.parts.get(&role).copied().unwrap_or_default()
    }

    /// Which of its role's peers plays story `n`.
    pub(crate) fn peer(&self, role: Role, n: u64) -> usize {
        usize::try_from(n).unwrap_or(0) % self.knobs(role).peers.max(1)
    }

    /// A role's source address: 127.10.0.1 to 127.249.255.232, in blocks by role and seed.
    pub(crate) fn source(&self, role: Role, peer: usize) -> Ipv4Addr {
        let block =
            10 + (self.seed.wrapping_mul(Role::ALL.len() as u64).wrapping_add(role as u64) % 240) as u8;
        let peer = u32::try_from(peer % PEERS_MAX).unwrap_or(0) + 1;
        Ipv4Addr::from_bits(Ipv4Addr::new(127, block, 0, 0).to_bits() + peer)
    }

    /// Never used before under this seed.
    pub(crate) fn recipient(&self, role: Role, n: u64) -> String {
        format!("{}{}-{n}@example.com", role.name(), self.seed)
    }

    /// A choice of story `n`: the same whatever else is turned, or runs first.
    pub(crate) fn choice(&self, purpose: &str, n: u64) -> Random {
        Random::new(self.seed ^ n.wrapping_mul(0x9e37_79b9_7f4a_7c15), purpose)
    }
}

#[cfg(test)]
#[path = "profile_tests.rs"]
mod tests;
