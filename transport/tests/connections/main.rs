//! Connections and what they take from others: descriptors, places, lanes; and how they end.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is the point"
)]
#![allow(clippy::disallowed_methods, reason = "a test waits in real time")]

mod datagrams;
mod descriptors;
mod early_answers;
mod head;
mod lanes;
mod networks;
mod outside_clients;
mod phone_moves;
mod resets;
mod unserved;
