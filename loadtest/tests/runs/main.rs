//! The program from outside: against the real server, and against one that plays it and lies.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation in a test is the point")]

mod class_isolation;
mod interrupted;
mod liars;
mod scenarios;
mod signup_wave;
mod stand_in;
