//! Does the time an answer takes say what the answer doesn't? After dudect (Reparaz, Balasch, Verbauwhede, 2017):
//! two classes of input in random order, Welch's t over their times, at several cuts of the slow tail.
//!
//! ```text
//!   wrong code      right but for its last digit   ·  drawn at random
//!   unknown id      never drawn                    ·  consumed   ·  expired   ·  cancelled
//!   invalid key     never made                     ·  revoked
//! ```
//!
//! The last pair differs, by the look at a record that is there: whoever can present a revoked key has had it,
//! and learns nothing; nobody finds one of 2¹³¹ by trying.
//!
//! Measures the rulebook alone, where a nanosecond shows. It does not measure the network, which hides a
//! thousand times as much, nor the store, which is asked about a key that no lane knows: once, within a bound.
//! |t| below 4.5 is dudect's word for "no leak seen". Prints, never judges: these machines are noisy.
//! The last row is the canary: a leak of one digest, planted, which must show.
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]
#![allow(clippy::print_stdout, reason = "it prints a table")]

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use authepy_engine::clock::{Moment, Now};
use authepy_engine::code::Code;
use authepy_engine::id::{IdSecret, IdText, VerificationId};
use authepy_engine::identity::{Mode, Owner, ProjectId};
use authepy_engine::perimeter::api_key::{ApiKey, KeyClass};
use authepy_engine::perimeter::life::KeyLife;
use authepy_engine::perimeter::origin::OriginRules;
use authepy_engine::perimeter::{Credentials, KeyBook, KeyRecord, Seen, admit};
use authepy_engine::request::{Check, Command, Issued, Outcome, Slot};
use authepy_engine::route::StartKeys;
use authepy_engine::shard::{Settings, Shard};
use authepy_engine::testing::{Seeded, as_shipped, plain_issue, unproven};
use clap::Parser;

const OWNER: Owner = Owner { project: ProjectId(1), mode: Mode::Live };
/// Parts of the samples that are kept, from the fastest on: interrupts are no leak.
const KEPT: [f64; 4] = [1.0, 0.99, 0.9, 0.5];
/// Checks after which a verification is replaced, before its tries are used up.
const TRIES: u32 = 250;

/// Ids of each class. Each has its own place in the table and its own time, so the means of two small classes are
/// apart by chance alone; more would not stay in the cache, and measure that.
const IDS: u64 = 4_000;

#[derive(Parser)]
struct Options {
    /// Samples of each pair of classes.
    #[arg(long, default_value_t = 1_000_000)]
    samples: usize,
}

/// Times of two classes, in nanoseconds.
struct Pair {
    name: &'static str,
    times: [Vec<f64>; 2],
}

impl Pair {
    fn sample(name: &'static str, samples: usize, mut run: impl FnMut(usize) -> Duration) -> Self {
        let (mut order, mut times) = (Seeded::new(11), [Vec::new(), Vec::new()]);
        for _ in 0..samples {
            let class = order.below(2) as usize;
            times[class].push(run(class).as_nanos() as f64);
        }
        Self { name, times }
    }

    fn print(mut self) {
        self.times.iter_mut().for_each(|times| times.sort_by(f64::total_cmp));
        let medians = [0, 1].map(|class| self.times[class][self.times[class].len() / 2]);
        let all = KEPT.map(|part| self.t(part));
        let worst = all.iter().fold(0.0, |worst: f64, (t, _)| worst.max(t.abs()));
        let (_, apart) = all[2];
        println!(
            "{:<44} medians {:>5.0} {:>5.0} ns   {apart:>+7.2} ns apart   worst |t| {worst:>6.2}",
            self.name, medians[0], medians[1]
        );
    }

