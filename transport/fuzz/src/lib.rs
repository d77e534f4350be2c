//! Fuzz targets of what reads a caller's bytes, as `engine/fuzz` has them of the rules; run them as its
//! `Cargo.toml` says, with `transport/fuzz` in place of `engine/fuzz`.
//!
//! ```text
//!   transport/fuzz/fuzz_targets/NAME.rs ──▶ targets::NAME::check ◀── transport/src/fuzz.rs
//!        (libFuzzer, nightly)                                      (unit test, stable, in CI)
//! ```
//!
//! The files under test are read in by their paths and not linked from `authepy-transport`. They are private
//! there, and would have to be made public for this alone; and libFuzzer walks over the counters of all that
//! is linked after every input, which a database and a TLS library would make thirty times as many.

#![allow(dead_code, reason = "the product uses what the targets don't")]

#[path = "../../src/canonical.rs"]
mod canonical;
#[path = "../../src/http3/mod.rs"]
mod http3;
#[path = "../../src/limits.rs"]
mod limits;
#[path = "../../src/wire.rs"]
mod wire;

/// Where `wire.rs` looks for it.
mod reply {
    pub(crate) use crate::problem::Problem;
}
#[path = "../../src/reply/problem.rs"]
mod problem;

pub mod targets;

/// Whether the targets look at falsified answers.
pub const CANARY: bool = cfg!(feature = "canary");
