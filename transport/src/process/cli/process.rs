//! Process-wide setup: no core dumps, the panic hook, and bounded exits.
//!
//! # What a panic does
//!
//! A panic is a bug of unknown damage. Where it happened decides what goes on:
//!
//! | where | consequence |
//! |---|---|
//! | the task of one connection or request | the task ends without an answer; it held no shared state |
//! | a shard, in the middle of a decision | the shard answers `not-ready` from then on, **failed** |
//! | a task that a lane can't work without ([`Vital`]); the delivery thread | **failed** |
//! | a task of the control plane | it is restarted; lanes continue with the last snapshot (`control/supervise.rs`) |
//! | the hand-over of one mail | it may have been sent, and is not sent again |
//! | the store's library, on a malformed answer | the store counts as down until it answers correctly |
//!
//! *Failed*: the server is not ready at once. The other shards serve for another half a second, in
//! which load balancers and clients turn away. Then, after a short drain, the process exits with
//! 70, all within a second. Nothing is rebuilt in place: a new shard would have no bans and no
//! guess counts, while the other shards keep theirs. State lives for minutes, and a supervisor
//! restarts the process within a quarter of a second; old codes then count as unknown.
//!
//! The log has the location of a panic and never its message, which may quote a caller's input.
//!
//! [`Vital`]: authepy_engine::actor::Vital

use std::panic::PanicHookInfo;
use std::time::Duration;

use nix::sys::resource::{Resource, setrlimit};

use super::log;
use super::print::complain;

mod signals;

pub(super) use signals::{Stop, hold_stops, on_hangup, release_stops};

/// Prevents core dumps and debuggers: memory holds the secrets that make stored digests usable.
pub(super) fn harden() {
    // A failure of either must not prevent a start.
    let _kept = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _kept = nix::sys::prctl::set_dumpable(false);
    std::panic::set_hook(Box::new(tell_panic));
}

/// Logs only the location: the message may quote a caller's input.
fn tell_panic(info: &PanicHookInfo<'_>) {
    let at = info.location().map(ToString::to_string).unwrap_or_default();
    if tracing::dispatcher::has_been_set() {
        let thread = std::thread::current();
        tracing::error!(at, thread = thread.name(), "panicked");
    } else {
        complain(&format!("authepy panicked at {at}"));
    }
}

/// Exits with 70 after `time` if the process still runs: a hanging thread must not block the exit.
pub(super) fn end_within(time: Duration) {
    let ender = std::thread::Builder::new().name("ender".into()).spawn(move || {
        std::thread::sleep(time);
        tracing::error!("the process did not stop in time; requests and mails in progress are lost");
        log::flush();
        std::process::exit(70);
    });
    // If no thread can be created, only the parts' own deadlines bound the exit.
    drop(ender);
}
