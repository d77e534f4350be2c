//! What the tests of the whole product share: a running server, clients and relays that are not ours, an operator.
//!
//! ```text
//!   server ── the built binary, with ports and a folder of its own; serve: as an operator sets it up
//!   phone  ── one client over HTTP/3, HTTP/2 and HTTP/1.1; tcp and raw: below it; canary: beside a fault
//!   peers  ── many source addresses on one machine
//!   folder, client, operator ── an operator's files, requests and commands
//!   script, sink, postfix, postgres ── programs of others
//! ```
//!
//! Nothing here links the product: it is reached as a process, over the network and through files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in a test a failed expectation is the point"
)]
#![allow(clippy::disallowed_methods, reason = "a test waits in real time")]

pub mod canary;
pub mod client;
pub mod folder;
pub mod operator;
pub mod peers;
pub mod phone;
pub mod postfix;
pub mod postgres;
pub mod raw;
pub mod script;
pub mod serve;
mod server;
pub mod sink;
pub mod tcp;

pub use server::{DevServer, NO_LIMITS, PATIENCE, binary, code_in};
