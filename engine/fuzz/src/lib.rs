//! Fuzz targets of the engine: what must hold for any bytes, one file a target in `targets/`.
//!
//! ```text
//!   engine/fuzz/fuzz_targets/NAME.rs ──▶ targets::NAME::check ◀── engine/tests/model/fuzz.rs
//!        (libFuzzer, nightly)                                  (corpus and mutations, stable, in CI)
//! ```
//!
//! A long run, from the root of the repository; `NAME` is a file of `fuzz_targets/`, finds go to `WORK`:
//!
//! ```text
//!   .ci/corpus unfold engine/fuzz/corpus/NAME.hex KEPT
//!   mkdir WORK
//!   cargo +nightly fuzz run --fuzz-dir engine/fuzz -s none NAME WORK KEPT -- -max_total_time=3600
//!   cargo +nightly fuzz run --fuzz-dir engine/fuzz -s none --features canary NAME      # must crash
//! ```
//!
//! (`-s none`: nothing here is unsafe, and without a sanitizer a target runs three times as often.) What
//! `WORK` adds to the coverage, `-- -merge=1 KEPT WORK` puts into `KEPT`; `.ci/corpus fold KEPT
//! engine/fuzz/corpus/NAME.hex` keeps it.

pub mod targets;

// The slow model of the shard, as `engine/tests/model/` plays it.
#[allow(dead_code)]
#[path = "../../tests/model/broken.rs"]
mod broken;
#[path = "../../tests/model/domains.rs"]
mod domains;
#[allow(dead_code)]
#[path = "../../tests/model/oracle.rs"]
mod oracle;
#[allow(dead_code)]
#[path = "../../tests/model/peers.rs"]
mod peers;
#[allow(dead_code)]
#[path = "../../tests/model/play.rs"]
mod play;
#[path = "../../tests/model/shares.rs"]
mod shares;
#[allow(dead_code)]
#[path = "../../tests/model/variants.rs"]
mod variants;

/// Whether the targets look at falsified answers.
pub const CANARY: bool = cfg!(feature = "canary");
