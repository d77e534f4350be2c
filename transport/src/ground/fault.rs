//! Injected faults, for tests of their consequences. Not part of an optimised build.
//!
//! `AUTHEPY_FAULT=KIND:WHERE` in the environment at the start selects a fault; SIGUSR1 triggers it.
//! So only the user who started the process can cause one, no caller and nobody on the network.
//! Kinds:
//!
//! | kind | where | what panics |
//! |---|---|---|
//! | `shard` | a lane's number | the lane's shard, in the middle of a turn |
//! | `vital` | a lane's number | a task that the lane can't work without |
//! | `task` | a lane's number | a task like that of one connection |
//! | `control` | a task's name (`control/supervise.rs`), or `all` | that task of the control plane, or all of them |
#![allow(clippy::panic, reason = "the tests ask for it")]

use authepy_engine::actor::Lane;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Message of every injected panic: contains an address, as a parser's panic might.
const MESSAGE: &str = "what a caller sent: eve@example.com";

fn wanted() -> Option<(String, String)> {
    let wanted = std::env::var("AUTHEPY_FAULT").ok()?;
    let (kind, place) = wanted.split_once(':')?;
    Some((kind.to_owned(), place.to_owned()))
}

fn on_request() -> Option<Signal> {
    signal(SignalKind::user_defined1()).ok()
}

/// Waits for the signal if the environment selects a fault of this lane.
pub(crate) fn obey(lane: &Lane) {
    let Some((kind, number)) = wanted() else { return };
    if number.parse() != Ok(lane.index()) {
        return;
    }
    let lane = lane.clone();
    let Some(mut asked) = on_request() else { return };
    tokio::task::spawn_local(async move {
        while asked.recv().await.is_some() {
            let panics = async { panic!("{MESSAGE}") };
            match &*kind {
                "shard" => lane.panic_in_shard(),
                "vital" => drop(tokio::task::spawn_local(lane.vital().run(panics))),
                "task" => drop(tokio::task::spawn_local(panics)),
                _ => {}
            }
        }
    });
}

/// Panics at the signal if the environment selects the control task of this name; else waits
/// forever.
pub(crate) async fn control(name: &str) {
    let is_meant = |(kind, place): &(String, String)| kind == "control" && (place == name || place == "all");
    // Without a fault to inject, the signal keeps its default action.
    match wanted().filter(is_meant).and_then(|_| on_request()) {
        None => std::future::pending().await,
        Some(mut asked) => {
            asked.recv().await;
            panic!("{MESSAGE}");
        }
    }
}
