//! The process as a whole: no core dumps, a log, and what ends it.
//!
//! # What becomes of a panic
//!
//! A panic is a bug of unknown damage. How much may go on is decided by where it happened:
//!
//! | where | what follows |
//! |---|---|
//! | the task of one connection or request | it ends without an answer; it held nothing that others use |
//! | a shard, in the middle of a decision | the shard answers `not-ready` from then on, **failed** |
//! | what a lane does not work without ([`Vital`]); the thread of delivery | **failed** |
//! | a task of the control plane | it begins anew; lanes go on with the last snapshot (`control/supervise.rs`) |
//! | the hand-over of one mail | it may have been sent, and is not sent again |
//! | the store's library, over what the store says | the store is down as long as it says that |
//!
//! *Failed*: nobody is ready any more, at once; the other shards serve on for half a second, in which
//! balancers and phones turn away; then a short drain, and the process ends with 70, all within a second.
//! Nothing is rebuilt in place: a fresh shard would know no ban and no guess while its neighbours count on
//! theirs. State is for minutes, and a supervisor has the whole process back in a quarter of a second; old
//! codes then answer like unknown ones.
//!
//! The log has the place of a panic and never its message, which may quote what a caller sent.
//!
//! [`Vital`]: authepy_engine::actor::Vital

use std::panic::PanicHookInfo;
use std::time::Duration;

use nix::sys::resource::{Resource, setrlimit};

use super::log;
use super::print::complain;

mod signals;

pub(super) use signals::{Stop, hold_stops, on_hangup, release_stops};

/// A core file, or another process of the same user, would hold every live code's other half.
pub(super) fn harden() {
    // Neither can fail for a reason that a start should depend on.
    let _kept = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _kept = nix::sys::prctl::set_dumpable(false);
    std::panic::set_hook(Box::new(tell_panic));
}

/// Where it happened. What it says may be a caller's words.
fn tell_panic(info: &PanicHookInfo<'_>) {
    let at = info.location().map(ToString::to_string).unwrap_or_default();
    if tracing::dispatcher::has_been_set() {
        let thread = std::thread::current();
        tracing::error!(at, thread = thread.name(), "panicked");
    } else {
        complain(&format!("authepy panicked at {at}"));
    }
}

/// Ends the process with 70 if it is still there then: a thread that hangs must not keep it.
pub(super) fn end_within(time: Duration) {
    let ender = std::thread::Builder::new().name("ender".into()).spawn(move || {
        std::thread::sleep(time);
        tracing::error!("the end was late; what was under way is lost");
        log::flush();
        std::process::exit(70);
    });
    // Without a thread to be had, the end has no bound but those of its parts.
    drop(ender);
}
