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

use tokio::sync::{Mutex, MutexGuard};

/// Tests of this program run one after the other: each takes all cores, and what one measures of its server (memory,
/// what is shed, who is heard in time) would tell of the other's load.
async fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}
