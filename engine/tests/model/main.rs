//! Seeded simulation of one shard against a slow oracle that is written from the contract alone
//! (A01, A03, A05, A06, A21b, A21e, A58): many inboxes, peers of both families, honest and hostile askers,
//! on a virtual clock that likes the edges of windows.
//!
//! Held in every run, after every command:
//! 1. A right code works once, for its own verification, owner and purpose; tries are counted first.
//! 2. No span of a window ever holds more than its count: per inbox, per peer's share of an inbox, per
//!    network around a peer, per key; what a window refused does not count in it.
//! 3. Each `retry_after` is enough, and a millisecond less is not.
//! 4. A wrong code counts once for each live code it was compared with; new codes grow by the ledger, and
//!    nobody is refused for it.
//! 5. A window strikes once in its span; the strike that is one too many bans at once and for twice as long
//!    as a ban of the last day; a banned peer is charged nothing; operators ban and lift; nobody is struck for
//!    what is no fault of theirs, or banned for others by what a project says, or banned at all if exempt.
//! 6. What a quota says is left is what is left.
//! 7. The counters tell how much is held; when all is over, nothing is.
//!
//! 1,000 short runs vary the seed, a few long ones go deep. `AUTHEPY_SEED=7` plays one seed only,
//! `AUTHEPY_COMMANDS=1000000` makes every run longer. A failure names the seed, the settings and the command.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a difference, or a mistyped number, ends the run")]

use std::collections::BTreeMap;

use authepy_engine::shard::{Settings, Shard};
use authepy_engine_testkit::model::broken::{Broken, Rule};
use authepy_engine_testkit::model::play::Play;
use authepy_engine_testkit::model::variants::{Variant, variants};

mod fuzz;

const SEEDS: [u64; 6] = [1, 2, 3, 5, 8, 13];
/// Seeds that a broken rule is played with until it is noticed.
const MORE_SEEDS: std::ops::Range<u64> = 1..41;
/// Commands of one run; the oracle's scans make long runs slow, so there are many short ones.
const COMMANDS: usize = 2_500;
/// Seeds that are played once each, with one of the settings.
const SHORT_RUNS: u64 = 1_000;
const SHORT_COMMANDS: usize = 400;

#[test]
fn a_shard_does_what_the_contract_says() {
    let seeds = number("AUTHEPY_SEED").map_or(SEEDS.to_vec(), |seed| vec![seed]);
    let commands = number("AUTHEPY_COMMANDS").map_or(COMMANDS, |commands| commands as usize);
    let mut seen = BTreeMap::new();
    for seed in seeds {
        for variant in variants() {
            play(seed, &variant, commands, &mut seen);
        }
    }
    let all: usize = seen.values().sum();
    println!("{all} commands: {seen:?}");
    for kind in EVERY_OUTCOME.iter().filter(|_| all >= 100_000) {
        let times = seen.get(kind).copied().unwrap_or(0);
        assert!(times >= 30, "{kind:?} came up {times} times: the runs prove nothing about it");
    }
}

#[test]
fn a_thousand_seeds_find_no_difference() {
    let (all, mut seen) = (variants(), BTreeMap::new());
    for seed in 1_000..1_000 + SHORT_RUNS {
        play(seed, &all[seed as usize % all.len()], SHORT_COMMANDS, &mut seen);
    }
    println!("{seen:?}");
}

fn play(seed: u64, variant: &Variant, commands: usize, seen: &mut BTreeMap<&'static str, usize>) {
    let Variant { name, inboxes, settings } = variant;
    let mut play = Play::new(seed, *inboxes, settings, |keys, rules| Shard::new(keys, rules.clone()));
    if let Err(difference) = play.run(commands) {
        panic!("AUTHEPY_SEED={seed}, settings {name:?}: {difference}");
    }
    for (kind, times) in play.seen {
        *seen.entry(kind).or_insert(0) += times;
    }
}

#[test]
fn a_broken_rule_is_caught() {
    let mut uncaught = Vec::new();
    for &rule in Rule::ALL {
        let caught = MORE_SEEDS.flat_map(|seed| variants().into_iter().map(move |v| (seed, v))).find_map(
            |(seed, Variant { name, inboxes, settings })| {
                let broken = |keys, rules: &Settings| Broken::new(rule, keys, rules);
                let difference = Play::new(seed, inboxes, &settings, broken).run(COMMANDS).err()?;
                Some(format!("seed {seed}, {name}: {difference}"))
            },
        );
        match caught {
            Some(difference) => println!("{rule:?}: {difference}"),
            None => uncaught.push(rule),
        }
    }
    assert!(uncaught.is_empty(), "nobody noticed {uncaught:?}");
}

/// All that a shard can answer. `NotReady` is the actor's.
const EVERY_OUTCOME: [&str; 31] = [
    "issued",
    "resent",
    "approved",
    "incorrect",
    "exhausted",
    "cancelled",
    "status",
    "noted",
    "reserved",
    "repeated",
    "spent",
    "not found",
    "recipient mismatch",
    "nonce mismatch",
    "malformed code",
    "recipient limit",
    "resend limit",
    "overloaded",
    "still sending",
    "in progress",
    "key reused",
    "charged",
    "peer limit",
    "peer banned",
    "key limit",
    "project limit",
    "domain limit",
    "banned",
    "exempt",
    "unbanned",
    "was not banned",
];

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}
