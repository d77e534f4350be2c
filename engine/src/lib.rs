//! The rulebook of Authepy: who may be sent a code, which code is right, and when to say no.
//!
//! ```text
//!   request ─▶ perimeter (key, origin) ─▶ recipient (one inbox) ─▶ route ─▶ shard ─▶ outcome
//!                                                                            │
//!                                              inboxes · idempotency keys · spent receipts
//! ```
//!
//! The engine decides and never waits. Time ([`clock`]) and randomness ([`entropy`]) are arguments;
//! there is no I/O and no lock around state, and no request content can cause a panic. All bounds
//! are in [`limits`]. State belongs to shards, each owned by one thread. [`actor`] runs the shards
//! and carries commands between threads; it is the only module that uses actix, and its channels
//! contain a mutex.
//!
//! Invariants, each tested against a simple reference model in `tests/model/`: a correct code
//! succeeds once; an attempt is counted before the code is compared; nothing works after expiry,
//! cancel or the last attempt; attempts are never given back; an id is visible to its own project
//! and mode only; windows survive the purge; a full table refuses new work and drops no live code.
//!
//! Terms: a *verification* is one issued code with its resends; an *inbox* is a canonical
//! recipient; an *owner* is a project in live or test mode; to *purge* is to wipe a secret
//! immediately, to *sweep* is to free expired records; a *lane* is a thread with one shard.

// Lanes share only immutable data, atomics and queues. Tests may use locks.
#![cfg_attr(not(test), deny(clippy::disallowed_types))]

pub mod request;

pub mod perimeter;
pub mod recipient;

pub mod route;
mod rules;
mod settings;
pub mod shard;
pub mod stack;
mod tables;

pub mod code;
pub mod id;

pub mod clock;
pub mod entropy;
pub mod identity;
pub mod limits;
pub mod peer;

pub mod actor;

#[doc(hidden)]
pub mod testing;
