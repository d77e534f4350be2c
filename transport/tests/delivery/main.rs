//! Mail from the queue to the recipient: relays, polite and hostile, what a mail says, and whose turn it is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is the point"
)]
#![allow(clippy::disallowed_methods, reason = "a test waits in real time")]

mod faults;
mod mails;
mod postfix;
mod relays;
#[cfg(test)] // tells clippy that these are tests too
mod story;
mod tenants;
