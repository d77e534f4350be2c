//! The rulebook, told as stories on one shard and a virtual clock.
#![allow(clippy::panic, clippy::unwrap_used, reason = "another outcome than the story's ends the story")]

mod census;
mod configure;
mod guesses;
mod lifecycle;
mod peers;
