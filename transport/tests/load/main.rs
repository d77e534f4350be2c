//! Much at once: storms, tables filled to their ends, parallel checks. What is held is counted or measured, and an
//! honest phone beside it must not notice.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed expectation is the point, and figures are told"
)]
#![allow(clippy::disallowed_methods, reason = "a test waits in real time")]

mod ceiling;
mod parallel;
mod storms;
mod tables;
