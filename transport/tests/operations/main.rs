//! An operator's view: commands, config, certificates, store, admin API, console, metrics, log and documents.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is the point"
)]
#![allow(clippy::disallowed_methods, reason = "a test waits in real time")]

mod admin_api;
mod bans_and_catalog;
mod certificates;
mod config_commands;
mod console;
mod documents;
mod log_scan;
mod memory_locks;
mod metrics;
mod reload;
mod serving;
mod store;