    /// Welch's t of the samples below a common bound, which keeps `part` of all; and how far their means are apart.
    fn t(&self, part: f64) -> (f64, f64) {
        let mut all: Vec<f64> = self.times.concat();
        all.sort_by(f64::total_cmp);
        let bound = all[((all.len() - 1) as f64 * part) as usize];
        let [(n, mean, variance), (m, other, spread)] = [0, 1].map(|class| {
            let kept: Vec<f64> = self.times[class].iter().copied().filter(|&time| time <= bound).collect();
            let n = kept.len() as f64;
            let mean = kept.iter().sum::<f64>() / n;
            (n, mean, kept.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (n - 1.0))
        });
        ((mean - other) / (variance / n + spread / m).sqrt().max(f64::MIN_POSITIVE), other - mean)
    }
}

fn main() -> ExitCode {
    let samples = Options::parse().samples;
    let mut bench = Bench::new();
    bench.wrong_codes(samples).print();
    for (name, end) in [
        ("unknown id: never drawn, consumed", End::Consumed),
        ("unknown id: never drawn, expired", End::Expired),
        ("unknown id: never drawn, cancelled", End::Cancelled),
    ] {
        bench.unknown_ids(name, end, samples).print();
    }
    invalid_keys(samples).print();
    bench.planted(samples).print();
    ExitCode::SUCCESS
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Consumed,
    Expired,
    Cancelled,
}

struct Bench {
    keys: StartKeys,
    shard: Shard,
    random: Seeded,
    at: u64,
    issued: u64,
}

impl Bench {
    fn new() -> Self {
        let mut random = Seeded::new(5);
        let keys = StartKeys::draw(&mut random);
        let rules = Settings {
            recipient_issue: Vec::new(),
            recipient_all_issue: Vec::new(),
            recipient_guess: Vec::new(),
            attempts: u8::MAX,
            ..as_shipped()
        };
        Self { shard: Shard::new(keys.clone(), rules), keys, random, at: 0, issued: 0 }
    }

    fn ask(&mut self, command: Command) -> Outcome {
        let now = Now { at: Moment::from_millis(self.at), unix_ms: 0 };
        self.shard.handle(now, command, &mut self.random)
    }

    fn issue(&mut self) -> Issued {
        self.issued += 1;
        let text = format!("ada{}@example.com", self.issued);
        let inbox = self.keys.fingerprint(&text, Mode::Live);
        let issue = plain_issue(&self.keys, inbox, OWNER, &mut self.random);
        match self.ask(Command::Issue(unproven(issue))) {
            Outcome::Issued(issued) => issued,
            other => unreachable!("{other:?}"),
        }
    }

    /// The time from the id's text to the answer, as a request takes it.
    fn check(&mut self, id: &str, code: &Code) -> (Duration, Outcome) {
        let code = code.clone();
        let start = Instant::now();
        let outcome = match VerificationId::parse(id) {
            None => unreachable!("ids are well formed"),
            Some(id) => {
                let slot = Slot::locate(&self.keys, id, OWNER);
                self.ask(Command::Check(unproven(Check { slot, code, address: None, nonce: None })))
            }
        };
        let took = start.elapsed();
        (took, black_box(outcome))
    }

    fn wrong_codes(&mut self, samples: usize) -> Pair {
        let (mut tries, mut id, mut right) = (TRIES, String::new(), Code::zeros(6));
        Pair::sample("wrong code: near, random", samples, |class| {
            if tries == TRIES {
                let issued = self.issue();
                (tries, id, right) = (0, issued.id.text().as_str().to_owned(), issued.code);
            }
            tries += 1;
            // Both are made each time: making them must not be what differs.
            let guesses = [near(&right), far(&right, &mut self.random)];
            let (took, outcome) = self.check(&id, &guesses[class]);
            assert!(matches!(outcome, Outcome::Incorrect { .. }), "{outcome:?}");
            took
        })
    }

