//! What the tests of the engine and its fuzzer share: a slow model of a shard, the properties of the fuzz targets, and
//! a loop that plays a target without a fuzzer.
//!
//! ```text
//!   engine/fuzz/fuzz_targets/NAME.rs ──▶ targets::NAME::check ◀── engine/tests/model/fuzz.rs
//!        (libFuzzer, nightly)                                  (corpus and mutations, stable, in CI)
//!                                               model ◀──────── engine/tests/model/main.rs
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in a test a failed expectation is the point"
)]

pub mod model;
pub mod smoke;
pub mod targets;
