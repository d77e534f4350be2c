//! Any sequence of commands does to a shard what the slow model says, right code and tries first of all.
//!
//! The input is the settings, then the choices of the run (`Seeded::scripted`): who asks for what, when,
//! with which code. A difference is told with its command.

use authepy_engine::route::StartKeys;
use authepy_engine::shard::{Settings, Shard};
use authepy_engine::testing::Seeded;

use crate::model::broken::{Broken, Rule};
use crate::model::play::{Play, Subject};
use crate::model::variants::{Variant, variants};

/// More would only be slow: the model scans all that ever happened.
const COMMANDS: usize = 400;

/// Looks at one input, with one answer falsified where this is the canary.
///
/// # Panics
/// If the property does not hold.
pub fn check(input: &[u8], canary: bool) {
    let Some((&first, script)) = input.split_first() else { return };
    let variants = variants();
    let variant = &variants[usize::from(first) % variants.len()];
    let told = match canary {
        false => play(variant, script, |keys, rules| Shard::new(keys, rules.clone())),
        // One of the shards that `tests/model/` catches.
        true => play(variant, script, |keys, rules| Broken::new(Rule::ACodeWorksTwice, keys, rules)),
    };
    if let Err(difference) = told {
        panic!("settings {:?}: {difference}", variant.name);
    }
}

fn play<S: Subject>(
    variant: &Variant,
    script: &[u8],
    subject: impl FnOnce(StartKeys, &Settings) -> S,
) -> Result<(), String> {
    let (random, entropy) = (Seeded::scripted(script), Seeded::new(0xa5a5));
    Play::with(random, entropy, variant.inboxes, &variant.settings, subject).run(COMMANDS)
}
