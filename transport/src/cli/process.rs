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
//! | what a lane, or the store's keeper, does not work without ([`Vital`]); the thread of delivery or control | **failed** |
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
use tokio::signal::unix::{SignalKind, signal};

use super::log;
use super::print::complain;
use crate::limits;
use crate::server::Server;

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

/// Has `act` called for each SIGHUP; from here on none ends the process.
pub(super) fn on_hangup(act: impl Fn() + 'static) -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::task::spawn_local(async move {
        while hangup.recv().await.is_some() {
            act();
        }
    });
    Ok(())
}

/// Waits for SIGTERM or SIGINT (true), or for a failed part (false).
pub(super) async fn wait_for_end(server: &Server) -> bool {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return false;
    };
    loop {
        tokio::select! {
            _ = terminate.recv() => return true,
            _ = interrupt.recv() => return true,
            () = tokio::time::sleep(limits::HEALTH_EVERY) => if !server.is_healthy() {
                return false;
            },
        }
    }
}
