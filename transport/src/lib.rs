//! Carries requests to the engine and mail to the relay; decides nothing.
//!
//! ```text
//!   UDP ─▶ socket ─▶ accept ─▶ connection ─▶ exchange (http3) ─┐
//!                                                              ├─▶ serve ─▶ context ─▶ engine
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

pub mod config;
pub mod ground;
mod limits;

mod http;
mod metrics;
mod overload;

pub mod control;
pub mod delivery;
mod net;
pub mod process;
pub mod serve;
