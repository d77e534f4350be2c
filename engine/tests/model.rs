//! Seeded simulation of one shard against a slow oracle that is written from the contract alone
//! (A01, A03, A05, A58).
//!
//! `AUTHEPY_SEED=7` plays one seed only, `AUTHEPY_COMMANDS=1000000` makes every run longer. A failure
//! names the seed, the settings and the command.

#![allow(clippy::unwrap_used, reason = "a run with a mistyped number is no run")]

use std::collections::BTreeMap;
use std::time::Duration;

use authepy_engine::limits::Capacity;
use authepy_engine::shard::{Limit, Settings, Shard};

#[path = "model/broken.rs"]
mod broken;
#[path = "model/oracle.rs"]
mod oracle;
#[path = "model/play.rs"]
mod play;

use broken::{Broken, Rule};
use play::Play;

const SEEDS: [u64; 6] = [1, 2, 3, 5, 8, 13];
/// Commands of one run; the oracle's scans make long runs slow, so there are many short ones.
const COMMANDS: usize = 2_500;

/// A way to run the service, with the number of inboxes that makes its limits bite.
struct Variant {
    name: &'static str,
    inboxes: u64,
    settings: Settings,
}

#[test]
fn a_shard_does_what_the_contract_says() {
    let seeds = number("AUTHEPY_SEED").map_or(SEEDS.to_vec(), |seed| vec![seed]);
    let commands = number("AUTHEPY_COMMANDS").map_or(COMMANDS, |commands| commands as usize);
    let mut seen = BTreeMap::new();
    for seed in seeds {
        for Variant { name, inboxes, settings } in variants() {
            let mut play = Play::new(seed, inboxes, &settings, |keys, rules| Shard::new(keys, rules.clone()));
            if let Err(difference) = play.run(commands) {
                panic!("AUTHEPY_SEED={seed}, settings {name:?}: {difference}");
            }
            for (kind, times) in play.seen {
                *seen.entry(kind).or_insert(0) += times;
            }
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
fn a_broken_rule_is_caught() {
    let mut uncaught = Vec::new();
    for &rule in Rule::ALL {
        let caught = SEEDS.iter().flat_map(|&seed| variants().into_iter().map(move |v| (seed, v))).find_map(
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
const EVERY_OUTCOME: [&str; 21] = [
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
];

fn variants() -> Vec<Variant> {
    let usual = Settings {
        code_length: 6,
        lifetime: Duration::from_secs(300),
        attempts: 5,
        resend_after: Duration::from_secs(30),
        sends: 5,
        recipient_issue: limits(&[(5, 600), (10, 86_400)]),
        capacity: Capacity { inboxes: 1_000, idempotency: 1_000, receipts: 1_000 },
    };
    let variant = |name, inboxes, change: fn(&mut Settings)| {
        let mut settings = usual.clone();
        change(&mut settings);
        Variant { name, inboxes, settings }
    };
    vec![
        variant("as shipped", 12, |_| {}),
        variant("no windows, no pause between mails, many sends", 4, |s| {
            (s.recipient_issue, s.resend_after, s.sends, s.attempts) = (Vec::new(), Duration::ZERO, 255, 3);
        }),
        variant("nobody may receive mail", 4, |s| s.recipient_issue = limits(&[(5, 600), (0, 60)])),
        variant("one of everything", 3, |s| {
            (s.attempts, s.sends, s.lifetime) = (1, 1, Duration::from_secs(60));
            s.recipient_issue = limits(&[(1, 5)]);
        }),
        variant("room for three", 5, |s| {
            s.capacity = Capacity { inboxes: 3, idempotency: 2, receipts: 2 };
            s.recipient_issue = limits(&[(2, 60)]);
        }),
        variant("room for one, no windows", 2, |s| {
            s.capacity = Capacity { inboxes: 1, idempotency: 1, receipts: 1 };
            s.recipient_issue = Vec::new();
        }),
        variant("windows wider than an inbox", 1, |s| {
            (s.lifetime, s.resend_after, s.sends) = (Duration::from_secs(600), Duration::from_secs(1), 3);
            s.recipient_issue = limits(&[(18, 20), (60, 7_000)]);
        }),
        variant("many inboxes, a window of no time", 3_000, |s| {
            (s.resend_after, s.sends) = (Duration::from_secs(2), 20);
            s.recipient_issue = limits(&[(1, 0), (3, 45), (2, 7)]);
        }),
    ]
}

fn limits(list: &[(u32, u64)]) -> Vec<Limit> {
    list.iter().map(|&(count, seconds)| Limit { count, window: Duration::from_secs(seconds) }).collect()
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}
