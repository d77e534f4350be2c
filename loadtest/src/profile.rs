//! A profile is the whole run as a value: print it, and the same run can be had again.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::random::Random;
use crate::target::Target;

/// Seed and knobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Profile {
    pub(crate) scenario: String,
    pub(crate) seed: u64,
    /// Sign-ups a second, on average.
    pub(crate) rate: f64,
    pub(crate) seconds: f64,
    pub(crate) arrivals: Arrivals,
    pub(crate) connections: usize,
    pub(crate) peers: usize,
    pub(crate) threads: usize,
    pub(crate) in_flight: usize,
    pub(crate) wrong_share: f64,
    pub(crate) replay_share: f64,
}

/// How start times are spread over the run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Arrivals {
    /// Independent callers: exponential gaps, so bursts happen
    Poisson,
    /// One every 1/rate seconds
    Uniform,
}

/// One sign-up of the schedule.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) n: u64,
    /// Since the run's beginning.
    pub(crate) start: Duration,
    pub(crate) guesses_wrong: bool,
    pub(crate) replays: bool,
}

/// 127.0.0.2 and up; one socket and one connection each, so descriptors end before addresses do.
const PEERS_MAX: usize = 60_000;
/// A schedule is held in memory, 32 bytes a sign-up.
const SIGNUPS_MAX: f64 = 20e6;

impl Profile {
    /// Refuses what can't be meant, before anything is sent.
    pub(crate) fn check(&self, target: &Target) -> Result<(), String> {
        let share = |share: f64| (0.0..=1.0).contains(&share);
        let holds = [
            (self.rate > 0.0 && self.seconds > 0.0, "--rate and --seconds must be above 0"),
            (self.rate * self.seconds <= SIGNUPS_MAX, "--rate times --seconds is over 20 million sign-ups"),
            (share(self.wrong_share) && share(self.replay_share), "a share is between 0 and 1"),
            (self.connections > 0 && self.in_flight > 0, "--connections and --in-flight must be above 0"),
            ((1..=self.connections).contains(&self.threads), "--threads is between 1 and --connections"),
            ((1..=PEERS_MAX).contains(&self.peers), "--peers is between 1 and 60000"),
            (self.peers <= self.connections, "every one of the --peers needs one of the --connections"),
            (self.peers == 1 || target.h3.is_ipv4(), "many --peers need an IPv4 target"),
        ];
        holds.iter().find(|(held, _)| !held).map_or(Ok(()), |(_, problem)| Err((*problem).into()))
    }

    /// Every sign-up in order of its start. Times and choices come from separate streams of the seed, so that
    /// turning one knob leaves the rest of the run as it was.
    pub(crate) fn schedule(&self) -> Vec<Plan> {
        let mut times = Random::new(self.seed, "times");
        let mut guesses = Random::new(self.seed, "guesses");
        let mut replays = Random::new(self.seed, "replays");
        let mut at = 0.0;
        let mut plans = Vec::new();
        loop {
            at += match self.arrivals {
                Arrivals::Poisson => times.gap() / self.rate,
                Arrivals::Uniform => 1.0 / self.rate,
            };
            if at > self.seconds {
                return plans;
            }
            plans.push(Plan {
                n: plans.len() as u64,
                start: Duration::from_secs_f64(at),
                guesses_wrong: guesses.unit() < self.wrong_share,
                replays: replays.unit() < self.replay_share,
            });
        }
    }

    /// The source address of connection `index`.
    pub(crate) fn source(&self, index: usize, target: &Target) -> IpAddr {
        if target.h3.is_ipv6() {
            return Ipv6Addr::LOCALHOST.into();
        }
        let peer = u32::try_from(index % self.peers).unwrap_or(0);
        Ipv4Addr::from_bits(Ipv4Addr::new(127, 0, 0, 2).to_bits() + peer).into()
    }

    /// Never used before under this seed.
    pub(crate) fn recipient(&self, n: u64) -> String {
        format!("user{}-{n}@example.com", self.seed)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn profile(seed: u64) -> Profile {
        Profile {
            scenario: "signup-wave".into(),
            seed,
            rate: 1000.0,
            seconds: 5.0,
            arrivals: Arrivals::Poisson,
            connections: 4,
            peers: 1,
            threads: 1,
            in_flight: 100,
            wrong_share: 0.2,
            replay_share: 0.3,
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_schedule_and_another_seed_another() {
        assert_eq!(profile(7).schedule(), profile(7).schedule());
        assert_ne!(profile(7).schedule(), profile(8).schedule());
    }

    #[test]
    fn a_schedule_keeps_its_rate_its_shares_and_its_order() {
        let plans = profile(7).schedule();
        assert!((4700..=5300).contains(&plans.len()), "{}", plans.len());
        assert!(plans.windows(2).all(|pair| pair[0].start <= pair[1].start && pair[0].n + 1 == pair[1].n));
        let wrong = plans.iter().filter(|plan| plan.guesses_wrong).count();
        assert!((850..=1150).contains(&wrong), "{wrong}");
    }

    #[test]
    fn one_knob_does_not_shift_another() {
        let (few, many) = (profile(7), Profile { wrong_share: 0.9, ..profile(7) });
        let rest = |plan: &Plan| (plan.start, plan.replays);
        assert!(few.schedule().iter().map(rest).eq(many.schedule().iter().map(rest)));
    }

    #[test]
    fn a_printed_profile_is_the_run() {
        let printed = serde_json::to_string(&profile(7)).unwrap();
        assert_eq!(serde_json::from_str::<Profile>(&printed).unwrap(), profile(7));
    }

    #[test]
    fn uniform_arrivals_are_evenly_spaced() {
        let plans = Profile { arrivals: Arrivals::Uniform, seconds: 0.01, ..profile(1) }.schedule();
        let starts: Vec<_> = plans.iter().map(|plan| plan.start.as_micros()).collect();
        assert_eq!(&starts[..3], [1000, 2000, 3000]);
    }
}
