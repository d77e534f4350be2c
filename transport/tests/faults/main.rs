//! Faults, each brought on a running server from outside, with an honest phone beside it. What must come of each
//! stands in `tests/FAULTS.md`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed expectation is the point, and figures are told"
)]
#![allow(clippy::disallowed_methods, reason = "a test waits in real time")]

mod clocks;
mod control;
mod drain;
mod expired;
mod isolation;
mod killed;
mod log;
mod panics;
mod phone;
mod ports;
mod relays;
mod scarce;
mod stops;
mod stores;
