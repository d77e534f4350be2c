//! Does a slow relay slow sign-ups, and a dead one checks?
//!
//! ```text
//!   client ── issues at a fixed rate ─▶ server A ─▶ relay that answers at once
//!          └─ in turn, window by window ─▶ server B ─▶ relay that takes 50 ms for each answer
//!          ── checks at a fixed rate ─▶ server A, and C whose relay has gone
//! ```
//!
//! Open loop: a latency counts from the moment its request was meant to leave. Client, relays and servers
//! share the machine; what is compared are windows of one run. Not measured: TLS to the relay, and how long a
//! mail takes (two answers of its relay).
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use authepy_benches::process::Authepy;
use authepy_benches::spread::{machine, spread};
use authepy_benches::wire::{exchange, member, start_http3};
use authepy_benches::{cpu, frame, yardstick};
use clap::Parser;
use tokio::task::{JoinSet, LocalSet};

mod relay;
use relay::Relay;

#[derive(Parser)]
struct Arguments {
    /// The service's binary.
    #[arg(long, env = "AUTHEPY_BIN", default_value = "target/release/authepy")]
    binary: PathBuf,
    /// Windows of each kind.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Seconds of a window.
    #[arg(long, default_value_t = 3)]
    window: u64,
    /// Requests a second.
    #[arg(long, default_value_t = 200)]
    rate: u64,
}

const SLOW: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime
        .map_err(|error| error.to_string())
        .and_then(|runtime| LocalSet::new().block_on(&runtime, run(Arguments::parse())));
    match outcome {
        Ok(report) => {
            print(&report);
            ExitCode::SUCCESS
        }
        Err(problem) => {
            print(&format!("{problem}\n"));
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stdout, reason = "the report is the program's purpose")]
fn print(text: &str) {
    print!("{text}");
}

/// A server with its relay, and a connection to it.
struct Pair {
    server: Authepy,
    relay: Relay,
    connection: quinn::Connection,
    _endpoint: quinn::Endpoint,
}

impl Pair {
    async fn start(arguments: &Arguments, delay: Duration) -> Result<Self, String> {
        let relay = Relay::start(delay).await?;
        let server = Authepy::start_with_relay(&arguments.binary, relay.address)?;
        let endpoint = yardstick::client(&server.ready.ca, [127, 0, 0, 1])?;
        let connecting = endpoint.connect(server.ready.h3, "localhost").map_err(|error| error.to_string())?;
        let connection = connecting.await.map_err(|error| error.to_string())?;
        start_http3(&connection).await.ok_or("no control stream")?;
        Ok(Self { server, relay, connection, _endpoint: endpoint })
    }

