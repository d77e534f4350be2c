//! Lanes with real threads: parallel checks of one code, full inboxes, answers under way, and a shard
//! that fails (A04, A04b, A05).

#![allow(clippy::panic, clippy::unwrap_used, reason = "another answer than the test's ends the test")]
#![allow(clippy::disallowed_methods, reason = "real threads need a clock that runs, and patience that ends")]

use std::cell::Cell;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{OnceLock, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use authepy_engine::actor::{Answer, Lane, LaneEntropy, LaneThread, Readiness, Teller, run, seats};
use authepy_engine::clock::{Moment, Now};
use authepy_engine::code::Code;
use authepy_engine::entropy::Entropy;
use authepy_engine::id::{IdSecret, VerificationId};
use authepy_engine::identity::{KeyTag, Mode, Owner, ProjectId};
use authepy_engine::limits::{BATCH_ASKS, INBOX_BATCHES, Limit, PENDING_ASKS_PER_LANE};
use authepy_engine::peer::{Peer, Prefix};
use authepy_engine::request::{
    Activity, Ban, Charge, Check, Command, HandOver, Issue, Issued, Outcome, Refusal, Resend, Slot,
};
use authepy_engine::route::{AddressDigest, InboxFingerprint, StartKeys};
use authepy_engine::shard::{BanRules, Settings};
use authepy_engine::testing::{Seeded, as_shipped, plain_issue, unproven};

const ROUNDS: u64 = 1_000;
const PARALLEL: usize = 64;
const PATIENCE: Duration = Duration::from_secs(30);
const OWNER: Owner = Owner { project: ProjectId(1), mode: Mode::Live };

#[test]
fn of_64_parallel_right_codes_exactly_one_works() {
    for lanes in [2, 4] {
        in_lanes(lanes, async |lanes| {
            for round in 0..ROUNDS {
                let mail = lanes.issue(round).await;
                let tally = lanes.volley(&mail, mail.code.clone()).await;
                assert_eq!(tally, Tally { approved: 1, not_found: PARALLEL - 1, ..Tally::default() });
            }
            assert_eq!(lanes.population().await, (0, 0));
        });
    }
}

#[test]
fn of_64_parallel_wrong_codes_five_are_compared() {
    for lanes in [2, 4] {
        in_lanes(lanes, async |lanes| {
            for round in 0..ROUNDS {
                let mail = lanes.issue(round).await;
                let wrong = if mail.code.as_str() == "000000" { "000001" } else { "000000" };
                let tally = lanes.volley(&mail, Code::read(wrong).unwrap()).await;
                let not_found = PARALLEL - 5;
                assert_eq!(tally, Tally { incorrect: 4, exhausted: 1, not_found, ..Tally::default() });
                let late = lanes.volley(&mail, mail.code.clone()).await;
                assert_eq!(late, Tally { not_found: PARALLEL, ..Tally::default() });
            }
        });
    }
}

#[test]
fn a_check_that_races_a_resend_wins_once_or_meets_two_codes() {
    in_lanes(2, async |lanes| {
        for round in 0..ROUNDS {
            let mail = lanes.issue(round).await;
            let word = HandOver { id: mail.slot.id.digest(), send: 1, accepted: true };
            lanes.teller.tell(mail.slot.route, Command::HandOver(word)).await;
            let resend =
                Resend { slot: mail.slot.clone(), address: mail.address, key: KeyTag::default(), peer: None };
            let asked_by = (round % 2) as usize;
            let resent = lanes.begin(asked_by, async move |lane| {
                lane.ask(resend.slot.route, Command::Resend(unproven(resend))).await
            });
            let checked = lanes.volley(&mail, mail.code.clone()).await;
            assert_eq!(checked.approved, 1);
            match arrived(&resent) {
                // Told before the hand-over's word arrived, before the check, or after it.
                Outcome::Refused(Refusal::DeliveryUnavailable { .. } | Refusal::VerificationNotFound) => {}
                Outcome::Resent(issued) => {
                    let late = lanes.volley(&mail, issued.code).await;
                    assert_eq!(late.approved, 0, "the new code outlived the success of the old one");
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(lanes.population().await, (0, 0));
    });
}

#[test]
fn a_full_inbox_refuses_at_once_and_nobody_waits() {
    in_lanes(2, async |lanes| {
        let unblock = lanes.block(1).await;
        let flood = async move |lane: Lane| {
            let (mut under_way, mut refused) = (Vec::new(), 0);
            for _ in 0..3 * INBOX_BATCHES {
                // A turn each, so that each ask is a batch of its own.
                let mut answer = ask_about_nothing(&lane, 1);
                next_turn().await;
                match poll_once(&mut answer) {
                    None => under_way.push(answer),
                    Some(outcome) => refused += usize::from(is_overloaded(&outcome)),
                }
                assert!(poll_once(&mut ask_about_nothing(&lane, 0)).is_some_and(|own| is_not_found(&own)));
            }
            // Lane 1 still stands: no refusal has waited for it.
            assert_eq!((under_way.len(), refused), (INBOX_BATCHES, 2 * INBOX_BATCHES));
            unblock.send(()).unwrap();
            for answer in under_way {
                assert!(is_not_found(&answer.await));
            }
        };
        lanes.on(0, flood).await;
    });
}

#[test]
fn a_lane_has_a_bounded_number_of_asks_under_way() {
    assert_eq!(
        PENDING_ASKS_PER_LANE,
        INBOX_BATCHES * BATCH_ASKS,
        "one lane can't overfill an inbox in a turn"
    );
    in_lanes(2, async |lanes| {
        let unblock = lanes.block(1).await;
        let fill = async move |lane: Lane| {
            let mut all: Vec<Answer> =
                (0..PENDING_ASKS_PER_LANE).map(|_| ask_about_nothing(&lane, 1)).collect();
            for _ in 0..10 {
                let refused = poll_once(&mut ask_about_nothing(&lane, 1));
                assert!(refused.is_some_and(|outcome| is_overloaded(&outcome)));
            }
            next_turn().await;
            assert!(all.iter_mut().all(|answer| poll_once(answer).is_none()));
            unblock.send(()).unwrap();
            for answer in all {
                assert!(is_not_found(&answer.await));
            }
        };
        lanes.on(0, fill).await;
    });
}

#[test]
fn every_answer_arrives_and_reaches_its_asker() {
    const ASKS_PER_LANE: u64 = 26_000; // over 100,000 in four lanes, an issue and a cancel each
    for count in [2, 4] {
        in_lanes(count, async |lanes| {
            let talk = async move |lane: Lane| {
                let mut random = Seeded::new(lane.index() as u64);
                let mut asked = 0;
                while asked < ASKS_PER_LANE {
                    let asks = 1 + random.below(400);
                    let mut issues = Vec::new();
                    for _ in 0..asks {
                        let other = lane.index() + 1 + random.below(count as u64 - 1) as usize;
                        issues.push(Marked::ask_one_of(&lane, (other % count, count), &mut random));
                    }
                    let mut cancels = Vec::new();
                    for marked in issues {
                        let slot = marked.issued().await;
                        cancels.push(lane.ask(slot.route, Command::Cancel(unproven(slot))));
                    }
                    for cancel in cancels {
                        assert!(matches!(cancel.await, Outcome::Cancelled { .. }));
                    }
                    asked += 2 * asks;
                }
                asked
            };
            let talks: Vec<_> = (0..count).map(|lane| lanes.begin(lane, talk)).collect();
            let mut all = 0;
            for talk in talks {
                all += arrived(&talk);
            }
            assert!(count < 4 || all > 100_000, "{all}");
            assert_eq!(lanes.population().await, (0, 0), "each issue met its cancel");
        });
    }
}

#[test]
fn a_dropped_answer_leaks_nothing_and_reaches_nobody_else() {
    in_lanes(2, async |lanes| {
        let drop_some = async move |lane: Lane| {
            let mut random = Seeded::new(7);
            // Three times what a lane may have under way.
            for _ in 0..3 * PENDING_ASKS_PER_LANE / 1_000 {
                let mut kept = Vec::new();
                for _ in 0..1_000 {
                    let marked = Marked::ask(&lane, 1, &mut random);
                    match random.below(40) {
                        0..10 => drop(marked), // before it has left
                        10 => {
                            next_turn().await;
                            drop(marked); // perhaps while its shard decides
                        }
                        _ => kept.push(marked),
                    }
                }
                for marked in kept {
                    match random.below(3) {
                        0 => drop(marked), // perhaps answered already
                        _ => drop(marked.issued().await),
                    }
                }
            }
            // Behind the last of them in its inbox; after it, every place is free again.
            ask_about_nothing(&lane, 1).await;
            let mut all: Vec<Answer> =
                (0..PENDING_ASKS_PER_LANE).map(|_| ask_about_nothing(&lane, 1)).collect();
            assert!(all.iter_mut().all(|answer| poll_once(answer).is_none()), "a place is missing");
            for answer in all {
                assert!(is_not_found(&answer.await));
            }
        };
        lanes.on(0, drop_some).await;
    });
}

#[test]
fn a_shard_that_failed_says_so_and_the_others_go_on() {
    let entropy =
        |lane| -> LaneEntropy { if lane == 1 { Box::new(NoEntropy) } else { Box::new(Seeded::new(1)) } };
    in_lanes_with(2, entropy, async |lanes| {
        let fail = async |lane: Lane| {
            let mut random = Seeded::new(3);
            assert!(is_not_found(&ask_about_nothing(&lane, 1).await), "it needs no randomness for that");
            assert!(is_not_ready(&Marked::ask(&lane, 1, &mut random).answer.await));
        };
        assert!(lanes.readiness.is_ready());
        lanes.on(0, fail).await;
        assert!(!lanes.readiness.is_ready());
        for asker in [0, 1] {
            let go_on = async move |lane: Lane| {
                let mut random = Seeded::new(4 + asker as u64);
                for _ in 0..100 {
                    assert!(is_not_ready(&ask_about_nothing(&lane, 1).await), "whatever is asked");
                    assert!(is_not_ready(&Marked::ask(&lane, 1, &mut random).answer.await));
                    Marked::ask(&lane, 0, &mut random).issued().await;
                }
            };
            lanes.on(asker, go_on).await;
        }
        assert!(!lanes.readiness.is_ready(), "for good");
    });
}

#[test]
fn a_panic_in_a_sweep_is_noticed_too() {
    in_lanes(2, async |lanes| {
        lanes.on(1, async |_| CLOCK_IS_BROKEN.set(true)).await;
        let asked = Instant::now();
        while lanes.readiness.is_ready() {
            assert!(asked.elapsed() < PATIENCE, "the lane stopped sweeping and nobody noticed");
            std::thread::sleep(Duration::from_millis(10));
        }
        lanes
            .on(0, async |lane: Lane| {
                assert!(is_not_ready(&ask_about_nothing(&lane, 1).await));
                assert!(is_not_found(&ask_about_nothing(&lane, 0).await));
            })
            .await;
    });
}

#[test]
fn a_ban_reaches_every_lane_and_so_does_its_end() {
    for count in [1, 2, 8] {
        in_lanes(count, async move |lanes| {
            let told: Vec<_> = (0..count).map(|_| flume::bounded::<Prefix>(1_000)).collect();
            for (lane, (tell, _)) in told.iter().enumerate() {
                let tell = tell.clone();
                let watch = async move |lane: Lane| {
                    // A watcher may ask the lane anything.
                    lane.clone().on_ban(move |prefix| {
                        assert!(lane.is_banned(address(&prefix)));
                        let _room_for_all = tell.try_send(prefix);
                    });
                };
                lanes.on(lane, watch).await;
            }
            let prefixes: Vec<Prefix> = (0..200)
                .map(|n| match n % 2 {
                    0 => format!("10.0.0.{n}").parse().unwrap(),
                    _ => format!("2001:db8:{n}::/48").parse().unwrap(),
                })
                .collect();
            let (bans, first) = (prefixes.clone(), prefixes[0]);
            lanes
                .on(0, async move |lane: Lane| {
                    for prefix in bans {
                        let ban = Command::Ban(Ban { prefix, span: None });
                        let route = lane.keys().prefix_route(&prefix);
                        assert!(matches!(lane.ask(route, ban).await, Outcome::Banned(_)));
                    }
                })
                .await;
            for (lane, (_, heard)) in told.iter().enumerate() {
                let mut all: Vec<Prefix> = prefixes.iter().map(|_| arrived(heard)).collect();
                all.sort();
                let mut expected = prefixes.clone();
                expected.sort();
                assert!(all == expected, "lane {lane} of {count}");
            }
            let lift = async move |lane: Lane| {
                assert!(!lane.is_banned("10.0.1.0".parse().unwrap()));
                let route = lane.keys().prefix_route(&first);
                assert!(matches!(
                    lane.ask(route, Command::Unban(first)).await,
                    Outcome::Unbanned { was_banned: true }
                ));
            };
            lanes.on(count - 1, lift).await;
            for lane in 0..count {
                let listed = async move |lane: Lane| {
                    while lane.is_banned(address(&first)) {
                        next_turn().await;
                    }
                    lane.bans().len()
                };
                assert_eq!(lanes.on(lane, listed).await, 199);
            }
        });
    }
}

#[test]
fn the_operators_word_passes_a_full_inbox_and_waits_only_for_its_lane() {
    in_lanes(2, async |lanes| {
        let operator = lanes.teller.operator(keys());
        let of_lane = |lane: usize| -> Prefix {
            let mut all = (0..256).map(|n| format!("10.0.0.{n}").parse::<Prefix>().unwrap());
            all.find(|prefix| keys().prefix_route(prefix).shard(2) == lane).unwrap()
        };
        let (own, other) = (of_lane(0), of_lane(1));
        let unblock = lanes.block(1).await;
        let fill = async move |lane: Lane| {
            for _ in 0..2 * INBOX_BATCHES {
                drop(ask_about_nothing(&lane, 1));
                next_turn().await;
            }
        };
        lanes.on(0, fill).await;
        let ban = |prefix| Ban { prefix, span: Some(Duration::from_secs(60)) };
        let waiting = operator.ban(ban(other));
        let mut waiting = std::pin::pin!(waiting);
        assert!(poll_once(&mut waiting).is_none(), "its lane stands");
        let entry = operator.ban(ban(own)).await.unwrap().unwrap();
        assert!(entry.prefix == own && entry.count == 1);
        unblock.send(()).unwrap();
        assert!(waiting.await.unwrap().unwrap().prefix == other);
        let mut listed: Vec<Prefix> = operator.bans().await.unwrap().iter().map(|ban| ban.prefix).collect();
        listed.sort();
        let mut both = [own, other];
        both.sort();
        assert!(listed == both, "each shard tells its own, once");
        assert_eq!((operator.unban(own).await, operator.unban(own).await), (Ok(true), Ok(false)));
        assert_eq!(operator.bans().await.unwrap().len(), 1);
    });
}

#[test]
fn a_peer_that_breaks_its_limits_is_banned_on_all_lanes() {
    in_lanes(4, async |lanes| {
        let villain: IpAddr = "203.0.113.9".parse().unwrap();
        let flood = async move |lane: Lane| {
            let peer = Peer::from(villain);
            let route = lane.keys().peer_route(&peer);
            let mut answers = Vec::new();
            // Four windows, four strikes at most in one minute: the rule of these lanes is four.
            for (activity, count) in [
                (Activity::Issue, 21),
                (Activity::Check, 61),
                (Activity::Denied, 31),
                (Activity::Handshake, 101),
            ] {
                for _ in 0..count {
                    let charge = Charge::proved(peer, activity, Mode::Live);
                    answers.push(lane.ask(route, Command::Charge(charge)).await);
                }
            }
            match answers.last() {
                Some(Outcome::Charged(charged)) => charged.refusal,
                other => panic!("{other:?}"),
            }
        };
        assert!(matches!(lanes.on(0, flood).await, Some(Refusal::Banned { .. })));
        for lane in 0..4 {
            let banned = async move |lane: Lane| {
                while !lane.is_banned(villain) {
                    next_turn().await;
                }
                lane.is_banned("203.0.113.10".parse().unwrap())
            };
            assert!(!lanes.on(lane, banned).await);
        }
    });
}

/// An address in it.
fn address(prefix: &Prefix) -> IpAddr {
    prefix.to_string().split_once('/').unwrap().0.parse().unwrap()
}

type Job = Box<dyn FnOnce(Lane) -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// Running lanes, each of which does one job after the other.
struct Lanes {
    jobs: Vec<flume::Sender<Job>>,
    threads: Vec<LaneThread>,
    teller: Teller,
    readiness: Readiness,
}

/// An issued code with all that its owner needs.
struct Mail {
    slot: Slot,
    address: AddressDigest,
    code: Code,
}

/// How parallel checks of one code ended.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    approved: usize,
    incorrect: usize,
    exhausted: usize,
    not_found: usize,
}

/// An issue whose answer can be told from all others.
struct Marked {
    mark: String,
    id: VerificationId,
    answer: Answer,
}

fn in_lanes(count: usize, story: impl AsyncFnOnce(&Lanes)) {
    in_lanes_with(count, |lane| Box::new(Seeded::new(lane)), story);
}

fn in_lanes_with(count: usize, mut entropy: impl FnMut(u64) -> LaneEntropy, story: impl AsyncFnOnce(&Lanes)) {
    let settings = Settings {
        lifetime: Duration::from_secs(600),
        resend_after: Duration::ZERO,
        recipient_issue: Vec::new(),
        recipient_all_issue: Vec::new(),
        recipient_guess: Vec::new(),
        bans: BanRules { strikes: vec![Limit { count: 4, window: PATIENCE }], ..as_shipped().bans },
        ..as_shipped()
    };
    let keys = keys();
    run(async move {
        let mut lane = 0..;
        let (seats, teller, readiness) =
            seats(count, &settings, &keys, clock, || entropy(lane.next().unwrap_or_default()));
        let (mut jobs, mut threads) = (Vec::new(), Vec::new());
        for seat in seats {
            let (door, inbox) = flume::bounded::<Job>(16);
            jobs.push(door);
            threads.push(seat.start(async move |lane| {
                while let Ok(job) = inbox.recv_async().await {
                    job(lane.clone()).await;
                }
            }));
        }
        let lanes = Lanes { jobs, threads, teller, readiness };
        story(&lanes).await;
        lanes.threads.into_iter().for_each(LaneThread::stop);
    });
}

impl Lanes {
    /// Gives a lane a job; the result comes through the channel, or never if the job panicked.
    fn begin<T: Send + 'static, F: Future<Output = T> + 'static>(
        &self,
        lane: usize,
        job: impl FnOnce(Lane) -> F + Send + 'static,
    ) -> flume::Receiver<T> {
        let (done, result) = flume::bounded(1);
        let job: Job = Box::new(move |lane| {
            Box::pin(async move {
                let _nobody_waits = done.send(job(lane).await);
            })
        });
        self.jobs[lane].send(job).unwrap();
        result
    }

    async fn on<T: Send + 'static, F: Future<Output = T> + 'static>(
        &self,
        lane: usize,
        job: impl FnOnce(Lane) -> F + Send + 'static,
    ) -> T {
        arrived(&self.begin(lane, job))
    }

    /// Makes a lane's thread stand still until something is sent (or the sender is dropped).
    async fn block(&self, lane: usize) -> mpsc::Sender<()> {
        let (unblock, wait) = mpsc::channel();
        let (standing, stands) = flume::bounded(1);
        self.begin(lane, async move |_| {
            standing.send(()).unwrap();
            wait.recv()
        });
        arrived(&stands);
        unblock
    }

    /// Issues a code for inbox `number`, asked for by lane 0, living wherever it is routed.
    async fn issue(&self, number: u64) -> Mail {
        let issue = async move |lane: Lane| {
            let name = format!("{number}@example.com");
            let inbox = lane.keys().fingerprint(&name, Mode::Live);
            let request = lane.with_entropy(|entropy| plain_issue(lane.keys(), inbox, OWNER, entropy));
            let address = request.address;
            match lane.ask(inbox.route(), Command::Issue(unproven(request))).await {
                Outcome::Issued(Issued { id, code, .. }) => {
                    Mail { slot: Slot::locate(lane.keys(), id, OWNER), address, code }
                }
                other => panic!("{other:?}"),
            }
        };
        self.on(0, issue).await
    }

    /// Checks one code from all lanes at once.
    async fn volley(&self, mail: &Mail, code: Code) -> Tally {
        let share = PARALLEL / self.jobs.len();
        let shares: Vec<_> = (0..self.jobs.len())
            .map(|lane| {
                let (slot, code) = (mail.slot.clone(), code.clone());
                self.begin(lane, async move |lane: Lane| {
                    let check =
                        || Check { slot: slot.clone(), code: code.clone(), address: None, nonce: None };
                    let asks: Vec<_> =
                        (0..share).map(|_| lane.ask(slot.route, Command::Check(unproven(check())))).collect();
                    let mut outcomes = Vec::new();
                    for ask in asks {
                        outcomes.push(ask.await);
                    }
                    outcomes
                })
            })
            .collect();
        let mut tally = Tally::default();
        for share in shares {
            arrived(&share).iter().for_each(|outcome| tally.count(outcome));
        }
        tally
    }

    async fn population(&self) -> (usize, usize) {
        let mut all = (0, 0);
        for lane in 0..self.jobs.len() {
            let (live, inboxes) = self.on(lane, async |lane: Lane| lane.population()).await;
            all = (all.0 + live, all.1 + inboxes);
        }
        all
    }
}

impl Tally {
    fn count(&mut self, outcome: &Outcome) {
        *match outcome {
            Outcome::Approved(_) => &mut self.approved,
            Outcome::Incorrect { .. } => &mut self.incorrect,
            Outcome::Exhausted { .. } => &mut self.exhausted,
            Outcome::Refused(Refusal::VerificationNotFound) => &mut self.not_found,
            other => panic!("{other:?}"),
        } += 1;
    }
}

impl Marked {
    /// Issues for an inbox of its own that lives on lane `at` of two.
    fn ask(lane: &Lane, at: usize, random: &mut Seeded) -> Self {
        Self::ask_one_of(lane, (at, 2), random)
    }

    fn ask_one_of(lane: &Lane, at: (usize, usize), random: &mut Seeded) -> Self {
        let inbox = inbox_on(lane, at, random);
        let mark = random.draw().to_string();
        let plain = plain_issue(lane.keys(), inbox, OWNER, random);
        let (id, issue) = (plain.id.clone(), Issue { purpose: (&*mark).into(), ..plain });
        let answer = lane.ask(inbox.route(), Command::Issue(unproven(issue)));
        Self { mark, id, answer }
    }

    async fn issued(self) -> Slot {
        match self.answer.await {
            Outcome::Issued(issued) => {
                assert_eq!(*issued.standing.purpose, *self.mark, "somebody else's answer");
                assert_eq!(issued.id, self.id);
                Slot::locate(&keys(), issued.id, OWNER)
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A source that has failed: whoever draws from it panics.
struct NoEntropy;

impl Entropy for NoEntropy {
    fn fill(&mut self, _: &mut [u8]) {
        panic!("no randomness left (this panic is part of the test)");
    }
}

fn keys() -> StartKeys {
    StartKeys::draw(&mut Seeded::new(99))
}

fn inbox_on(lane: &Lane, (at, lanes): (usize, usize), random: &mut Seeded) -> InboxFingerprint {
    loop {
        let inbox = lane.keys().fingerprint(&random.draw().to_string(), Mode::Live);
        if inbox.route().shard(lanes) == at {
            return inbox;
        }
    }
}

/// The status of a verification that does not exist, asked of the shard of lane `at` (of two).
fn ask_about_nothing(lane: &Lane, at: usize) -> Answer {
    let mut random = Seeded::new(at as u64);
    let inbox = inbox_on(lane, (at, 2), &mut random);
    let id = VerificationId::new(lane.keys(), IdSecret::draw(&mut random), inbox.route());
    let slot = Slot::locate(lane.keys(), id, OWNER);
    lane.ask(slot.route, Command::Status(unproven(slot)))
}

fn is_not_found(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Refused(Refusal::VerificationNotFound))
}

fn is_overloaded(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Refused(Refusal::Overloaded { .. }))
}

fn is_not_ready(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Refused(Refusal::NotReady { .. }))
}

fn poll_once<F: Future + Unpin>(answer: &mut F) -> Option<F::Output> {
    match Pin::new(answer).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    }
}

/// A lost answer must fail the test, not hang it.
fn arrived<T>(result: &flume::Receiver<T>) -> T {
    result.recv_timeout(PATIENCE).unwrap()
}

/// Lets everything else on this lane run once.
async fn next_turn() {
    let mut waited = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

thread_local! {
    /// Makes whatever a lane does next with its shard panic, its sweep included.
    static CLOCK_IS_BROKEN: Cell<bool> = const { Cell::new(false) };
}

fn clock() -> Now {
    assert!(!CLOCK_IS_BROKEN.get(), "the clock has stopped (this panic is part of the test)");
    static START: OnceLock<Instant> = OnceLock::new();
    let passed = START.get_or_init(Instant::now).elapsed().as_millis() as u64;
    Now { at: Moment::from_millis(passed), unix_ms: 1_795_000_000_000 + passed }
}
