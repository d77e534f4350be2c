//! Threads and their order: connect, then keep the beat, then gather, then compare with the server's own counts.
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc as ready;
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet};

use crate::clock;
use crate::live::Live;
use crate::maildir::Maildir;
use crate::metronome::{self, Start};
use crate::oracle::Verdict;
use crate::phone::Trust;
use crate::profile::Profile;
use crate::scenario::Role;
use crate::server::Server;
use crate::stage::{Shared, Stage};
use crate::story;
use crate::tally::{Step, Tally};
use crate::target::{Codes, Target};
use crate::view;
use crate::world::World;

mod books;
use books::Books;

/// Between "all connected" and the first story.
const BREATH: Duration = Duration::from_millis(50);
/// Connections opened at once before the run: a queue at the server, not a flood.
const CONNECTING: usize = 32;

/// Runs the profile to its end. An error means that the run never began.
pub(crate) fn run(profile: &Profile, target: Target, server: Option<&mut Server>) -> Result<Tally, String> {
    run_with(profile, target, server, || ())
}

/// The same, and calls `connected` before the first story.
pub(crate) fn run_with(
    profile: &Profile,
    target: Target,
    server: Option<&mut Server>,
    connected: impl FnOnce(),
) -> Result<Tally, String> {
    let mails = match &target.codes {
        Codes::Mail(outbox) => Some(Maildir::watch(outbox)?),
        Codes::Zeros => None,
    };
    raise_descriptors();
    let shared = Shared {
        profile: Arc::new(profile.clone()),
        trust: Arc::new(Trust::new(&target)?),
        target,
        mails,
        live: Arc::new(Live::new(profile)),
        world: Arc::new(World::new(crate::limits::Rules::new(&profile.server)?)),
    };
    let books = Books::open(&shared);
    let mut tally = play(&shared, connected)?;
    for (role, counters) in &shared.live.parts {
        tally.part(*role).not_started = counters.not_started.load(Relaxed);
    }
    books.close(&shared, &mut tally);
    if let Some(server) = server {
        let panics = server.log().matches("panicked").count() as u64;
        tally.blame("server: panicked", panics);
        tally.blame("server: ended", u64::from(!server.is_alive()));
    }
    Ok(tally)
}

/// All workers, from their first connection to their last answer.
fn play(shared: &Shared, connected: impl FnOnce()) -> Result<Tally, String> {
    let over = AtomicBool::new(false);
    let profile = &shared.profile;
    thread::scope(|scope| {
        let (ready, all_ready) = ready::channel();
        let mut workers = Vec::new();
        let mut starts = Vec::new();
        for index in 0..profile.threads {
            // As many as may be under way at all: what does not fit is counted as not started.
            let (sender, receiver) = mpsc::channel(profile.in_flight);
            starts.push(sender);
            let (shared, ready) = (shared.clone(), ready.clone());
            workers.push(scope.spawn(move || work(index, shared, receiver, &ready)));
        }
        for _ in 0..profile.threads {
            all_ready.recv().map_err(|_| "a worker ended early")??;
        }
        connected();
        let begin = clock::now() + BREATH;
        shared.live.begin(begin);
        let watching = scope.spawn(|| view::watch(profile, &shared.live, &over));
        metronome::beat(begin, profile, &starts, &shared.live);
        drop(starts);
        let mut tally = Tally::default();
        let mut failed = None;
        for worker in workers {
            match worker.join() {
                Ok(Ok(theirs)) => tally.add(theirs),
                Ok(Err(problem)) => failed = Some(problem),
                Err(_) => failed = Some("a worker panicked".to_owned()),
            }
        }
        over.store(true, Relaxed);
        let _nothing_to_say = watching.join();
        failed.map_or(Ok(tally), Err)
    })
}

/// One thread: its sockets and phones, then every story it is sent.
fn work(
    index: usize,
    shared: Shared,
    mut starts: mpsc::Receiver<Start>,
    ready: &ready::Sender<Result<(), String>>,
) -> Result<Tally, String> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let stage = Rc::new(Stage::new(shared));
    let drained = stage.clone();
    LocalSet::new().block_on(&runtime, async move {
        let connected = connect(&stage, index).await;
        let _main_waits = ready.send(connected.clone());
        connected?;
        let mut under_way = JoinSet::new();
        while let Some(start) = starts.recv().await {
            let stage = stage.clone();
            under_way.spawn_local(async move {
                story::play(&stage, start).await;
                stage.shared.live.in_flight.fetch_sub(1, Relaxed);
            });
            while under_way.try_join_next().is_some() {}
        }
        while under_way.join_next().await.is_some() {}
        Ok::<_, String>(())
    })?;
    Ok(drained.tally.take())
}

/// This thread's honest peers, each with the connection it keeps.
async fn connect(stage: &Rc<Stage>, thread: usize) -> Result<(), String> {
    let profile = stage.shared.profile.clone();
    let honest = profile
        .parts
        .iter()
        .filter(|(role, knobs)| matches!(role, Role::Canary | Role::Crowd) && !knobs.fresh);
    let all = honest.flat_map(|(role, knobs)| (0..knobs.peers).map(|peer| (*role, peer)));
    let mut opening = JoinSet::new();
    for (role, peer) in all.filter(|(_, peer)| peer % profile.threads == thread) {
        while opening.len() >= CONNECTING {
            opened(opening.join_next().await)?;
        }
        let stage = stage.clone();
        opening.spawn_local(async move {
            let caller = stage.regular(role, peer).ok_or("no socket for a phone")?;
            let (from, source) = (clock::now(), stage.shared.profile.source(role, peer));
            let target = &stage.shared.target;
            let connected = caller.phone.connect(target).await;
            connected.map_err(|silence| format!("{} does not answer {source}: {silence}", target.h3))?;
            stage.count(role, Step::Connect, Some(from), &Verdict::Right, "");
            Ok(())
        });
    }
    while let Some(done) = opening.join_next().await {
        opened(Some(done))?;
    }
    Ok(())
}

fn opened(done: Option<Result<Result<(), String>, tokio::task::JoinError>>) -> Result<(), String> {
    done.map_or(Ok(()), |done| done.map_err(|_| "a phone panicked".to_owned())?)
}

/// Thousands of phones are thousands of sockets.
pub(crate) fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let _as_many_as_there_are = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
