//! Hostile peers: on the wire (HTTP/3, TCP, forged packets), and by asking too much. What each must meet stands in
//! `tests/ATTACKS.md`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is the point"
)]
#![allow(clippy::disallowed_methods, reason = "a test waits in real time")]

mod bans;
mod framing;
mod h3spec;
mod http3;
mod peers;
mod proxies;
mod tcp;
