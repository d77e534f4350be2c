//! Carries requests to the engine and mail to the relay; decides nothing.
//!
//! ```text
//!   UDP ─▶ socket ─▶ accept ─▶ connection ─▶ exchange (http3) ─┐
//!                                                              ├─▶ serve ─▶ desk ─▶ engine
//!   TCP ─▶ tcp_socket ─▶ tcp (hyper) ──────▶ exchange ─────────┘     │
//!                                                    reply ◀─ wire ◀─┴─▶ delivery ─▶ relay
//!   store ◀─▶ control ── Published: keys, policy, certificate ──▶ lanes
//! ```
//!
//! Lanes share nothing but what is immutable, counters, and queues; delivery and control plane run on threads of
//! their own. Hang either, and checks go on.
//!
//! No lock is held around state, and a lint says so (`disallowed-types` in `.clippy.toml`). There are locks in
//! libraries: flume's queues (between lanes, to the keeper, of events) have a mutex that is held for one push or pop;
//! those of quinn and tokio are a lane's own, so that nobody waits for them; those of the delivery thread are its own,
//! and stand where they are allowed by name.

#![cfg_attr(not(test), deny(clippy::disallowed_types))]

mod accept;
mod connection;
mod exchange;
mod lane;
mod shedding;
mod socket;
mod tcp;
mod tcp_socket;

mod desk;
mod lookup;
mod query;
pub mod receipt;
mod reply;
mod serve;
mod target;
mod turnstile;
mod wire;

pub mod control;
pub mod delivery;
pub mod events;
mod hook;
mod roots;

pub mod cli;
mod clock;
pub mod config;
mod descriptors;
mod drain;
mod entropy;
mod exposure;
#[cfg(debug_assertions)]
mod fault;
mod hex;
mod limits;
mod observe;
mod patience;
mod policy;
mod published;
pub mod server;
pub mod tls;
mod told;
pub mod wiping;
