//! SIGTERM under load (A56): nothing accepted is lost, nothing is mailed twice, everybody is answered or told.
//!
//! ```text
//!   AUTHEPY_ROUNDS=200 cargo test --workspace --locked --test faults a_server_that_is_told_to_stop -- --nocapture
//! ```
//!
//! A round: the next server starts, the phones go on issuing, the present one gets SIGTERM. The phones follow
//! (`phone.rs`), the mails of all servers go to one sink, and at the end each accepted address has one.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::phone::{Fate, Line, SharedLine, Target};
use authepy_testkit::operator::new_key;
use authepy_testkit::serve::{Served, Site};
use authepy_testkit::sink::Sink;

/// Connections that issue all the time.
const LINES: usize = 6;
/// Requests under way on each.
const STREAMS: usize = 5;
/// Between one request of a stream and its next: a relay takes a thousand mails a second here.
const PAUSE: Duration = Duration::from_millis(10);
/// How long a head waits for its body, on every second stream: then a stop finds requests half read.
const HALF_READ: Duration = Duration::from_millis(30);
/// Rounds in the suite.
const ROUNDS: usize = 5;

/// Everything the phones share.
struct World {
    /// The servers so far; the last one is up.
    targets: RwLock<Vec<Target>>,
    is_over: AtomicBool,
}

/// What one connection's place in the world has seen.
#[derive(Default)]
struct Seen {
    accepted: Vec<String>,
    refused: Vec<String>,
    unknown: Vec<String>,
    retried: usize,
    /// For each server the GOAWAY read off the wire.
    goaways: Vec<(usize, Option<u64>)>,
}

/// A place for one connection after another, each to the next server.
struct Seat {
    number: usize,
    world: Arc<World>,
    /// The connection, and which server it leads to.
    line: Mutex<(SharedLine, usize)>,
    seen: std::sync::Mutex<Seen>,
}

impl Seat {
    async fn take(number: usize, world: Arc<World>) -> Arc<Self> {
        let line = reach(&world, 0).await;
        Arc::new(Self { number, world, line: Mutex::new(line), seen: Default::default() })
    }

    /// The present connection; the next server's, if this one is over.
    async fn line(&self) -> SharedLine {
        let mut place = self.line.lock().await;
        if place.0.is_over() {
            let (line, server) = (place.0.clone(), place.1);
            if line.goaway().is_none() {
                line.closed().await;
            }
            // What is under way there goes on; new requests belong elsewhere at once.
            self.seen.lock().unwrap().goaways.push((server, line.goaway()));
            *place = reach(&self.world, server + 1).await;
        }
        place.0.clone()
    }

    /// Whether this connection has heard the server of this number say goodbye.
    fn heard_goaway_of(&self, server: usize) -> bool {
        let is_present = |place: &(SharedLine, usize)| place.1 == server && place.0.goaway().is_some();
        self.line.try_lock().is_ok_and(|place| is_present(&place))
            || self.seen.lock().unwrap().goaways.iter().any(|(of, goaway)| *of == server && goaway.is_some())
    }

    async fn issue_all_the_time(self: Arc<Self>, stream: usize) {
        for n in 0.. {
            if self.world.is_over.load(Ordering::Relaxed) {
                return;
            }
            let address = format!("user{n}.{}.{stream}@gmail.com", self.number);
            let half_read = if stream.is_multiple_of(2) { Duration::ZERO } else { HALF_READ };
            let fate = loop {
                match self.line().await.issue(&address, half_read).await {
                    Fate::Unserved => self.seen.lock().unwrap().retried += 1,
                    // Nothing is promised while the relay is behind.
                    Fate::Answered(body) if body["code"] == "delivery-unavailable" => {
                        tokio::time::sleep(10 * PAUSE).await;
                    }
                    fate => break fate,
                }
            };
            tokio::time::sleep(PAUSE).await;
            let mut seen = self.seen.lock().unwrap();
            match fate {
                Fate::Answered(body) if body["status"] == "pending" => seen.accepted.push(address),
                Fate::Answered(body) => seen.refused.push(format!("{address}: {body}")),
                Fate::Unknown(why) => seen.unknown.push(why),
                Fate::Unserved => unreachable!(),
            }
        }
    }
}

