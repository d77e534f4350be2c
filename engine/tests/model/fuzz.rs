//! The fuzz targets of `engine/fuzz` on a stable compiler: each over its kept corpus and some thousand
//! mutations of it, and each once with a bug planted, which it must find.

use std::path::PathBuf;

use authepy_engine_testkit::smoke::{self, Check};
use authepy_engine_testkit::targets;

/// Name, property, and how many mutations: as many as take about two seconds where nothing is optimised.
const TARGETS: [(&str, Check, usize); 7] = [
    ("recipient", targets::recipient::check, 100_000),
    ("origin", targets::origin::check, 100_000),
    ("api_key", targets::api_key::check, 100_000),
    ("forwarded", targets::forwarded::check, 300_000),
    ("identifiers", targets::identifiers::check, 200_000),
    ("catalog", targets::catalog::check, 20_000),
    ("commands", targets::commands::check, 3_000),
];

/// Mutations within which a planted bug has to show.
const CANARY_MUTATIONS: usize = 200_000;

fn corpus(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("fuzz/corpus/{name}.hex"))
}

#[test]
fn every_property_holds_for_the_corpus_and_near_it() {
    for (name, check, mutations) in TARGETS {
        println!("{name}");
        smoke::holds(&corpus(name), check, mutations);
    }
}

#[test]
fn every_target_finds_the_bug_planted_for_it() {
    for (name, check, _) in TARGETS {
        let found = smoke::canary_shows(&corpus(name), check, CANARY_MUTATIONS);
        println!("{name}: input {}", found.unwrap_or_else(|| panic!("{name} found nothing")));
    }
}