    fn issue(&self, n: u64) -> Vec<u8> {
        let recipient = format!("bench{n:015}@gmail.com");
        let body: [&[u8]; 3] = [br#"{"recipient":""#, recipient.as_bytes(), br#""}"#];
        frame::post(&self.authority(), &[b"/v1/verifications"], &self.server.key, &body)
    }

    /// Of a code that is right once in a million.
    fn check(&self, id: &[u8]) -> Vec<u8> {
        let path: [&[u8]; 3] = [b"/v1/verifications/", id, b"/check"];
        frame::post(&self.authority(), &path, &self.server.key, &[br#"{"code":"000000"}"#])
    }

    fn authority(&self) -> String {
        format!("localhost:{}", self.server.ready.h3.port())
    }

    /// Sends these at the rate; returns each one's latency in ms and its answer.
    async fn window(&self, requests: Vec<Vec<u8>>, rate: u64) -> Result<Vec<(f64, Vec<u8>)>, String> {
        let (start, mut running) = (cpu::now(), JoinSet::new());
        let step = Duration::from_secs(1) / u32::try_from(rate).map_err(|error| error.to_string())?;
        for (n, request) in (0u32..).zip(requests) {
            let (due, connection) = (start + step * n, self.connection.clone());
            tokio::time::sleep_until(due.into()).await;
            running.spawn_local(async move {
                let answer = exchange(&connection, &request).await.map_err(|error| error.to_string());
                answer.map(|answer| (due.elapsed().as_secs_f64() * 1e3, answer))
            });
        }
        let mut done = Vec::new();
        while let Some(one) = running.join_next().await {
            done.push(one.map_err(|error| error.to_string())??);
        }
        Ok(done)
    }
}

/// Median and 99th percentile.
fn percentiles(mut latencies: Vec<f64>) -> (f64, f64) {
    latencies.sort_by(f64::total_cmp);
    let at = |part: f64| latencies.get((latencies.len() as f64 * part) as usize).copied().unwrap_or(0.0);
    (at(0.5), at(0.99))
}

fn must(answers: &[(f64, Vec<u8>)], status: u16) -> Result<(), String> {
    let is = |answer: &[u8]| frame::answer(answer).map(|(status, _)| status);
    match answers.iter().find(|(_, answer)| is(answer) != Some(status)) {
        None => Ok(()),
        Some((_, answer)) => Err(format!("{:?} for {status}", is(answer))),
    }
}

async fn run(arguments: Arguments) -> Result<String, String> {
    let mut report = machine();
    let at_once = Rc::new(Pair::start(&arguments, Duration::ZERO).await?);
    let slow = Pair::start(&arguments, SLOW).await?;
    let per_window = arguments.rate * arguments.window;
    let mut next = 0;
    let mut issues = |pair: &Pair, count: u64| {
        next += count;
        (next - count..next).map(|n| pair.issue(n)).collect::<Vec<_>>()
    };
    let (mut fast, mut late) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        for (pair, figures) in [(&*at_once, &mut fast), (&slow, &mut late)] {
            let answers = pair.window(issues(pair, per_window), arguments.rate).await?;
            must(&answers, 202)?;
            figures.push(percentiles(answers.into_iter().map(|(latency, _)| latency).collect()));
        }
    }
    report.push_str(&told("issue", "a relay that answers at once", &fast, "one that takes 50 ms", &late));

    // Verifications to check while nobody takes mail.
    let dead = Pair::start(&arguments, Duration::ZERO).await?;
    let (mut alive, mut orphaned) = (Vec::new(), Vec::new());
    for (pair, ids) in [(&*at_once, &mut alive), (&dead, &mut orphaned)] {
        let answers = pair.window(issues(pair, per_window), arguments.rate).await?;
        must(&answers, 202)?;
        let id = |answer: &[u8]| member(answer, br#""id":""#).map(<[u8]>::to_vec);
        ids.extend(answers.iter().filter_map(|(_, answer)| id(answer)));
    }
    dead.relay.leave();
    let (mut fast, mut late) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds.min(4) {
        for (pair, ids, figures) in [(&*at_once, &alive, &mut fast), (&dead, &orphaned, &mut late)] {
            let more = pair.window(issues(pair, per_window / 4), arguments.rate / 4);
            let checks = pair.window(ids.iter().map(|id| pair.check(id)).collect(), arguments.rate);
            let (_mostly_refused, answers) = tokio::join!(more, checks);
            let answers = answers?;
            must(&answers, 200)?;
            figures.push(percentiles(answers.into_iter().map(|(latency, _)| latency).collect()));
        }
    }
    report.push_str(&told("check", "a relay that works", &fast, "one that has gone", &late));
    let mails = [&at_once.relay, &slow.relay].map(|relay| relay.mails.load(Ordering::Relaxed));
    report.push_str(&format!("mails taken: {} at once, {} slowly\n", mails[0], mails[1]));
    Ok(report)
}

fn told(what: &str, one: &str, fast: &[(f64, f64)], other: &str, late: &[(f64, f64)]) -> String {
    let median =
        |figures: &[(f64, f64)], which: fn(&(f64, f64)) -> f64| spread(figures.iter().map(which).collect()).0;
    let ratio = spread(fast.iter().zip(late).map(|(fast, late)| late.1 / fast.1).collect());
    format!(
        "{what}: {one}: p50 {:.2} ms, p99 {:.2} ms; {other}: p50 {:.2} ms, p99 {:.2} ms; \
         p99 ratio {:.2} ({:.2}–{:.2})\n",
        median(fast, |f| f.0),
        median(fast, |f| f.1),
        median(late, |f| f.0),
        median(late, |f| f.1),
        ratio.0,
        ratio.1,
        ratio.2
    )
}
