//! Carries requests to the engine and mail to the relay. All decisions are the engine's.
//!
//! ```text
//!   UDP ─▶ socket ─▶ accept ─▶ connection ─▶ exchange (http3) ─┐
//!                                                              ├─▶ serve ─▶ context ─▶ engine
//!   TCP ─▶ tcp_socket ─▶ tcp (hyper) ──────▶ exchange ─────────┘     │
//!                                                    reply ◀─ wire ◀─┴─▶ delivery ─▶ relay
//!   store ◀─▶ control ── Published: keys, policy, certificate ──▶ lanes
//! ```
//!
//! Lanes share only immutable values, counters and queues. Delivery and the control plane run on
//! threads of their own; if either hangs, codes are still checked.
//!
//! No lock is held around state, which a lint enforces (`disallowed-types` in `.clippy.toml`).
//! Libraries contain locks: flume's queues (between lanes, to the keeper, for events) hold a mutex
//! for one push or pop; the locks of quinn and tokio belong to one lane each, so they are never
//! contended; those of the delivery thread are used by that thread only, and the lint's exceptions
//! name them.

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
