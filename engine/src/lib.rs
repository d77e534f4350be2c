//! The rulebook of Authepy: who may be sent a code, which code is right, and when to say no.
//!
//! ```text
//!   request ─▶ perimeter (key, origin) ─▶ recipient (one inbox) ─▶ route ─▶ shard ─▶ outcome
//!                                                                            │
//!                                              inboxes · idempotency keys · spent receipts
//! ```
//!
//! It decides and never waits: time ([`clock`]) and randomness ([`entropy`]) are arguments, there is no
//! I/O, no lock around state, and nothing that a request carries can make it panic. Every bound stands in [`limits`].
//! State belongs to shards, each owned by one thread; [`actor`] is the skin by which threads ask each
//! other, and the only file that knows of actors. Its channels have a mutex inside.
//!
//! Invariants, each played against a slow model in `tests/model/`: a right code succeeds once; a try is
//! counted before it is compared; nothing works after expiry, cancel or the last try; tries are never
//! given back; an id shows itself to its own project and mode only; windows survive the purge; a full
//! table refuses new work and drops no live code.
//!
//! Words: a *verification* is one issued code with its resends; an *inbox* is a canonical recipient; an
//! *owner* is a project in live or test mode; *purge* wipes now, *sweep* frees the dead; a *lane* is a
//! thread with one shard.

// What lanes share is immutable, atomic, or a queue. Tests may lock what they like.
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
