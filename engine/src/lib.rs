//! The rulebook of Authepy: who may be sent a code, which code is right, and when to say no.
//!
//! ```text
//!   request ─▶ perimeter (key, origin) ─▶ recipient (one inbox) ─▶ route ─▶ shard ─▶ outcome
//!                                                                            │
//!                                              inboxes · idempotency keys · spent receipts
//! ```
//!
//! The engine decides and never waits. Time ([`clock`]) and randomness ([`entropy`]) are arguments. It does no I/O,
//! and nothing that a request carries makes it panic. Every bound is in [`limits`]. Each shard is owned by one
//! thread, so its state has no lock. [`actor`] is the only module that names actix; it connects the threads by
//! bounded channels, which hold a mutex for each batch.
//!
//! The modules from the ground up. None imports one that stands above it:
//!
//! | module | holds |
//! |---|---|
//! | `identity`, `peer`, `clock`, `entropy`, `limits` | who, when, by chance, how much |
//! | `perimeter`, `route` | who is let in, as [`Admitted`](perimeter::Admitted); keyed digests and shards |
//! | `recipient`, `id`, `code`, `settings` | raw text to [`Recipient`](recipient::Recipient); ids; codes; the operator's choices |
//! | `request` | commands, which are made from their proofs, and outcomes |
//! | `rules` | values with rules: verification, inbox, windows, peer, strikes, ban |
//! | `tables` | where those values are kept, found and freed |
//! | `shard` | one shard's tables and the way in, [`Shard::handle`](shard::Shard::handle) |
//! | `actor` | threads, channels, and how lanes ask each other |
//!
//! These invariants are checked against a slow model in `tests/model.rs`: a right code succeeds once; a try is
//! counted before it is compared; nothing works after expiry, cancel or the last try; tries are never given back; an
//! id is visible to its own project and mode only; windows survive the purge; a full table refuses new work and
//! drops no live code.
//!
//! Words: a *verification* is one issued code with its resends; an *inbox* is a canonical recipient; an *owner* is a
//! project in live or test mode; *purge* wipes now, *sweep* frees the dead; a *lane* is a thread with one shard.

// What lanes share is immutable, atomic, or a queue. Tests may lock what they like.
#![cfg_attr(not(test), deny(clippy::disallowed_types))]

pub mod actor;
pub mod shard;

mod rules;
mod tables;

pub mod request;

pub mod code;
pub mod id;
pub mod recipient;
mod settings;

pub mod perimeter;
pub mod route;

pub mod clock;
pub mod entropy;
pub mod identity;
pub mod limits;
pub mod peer;
pub mod stack;

#[doc(hidden)]
pub mod testing;
