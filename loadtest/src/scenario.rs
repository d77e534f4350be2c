//! The scenarios: who acts, how much of it, and what must come of it.
//!
//! In all of them every answer is judged, every promised mail must be found and no other, the server must not
//! panic, and beside every attack honest callers (`canary`) must sign in 99 times of 100 and their p99 is
//! reported. Row numbers are those of the attack list in `transport/tests/ATTACKS.md`.
use std::collections::BTreeMap;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::profile::{Arrivals, Knobs, Profile};

/// What can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scenario {
    /// Many phones sign up at a steady rate: issue, mail, (a wrong code,) the right code, (a replay)
    ///
    /// Nobody attacks. Knobs: crowd.rate, .peers, .wrong_share, .replay_share, .fresh, .backend.
    SignupWave,
    /// Four times as many new phones for a third of the time, each on a connection of its own
    ///
    /// Nobody attacks (row A70 in small). Refusals are right if they are 503; the canary must not notice.
    /// Knobs: crowd.rate, .peers, .spike.
    FlashCrowd,
    /// Peers guess at other people's codes, several at once, and try ids that nobody gave them
    ///
    /// Rows A01, A04b, A08: at most `codes.attempts` guesses of a verification are compared, whoever is
    /// first; after `limits.recipient.guess` of an inbox new codes grow; the right code comes too late;
    /// foreign ids end in 429. Knobs: guessers.rate, .peers, .inboxes, .burst.
    CodeGuessing,
    /// One inbox in all its spellings, from many peers; and spellings that are none
    ///
    /// Rows A10-A16: one budget for all of them, never a fresh one; 422 for what is no address, and for
    /// disposable domains; a mail goes to the address as typed. Knobs: mutators.rate, .peers, .inboxes.
    AliasMutation,
    /// Foreign pages use a stolen restricted key
    ///
    /// Rows A22, A24: 403, unreadable for the page, no mail; past `limits.peer.denied` 429.
    /// Knobs: spoofers.rate, .peers.
    OriginSpoof,
    /// Attackers use up every window of an address, are banned, and go on from the next address
    ///
    /// Rows A07, A08, A21b, A21e for IPv4: each window refuses at its count and strikes once; at `bans.strikes`
    /// silence, also for a new connection; the next address begins at zero. With the default limits a fifth
    /// strike takes over a minute. Knobs: rotators.rate (addresses a second), server.bans.strikes.
    IpRotation,
    /// Everybody mails the same few people, under forty spellings, through both keys
    ///
    /// Row A06: no inbox gets more than `limits.recipient.issue`, no peer more than its share of it; mails
    /// counted by the server = mails promised = mails found. Knobs: bombers.rate, .peers, .inboxes.
    Bombing,
    /// Clients that never finish: a head without its end, a body byte by byte, connections without a request
    ///
    /// Row A44: each ends by `connections.deadline`, without a 2xx. Knobs: slow.rate, .peers.
    SlowClients,
    /// Phones change port, and network, between issue and check
    ///
    /// Row A19's honest half: every connection survives, nothing is asked twice. Knobs: migrants.rate, .peers.
    MigratingPhones,
    /// Honest crowds and every attack, all at once
    MixedLaunchDay,
}

/// Who acts. Each role has source addresses and recipients of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Honest callers beside an attack; they must be served.
    Canary,
    /// Honest callers as the load itself; they may be refused.
    Crowd,
    Guessers,
    Mutators,
    Spoofers,
    Rotators,
    Bombers,
    Slow,
    Migrants,
}

impl Role {
    pub(crate) const ALL: [Self; 9] = [
        Self::Canary,
        Self::Crowd,
        Self::Guessers,
        Self::Mutators,
        Self::Spoofers,
        Self::Rotators,
        Self::Bombers,
        Self::Slow,
        Self::Migrants,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::Crowd => "crowd",
            Self::Guessers => "guessers",
            Self::Mutators => "mutators",
            Self::Spoofers => "spoofers",
            Self::Rotators => "rotators",
            Self::Bombers => "bombers",
            Self::Slow => "slow",
            Self::Migrants => "migrants",
        }
    }

    /// Whether it means well: its latencies are what a caller feels.
    pub(crate) fn is_honest(self) -> bool {
        matches!(self, Self::Canary | Self::Crowd | Self::Migrants)
    }

    /// Whether 99 of 100 of its stories must end well.
    pub(crate) fn must_succeed(self) -> bool {
        matches!(self, Self::Canary | Self::Migrants)
    }
}

impl Scenario {
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// The scenario as it runs unless told otherwise: within the server's default limits for all who are
    /// honest.
    pub(crate) fn profile(self) -> Profile {
        let canary = (Role::Canary, Knobs { rate: 20.0, peers: 100, ..Knobs::honest() });
        let act = |role, rate, peers| (role, Knobs { rate, peers, ..Knobs::default() });
        let inboxes = |(role, knobs): (Role, Knobs), inboxes| (role, Knobs { inboxes, ..knobs });
        let fresh = |(role, knobs): (Role, Knobs), spike| {
            (role, Knobs { fresh: true, spike, wrong_share: 0.2, replay_share: 0.1, ..knobs })
        };
        let guessers = Knobs { burst: 8, inboxes: 40, rate: 20.0, peers: 400, ..Knobs::default() };
        let parts = match self {
            Self::SignupWave => vec![(Role::Crowd, Knobs { rate: 300.0, peers: 1_000, ..Knobs::honest() })],
            Self::FlashCrowd => vec![canary, fresh(act(Role::Crowd, 50.0, 2_000), 4.0)],
            Self::CodeGuessing => vec![canary, (Role::Guessers, guessers)],
            Self::AliasMutation => vec![canary, inboxes(act(Role::Mutators, 200.0, 400), 20)],
            Self::OriginSpoof => vec![canary, act(Role::Spoofers, 200.0, 60)],
            Self::IpRotation => vec![canary, act(Role::Rotators, 2.0, 10_000)],
            Self::Bombing => vec![canary, inboxes(act(Role::Bombers, 200.0, 500), 4)],
            Self::SlowClients => vec![canary, act(Role::Slow, 20.0, 500)],
            Self::MigratingPhones => vec![act(Role::Migrants, 30.0, 300)],
            Self::MixedLaunchDay => vec![
                canary,
                fresh(act(Role::Crowd, 20.0, 2_000), 3.0),
                (Role::Guessers, Knobs { rate: 4.0, ..guessers }),
                inboxes(act(Role::Mutators, 30.0, 200), 10),
                act(Role::Spoofers, 30.0, 20),
                act(Role::Rotators, 0.2, 10_000),
                inboxes(act(Role::Bombers, 30.0, 200), 3),
                act(Role::Slow, 3.0, 100),
                act(Role::Migrants, 5.0, 100),
            ],
        };
        let seconds = match self {
            Self::IpRotation => 80.0,
            Self::MixedLaunchDay => 30.0,
            Self::FlashCrowd | Self::SlowClients => 15.0,
            _ => 10.0,
        };
        Profile {
            scenario: self,
            seed: 1,
            seconds,
            arrivals: Arrivals::Poisson,
            threads: 1,
            in_flight: 2_000,
            parts: parts.into_iter().collect(),
            server: BTreeMap::new(),
        }
    }
}