/// Connects to this server, or to the next one if it turns the phone away.
async fn reach(world: &World, mut server: usize) -> (SharedLine, usize) {
    loop {
        let opening = {
            let targets = world.targets.read().unwrap();
            targets.get(server).cloned()
        };
        match opening {
            Some(target) => match Line::open(&target).await {
                Some(line) => return (Arc::new(line), server),
                None => server += 1,
            },
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

fn serve(store: &str, sink: &Sink) -> Served {
    let limits = "engine.shards = 2\nlimits.peer.handshake = \"off\"\n";
    Site::new(store, &format!("{limits}{}", sink.config())).serve()
}

/// Sends SIGTERM and sees the server out; returns how long it took.
async fn stop(mut server: Served, goaway_heard: impl Fn() -> bool) -> (Duration, bool) {
    let began = Instant::now();
    server.signal("-TERM");
    let mut said_no = false;
    while server.is_running() && began.elapsed() < Duration::from_secs(60) {
        let heard = goaway_heard();
        // `None`: the listener has gone already.
        let ready = server.readiness();
        said_no |= ready == Some(503);
        assert!(!(heard && ready == Some(200)), "GOAWAY before anybody could know");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let took = began.elapsed();
    assert_eq!(server.exit_code(), Some(0), "{}", server.log());
    let log = server.log();
    let late = log.lines().find(|line| line.contains("not all was done in time"));
    assert!(late.is_none(), "after {took:?}: {log}");
    (took, said_no)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_told_to_stop_loses_nothing_and_mails_nothing_twice() {
    let rounds: usize = std::env::var("AUTHEPY_ROUNDS").map_or(ROUNDS, |n| n.parse().unwrap());
    let (folder, sink) = (TempDir::new().unwrap(), Sink::start());
    let store = Site::sqlite(&folder);
    let key = new_key(&store, "shop", &["--class", "secret"])["key"].as_str().unwrap().to_owned();
    let mut present = serve(&store, &sink);
    let world = Arc::new(World {
        targets: RwLock::new(vec![Target::of(&present, &key)]),
        is_over: AtomicBool::new(false),
    });
    let (mut seats, mut phones) = (Vec::new(), JoinSet::new());
    for number in 0..LINES {
        let seat = Seat::take(number, world.clone()).await;
        (0..STREAMS).for_each(|stream| drop(phones.spawn(seat.clone().issue_all_the_time(stream))));
        seats.push(seat);
    }
    let mut slowest = Duration::ZERO;
    for round in 0..rounds {
        let next = serve(&store, &sink);
        world.targets.write().unwrap().push(Target::of(&next, &key));
        // Each stop finds requests at other points of their way.
        tokio::time::sleep(Duration::from_millis(100 + (round * 37 % 100) as u64)).await;
        let heard = || seats.iter().any(|seat| seat.heard_goaway_of(round));
        let (took, said_no) = stop(std::mem::replace(&mut present, next), heard).await;
        assert!(said_no, "the admin listener said that the server is not ready");
        slowest = slowest.max(took);
    }
    world.is_over.store(true, Ordering::Relaxed);
    phones.join_all().await;
    let (took, _) = stop(present, || false).await;
    judge(&seats, &sink.mails(), (rounds, slowest.max(took)));
}

fn judge(seats: &[Arc<Seat>], mails: &HashMap<String, usize>, (rounds, slowest): (usize, Duration)) {
    let (mut accepted, mut retried, mut goaways) = (HashSet::new(), 0, 0);
    for seat in seats {
        let seen = seat.seen.lock().unwrap();
        assert!(seen.unknown.is_empty(), "below GOAWAY and not answered: {:?}", seen.unknown.first());
        assert!(seen.refused.is_empty(), "{:?}", seen.refused.first());
        accepted.extend(seen.accepted.iter().cloned());
        retried += seen.retried;
        for (server, goaway) in &seen.goaways {
            assert!(goaway.is_some(), "server {server} closed a connection without GOAWAY");
            goaways += 1;
        }
    }
    let twice: Vec<_> = mails.iter().filter(|(_, count)| **count > 1).collect();
    let lost: Vec<_> = accepted.iter().filter(|address| !mails.contains_key(*address)).collect();
    println!(
        "{rounds} stops: {} issues accepted, {} mails, {} twice, {} lost, {retried} requests sent again, \
         {goaways} GOAWAYs; slowest stop {slowest:?}",
        accepted.len(),
        mails.values().sum::<usize>(),
        twice.len(),
        lost.len(),
    );
    assert!(twice.is_empty(), "mailed twice: {twice:?}");
    assert!(lost.is_empty(), "accepted and not mailed: {lost:?}");
    assert_eq!(mails.len(), accepted.len(), "nobody got a mail that nobody was promised");
    assert!(goaways >= rounds && accepted.len() > rounds * LINES, "there was load");
}
