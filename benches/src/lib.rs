//! How fast is one thing, and against what?
//!
//! A figure without its neighbour is a rumour about a machine: every program here measures what it asks about
//! *and* a bare yardstick in the same run, in alternating windows, and prints the ratio. Figures are kept in
//! `BASELINE.md` with machine, commit and command. What a caller feels is the load harness's question.
//!
//! Instructions are the exception: they depend on no neighbour's load, so [`micro`]'s questions are also counted,
//! and held to the counts of yesterday ([`counts`]).

pub mod client;
pub mod counts;
pub mod cpu;
pub mod frame;
pub mod micro;
pub mod process;
pub mod redis;
pub mod rulebook;
pub mod spread;
pub mod wire;
pub mod yardstick;
