//! Runs a target without libFuzzer: its kept corpus, then cheap mutations of it, the same on every run.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use authepy_engine::testing::Seeded;

/// Looks at one input; panics if a property does not hold.
pub type Check = fn(&[u8], bool);

/// Longest input that mutation makes, in octets.
const MAX_INPUT: usize = 4_096;

/// The corpus and `mutations` inputs made from it.
///
/// # Panics
/// With the input, if a property does not hold for one.
pub fn holds(corpus: &Path, check: Check, mutations: usize) {
    let kept = kept(corpus);
    for input in &kept {
        look(check, input);
    }
    let mut random = Seeded::new(mutations as u64);
    for _ in 0..mutations {
        look(check, &mutated(&kept, &mut random));
    }
}

/// After how many mutations of the corpus the canary's bug shows, if it does within `most`.
pub fn canary_shows(corpus: &Path, check: Check, most: usize) -> Option<usize> {
    let (kept, mut random) = (kept(corpus), Seeded::new(most as u64));
    let shows = |input: &[u8]| catch_unwind(AssertUnwindSafe(|| check(input, true))).is_err();
    (0..most).find(|&round| match kept.get(round) {
        Some(input) => shows(input),
        None => shows(&mutated(&kept, &mut random)),
    })
}

fn look(check: Check, input: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| check(input, false))).is_err() {
        panic!("the input was b\"{}\"", input.escape_ascii());
    }
}

/// The inputs of a corpus: a line of hexadecimal each, as `.ci/corpus` writes them.
fn kept(corpus: &Path) -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(corpus).expect("a kept corpus");
    let inputs: Vec<Vec<u8>> = text.lines().filter(|line| !line.starts_with('#')).map(bytes).collect();
    assert!(inputs.len() > 10, "{} inputs are no corpus", inputs.len());
    inputs
}

fn bytes(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2), "half an octet in {hex}");
    let octet = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
    (0..hex.len()).step_by(2).map(octet).collect()
}

/// One of `kept` with a few changes: octets, pieces of others, cuts, repetitions.
fn mutated(kept: &[Vec<u8>], random: &mut Seeded) -> Vec<u8> {
    let below = |random: &mut Seeded, bound: usize| random.below(bound as u64) as usize;
    let mut input = kept[below(random, kept.len())].clone();
    for _ in 0..=below(random, 4) {
        let at = below(random, input.len() + 1);
        let end = (at + 1 + below(random, 16)).min(input.len());
        let other = &kept[below(random, kept.len())];
        let from = below(random, other.len() + 1);
        let piece = other[from..(from + 1 + below(random, 24)).min(other.len())].to_vec();
        match below(random, 7) {
            0 => input.truncate(at),
            1 => drop(input.drain(at..end)),
            2 => drop(input.splice(at..at, piece)),
            3 => drop(input.splice(at..end, piece)),
            4 => drop(input.splice(at..at, input[at..end].to_vec())),
            5 => input.insert(at, random.draw() as u8),
            _ => {
                if let Some(octet) = input.get_mut(at) {
                    *octet ^= 1 << below(random, 8);
                }
            }
        }
    }
    input.truncate(MAX_INPUT);
    input
}
