//! The fuzz targets of `transport/fuzz` on a stable compiler, as `engine/tests/model/fuzz.rs` has those of the
//! engine.
#![allow(clippy::panic, clippy::expect_used, reason = "a failed property ends the run")]

use std::path::PathBuf;

#[path = "../../fuzz/src/targets/mod.rs"]
mod targets;

use authepy_engine_testkit::smoke::{self, Check};

/// Name, property, and how many mutations: as many as take about two seconds where nothing is optimised.
const TARGETS: [(&str, Check, usize); 5] = [
    ("request_stream", targets::request_stream::check, 100_000),
    ("uni_stream", targets::uni_stream::check, 200_000),
    ("qpack", targets::qpack::check, 100_000),
    ("head", targets::head::check, 200_000),
    ("json", targets::json::check, 50_000),
];

/// Mutations within which a planted bug has to show.
const CANARY_MUTATIONS: usize = 200_000;

fn corpus(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../fuzz/corpus/{name}.hex"))
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
