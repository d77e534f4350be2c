//! Fuzz targets of what reads a caller's bytes, as `engine/fuzz` has them of the rules; run them as its
//! `Cargo.toml` says, with `transport/fuzz` in place of `engine/fuzz`.
//!
//! ```text
//!   transport/fuzz/fuzz_targets/NAME.rs ──▶ targets::NAME::check ◀── transport/http3/tests/fuzz.rs
//!        (libFuzzer, nightly)                                      (test, stable, in CI)
//! ```
//!
//! They use the codec by its public face, as any caller does. Its crate links no database and no TLS library:
//! libFuzzer walks over the counters of all that is linked after every input.

pub mod targets;

/// Whether the targets look at falsified answers.
pub const CANARY: bool = cfg!(feature = "canary");