    fn unknown_ids(&mut self, name: &'static str, end: End, samples: usize) -> Pair {
        let ended: Vec<IdText> = (0..IDS).map(|_| self.ended(end)).collect();
        if end == End::Expired {
            self.at += 601_000;
            while self.shard.sweep(Moment::from_millis(self.at)) {}
        }
        let fresh: Vec<IdText> = (0..IDS)
            .map(|n| {
                let route = self.keys.fingerprint(&n.to_string(), Mode::Live).route();
                let id = VerificationId::new(&self.keys, IdSecret::draw(&mut self.random), route);
                id.text()
            })
            .collect();
        // Side by side, so that one class's are no warmer than the other's.
        let ids: Vec<[IdText; 2]> =
            fresh.into_iter().zip(ended).map(|(fresh, ended)| [fresh, ended]).collect();
        let mut pick = Seeded::new(3);
        Pair::sample(name, samples, |class| {
            let (took, outcome) = self.check(ids[pick.below(IDS) as usize][class].as_str(), &Code::zeros(6));
            assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
            took
        })
    }

    /// The same unknown ids twice, one class with a digest more.
    fn planted(&mut self, samples: usize) -> Pair {
        let id = self.ended(End::Cancelled);
        Pair::sample("planted: one digest more", samples, |class| {
            let start = Instant::now();
            let (_, outcome) = self.check(id.as_str(), &Code::zeros(6));
            if class == 1 {
                black_box(self.keys.exact_address("ada@example.com"));
            }
            drop(outcome);
            start.elapsed()
        })
    }

    fn ended(&mut self, end: End) -> IdText {
        let issued = self.issue();
        let text = issued.id.text();
        let slot = Slot::locate(&self.keys, issued.id, OWNER);
        match end {
            End::Consumed => drop(self.check(text.as_str(), &issued.code)),
            End::Cancelled => drop(self.ask(Command::Cancel(unproven(slot)))),
            End::Expired => {}
        }
        text
    }
}

/// Wrong in its last digit only.
fn near(right: &Code) -> Code {
    let mut digits = right.as_str().to_owned().into_bytes();
    digits[5] = if digits[5] == b'9' { b'0' } else { digits[5] + 1 };
    read(&digits)
}

/// Wrong in its first digit, the others at random.
fn far(right: &Code, random: &mut Seeded) -> Code {
    let mut digits = Code::draw(6, random).as_str().to_owned().into_bytes();
    digits[0] = if right.as_str().as_bytes()[0] == b'9' { b'0' } else { right.as_str().as_bytes()[0] + 1 };
    read(&digits)
}

fn read(digits: &[u8]) -> Code {
    std::str::from_utf8(digits).ok().and_then(Code::read).unwrap_or_else(|| Code::zeros(6))
}

fn invalid_keys(samples: usize) -> Pair {
    let mut random = Seeded::new(9);
    let mut make =
        || ApiKey::generate(KeyClass::Secret, Mode::Live, |bytes| bytes.fill_with(|| random.draw() as u8));
    let (book, strangers): (Vec<ApiKey>, Vec<ApiKey>) = (0..1_000).map(|_| (make(), make())).unzip();
    let records = book.iter().map(|key| KeyRecord {
        id: key.expose().into(),
        digest: key.as_text().digest(),
        project: ProjectId(1),
        project_name: "shop".into(),
        alert_to: [].into(),
        class: KeyClass::Secret,
        mode: Mode::Live,
        native: false,
        origins: OriginRules::default(),
        life: KeyLife { revoked: Some(1), ..KeyLife::begin(0, None) },
    });
    let known = KeyBook::new(records);
    let bearers = [&strangers, &book]
        .map(|keys| -> Vec<String> { keys.iter().map(|key| format!("Bearer {}", key.expose())).collect() });
    let mut pick = Seeded::new(4);
    let now = Now { at: Moment::from_millis(1), unix_ms: 5_000 };
    Pair::sample("invalid key: never made, revoked", samples, |class| {
        let value = bearers[class][pick.below(1_000) as usize].as_bytes();
        let shown =
            Credentials { authorization: Seen::One(value), origin: Seen::Absent, from_browser: false };
        let start = Instant::now();
        let admitted = black_box(admit(&known, &shown, now, false).is_ok());
        let took = start.elapsed();
        assert!(!admitted, "it was let in");
        took
    })
}
