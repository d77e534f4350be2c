//! Profiles: the same run again, and no run that can't be meant.
use std::collections::HashSet;

use clap::ValueEnum;

use super::*;
use crate::limits::Rules;

fn wave(seed: u64) -> Profile {
    let mut profile = Scenario::SignupWave.profile();
    (profile.seed, profile.seconds) = (seed, 5.0);
    profile.set("crowd.rate=1000").unwrap();
    profile
}

fn rules() -> Rules {
    Rules::new(&BTreeMap::new()).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_schedule_and_another_seed_another() {
    assert_eq!(wave(7).schedule(), wave(7).schedule());
    assert_ne!(wave(7).schedule(), wave(8).schedule());
    let draw = |n| wave(7).choice("guesses", n).unit();
    assert_eq!(draw(3), draw(3));
    assert_ne!(draw(3), draw(4));
}

#[test]
fn a_schedule_keeps_its_rate_and_its_order() {
    let plans = wave(7).schedule();
    assert!((4700..=5300).contains(&plans.len()), "{}", plans.len());
    assert!(plans.windows(2).all(|pair| pair[0].start <= pair[1].start && pair[0].n + 1 == pair[1].n));
}

#[test]
fn one_role_does_not_shift_another() {
    let mut profile = Scenario::Bombing.profile();
    let canary = |profile: &Profile| -> Vec<_> {
        profile.schedule().into_iter().filter(|plan| plan.role == Role::Canary).collect()
    };
    let before = canary(&profile);
    profile.set("bombers.rate=999").unwrap();
    assert_eq!(canary(&profile), before);
}

#[test]
fn a_spike_is_in_the_middle() {
    let mut profile = wave(7);
    profile.set("crowd.spike=4").unwrap();
    let third = |nth: u32| {
        let span = Duration::from_secs_f64(5.0 / 3.0);
        profile.schedule().iter().filter(|p| p.start >= span * nth && p.start < span * (nth + 1)).count()
    };
    assert!(third(1) > 3 * third(0) && third(1) > 3 * third(2), "{} {} {}", third(0), third(1), third(2));
}

#[test]
fn every_scenarios_profile_is_sound_and_is_the_same_when_printed_and_read_again() {
    for scenario in Scenario::value_variants() {
        let mut profile = scenario.profile();
        profile.set("server.limits.peer.issue=[\"20/1m\"]").unwrap();
        profile.check(&rules()).unwrap_or_else(|problem| panic!("{}: {problem}", scenario.name()));
        assert_eq!(Profile::parse(&profile.print()).as_ref(), Ok(&profile), "{}", profile.print());
        let json = serde_json::to_string(&profile).unwrap();
        assert_eq!(Profile::parse(&json).as_ref(), Ok(&profile), "{json}");
    }
}

#[test]
fn a_knob_that_does_not_exist_is_named() {
    let mut profile = wave(1);
    assert!(profile.set("crowd.speed=3").unwrap_err().contains("speed"));
    assert!(profile.set("crowds.rate=3").unwrap_err().contains("crowds"));
    assert!(profile.set("seconds").is_err());
    profile.set("arrivals=uniform").unwrap();
    let starts: Vec<_> = profile.schedule().iter().map(|plan| plan.start.as_micros()).collect();
    assert_eq!(starts[..3], [1000, 2000, 3000]);
}

#[test]
fn honest_callers_that_would_break_the_limits_are_refused_beforehand() {
    let mut profile = wave(1);
    profile.set("crowd.peers=10").unwrap();
    assert!(profile.check(&rules()).unwrap_err().contains("more peers"));
    profile.set("crowd.backend=true").unwrap();
    assert_eq!(profile.check(&rules()), Ok(()));
}

#[test]
fn no_two_roles_share_an_address_and_none_is_the_servers() {
    let profile = wave(3);
    let ends = Role::ALL.map(|role| [profile.source(role, 0), profile.source(role, PEERS_MAX - 1)]);
    let blocks: HashSet<_> = ends.iter().flatten().map(|address| address.octets()[1]).collect();
    assert_eq!(blocks.len(), Role::ALL.len());
    assert!(blocks.iter().all(|block| (10..250).contains(block)));
}
