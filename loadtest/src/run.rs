//! Threads and their order: connect, then keep the beat, then gather.
use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::IsTerminal;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc as ready;
use std::thread::{self, Scope};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet};

use crate::clock;
use crate::maildir::Maildir;
use crate::metronome::{self, Start};
use crate::phone::{self, Phone};
use crate::profile::Profile;
use crate::signup::Stage;
use crate::tally::{Live, Step, Tally, Wrong};
use crate::target::{Codes, Target};

/// Sockets per thread and source address, so that a server with several lanes sees several flows even from one peer.
const SOCKETS: usize = 4;
/// Between "all connected" and the first sign-up.
const BREATH: Duration = Duration::from_millis(50);

/// Runs the profile to its end. An error means that the run never began.
pub(crate) fn run(profile: &Profile, target: Target) -> Result<Tally, String> {
    run_with(profile, target, || ())
}

/// The same, and calls `connected` before the first sign-up.
pub(crate) fn run_with(profile: &Profile, target: Target, connected: impl FnOnce()) -> Result<Tally, String> {
    let mails = match &target.codes {
        Codes::Mail(outbox) => Some(Maildir::watch(outbox)?),
        Codes::Zeros => None,
    };
    let live = Arc::new(Live::default());
    let over = AtomicBool::new(false);
    let mut tally = thread::scope(|scope| {
        let (ready, all_ready) = ready::channel();
        let mut workers = Vec::new();
        let mut starts = Vec::new();
        for index in 0..profile.threads {
            let (sender, receiver) = mpsc::channel(profile.in_flight);
            starts.push(sender);
            let stage = (profile.clone(), target.clone(), mails.clone(), live.clone());
            let ready = ready.clone();
            workers.push(scope.spawn(move || work(index, stage, receiver, &ready)));
        }
        for _ in 0..profile.threads {
            all_ready.recv().map_err(|_| "a worker ended early")??;
        }
        connected();
        show_progress(scope, &live, &over);
        metronome::beat(clock::now() + BREATH, profile.schedule(), profile.in_flight, &starts, &live);
        drop(starts);
        let mut tally = Tally::default();
        for worker in workers {
            tally.add(worker.join().map_err(|_| "a worker panicked")??);
        }
        over.store(true, Relaxed);
        Ok::<_, String>(tally)
    })?;
    tally.not_started = live.not_started.load(Relaxed);
    let surplus = mails.map_or(0, |mails| mails.surplus());
    if surplus > 0 {
        tally.wrong_answers += surplus;
        tally.wrong.insert("mail: sent twice".into(), Wrong { count: surplus, request_id: String::new() });
    }
    Ok(tally)
}

type Share = (Profile, Target, Option<Arc<Maildir>>, Arc<Live>);

/// One thread: its sockets and phones, then every sign-up it is sent.
fn work(
    index: usize,
    (profile, target, mails, live): Share,
    mut starts: mpsc::Receiver<Start>,
    ready: &ready::Sender<Result<(), String>>,
) -> Result<Tally, String> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let stage = Rc::new(Stage { profile, target, mails, live, tally: RefCell::default() });
    let drained = stage.clone();
    LocalSet::new().block_on(&runtime, async move {
        let phones = connect(&stage, index).await;
        let told = phones.as_ref().map(drop).map_err(Clone::clone);
        let _ = ready.send(told);
        let phones = phones?;
        let mut under_way = JoinSet::new();
        while let Some(start) = starts.recv().await {
            let turn = usize::try_from(start.plan.n).unwrap_or(0) / stage.profile.threads;
            let (stage, phone) = (stage.clone(), phones[turn % phones.len()].clone());
            under_way.spawn_local(async move { stage.sign_up(&phone, start).await });
            while under_way.try_join_next().is_some() {}
        }
        while under_way.join_next().await.is_some() {}
        Ok::<_, String>(())
    })?;
    Ok(drained.tally.take())
}

/// This thread's share of the connections, each from the source address the profile gives it.
async fn connect(stage: &Stage, thread: usize) -> Result<Vec<Rc<Phone>>, String> {
    let mut sockets = HashMap::new();
    let mut phones = Vec::new();
    for connection in (thread..stage.profile.connections).step_by(stage.profile.threads) {
        let source = stage.profile.source(connection, &stage.target);
        let socket = match sockets.entry((source, phones.len() % SOCKETS)) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(none) => none.insert(phone::endpoint(source, &stage.target)?),
        };
        let phone = Phone::new(socket.clone());
        let from = clock::now();
        let connected = phone.connect(&stage.target).await;
        connected
            .map_err(|silence| format!("{} does not answer from {source}: {silence}", stage.target.h3))?;
        stage.tally.borrow_mut().latency(Step::Connect, clock::now().saturating_duration_since(from));
        phones.push(Rc::new(phone));
    }
    Ok(phones)
}

/// One line a second, where somebody is looking.
fn show_progress<'scope>(scope: &'scope Scope<'scope, '_>, live: &'scope Live, over: &'scope AtomicBool) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    scope.spawn(move || {
        for tenth in 1_u64.. {
            thread::sleep(Duration::from_millis(100));
            if over.load(Relaxed) {
                return;
            }
            if tenth.is_multiple_of(10) {
                let (started, completed) = (live.started.load(Relaxed), live.completed.load(Relaxed));
                let (refused, wrong) = (live.refused.load(Relaxed), live.wrong.load(Relaxed));
                let (under_way, not_started) = (live.in_flight.load(Relaxed), live.not_started.load(Relaxed));
                eprintln!(
                    "{:>4} s  started {started}  completed {completed}  under way {under_way}  refused {refused}  \
                     not started {not_started}  wrong {wrong}",
                    tenth / 10
                );
            }
        }
    });
}
