//! What comes from outside, row by row: keys, origins, forwarding headers, recipients, the catalog.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed row ends the test")]

mod api_keys;
mod disposable;
mod forwarded;
mod origin;
mod recipients;
