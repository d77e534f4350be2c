//! What callers of the API see, over HTTP/3, HTTP/2 and HTTP/1.1: answers, receipts, mails to operators, events.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is the point"
)]
#![allow(clippy::disallowed_methods, reason = "a test waits in real time")]

mod alerts;
mod batch;
mod contract;
mod events;
mod exposed_keys;
mod json;
mod mail_windows;
mod trust;
