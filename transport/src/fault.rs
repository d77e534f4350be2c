//! Faults on request, for tests of what follows. Not part of an optimised build.
//!
//! `AUTHEPY_FAULT=KIND:LANE` in the environment at the start; SIGUSR1 lets it happen. So neither a caller nor
//! the network can: it takes whoever started the process. Kinds:
//!
//! | kind | what panics |
//! |---|---|
//! | `shard` | the lane's shard, in the middle of a turn |
//! | `vital` | a task that the lane does not work without |
//! | `task` | a task like that of one connection |
#![allow(clippy::panic, reason = "it is what was asked for")]

use authepy_engine::actor::Lane;
use tokio::signal::unix::{SignalKind, signal};

/// Waits for the signal, if the environment has a fault for this lane.
pub(crate) fn obey(lane: &Lane) {
    let wanted = std::env::var("AUTHEPY_FAULT").unwrap_or_default();
    let Some((kind, number)) = wanted.split_once(':') else { return };
    if number.parse() != Ok(lane.index()) {
        return;
    }
    let (kind, lane) = (kind.to_owned(), lane.clone());
    let Ok(mut asked) = signal(SignalKind::user_defined1()) else { return };
    tokio::task::spawn_local(async move {
        while asked.recv().await.is_some() {
            let panics = async { panic!("what a caller sent: eve@example.com") };
            match &*kind {
                "shard" => lane.panic_in_shard(),
                "vital" => drop(tokio::task::spawn_local(lane.vital().run(panics))),
                "task" => drop(tokio::task::spawn_local(panics)),
                _ => {}
            }
        }
    });
}
