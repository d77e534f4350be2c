//! How much of its peak does the server still do when ten and twenty times as much is asked of it?
//!
//! ```text
//!   core 0:  authepy, one shard, on a share of the core   |   `slow-core`, which takes the rest (see `slow.rs`)
//!   core 1:  100 phones with open connections; each request a stream on one of them, drawn by lot
//!   phases:  closed loop (peak) │ ½ × │ 10 × │ ½ × again │ 20 × │ ½ × again        × rounds
//! ```
//!
//! The load is an open loop of real requests: issues by a page with a restricted test key, to fresh inboxes, as
//! HTTP/3 on live connections, at Poisson's moments. Who has no answer 2 s after he meant to ask gives up and
//! cancels his stream; whose connection was closed opens a new one. What is lost on the way (a full socket) is sent
//! again as QUIC does it. Goodput is what was answered 202 in time; a latency counts from the intended start.
//! *Offered* is what was started; when that is less than was meant, the client's core was too slow, and the figure
//! is of less than it says.
//!
//! All of it is one server at a tenth of its speed, so a hundred phones here are like a thousand there, and as
//! each asks for ten, none is closed on for its cancellations (`connections.resets`).
//!
//! The peak is the most of a closed loop and of two open ones around it, in the same round. What is offered and
//! what is accepted is told as a multiple of it, which may be more than 1: phones with many requests under way put
//! more of them into a datagram. All ratios are of one round.
//!
//! Not measured: handshakes under overload, TCP, mail, checks, backends with secret keys (for them see
//! `class-isolation` of the load harness), a network between; and, the core being slow by interruption, waits below
//! its pause of some milliseconds.
#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

mod phones;
mod slow;
mod tally;

use std::cell::RefCell;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use authepy_benches::cpu;
use authepy_benches::process::Authepy;
use authepy_benches::spread::{machine, spread};
use clap::{Args, Parser, Subcommand};
use phones::Phones;
use slow::SlowCore;
use tally::{End, Tally};

const SERVER_CORE: usize = 0;
const CLIENT_CORE: usize = 1;
/// How long the load after an overload is watched.
const AFTERWARDS: Duration = Duration::from_secs(6);
/// Between phases that must not feel each other.
const PAUSE: Duration = Duration::from_millis(500);
/// What it costs to be normal: so many times the 99th percentile at half load.
const NORMAL: f64 = 3.0;
/// Requests under way in the closed loop.
const STREAMS: usize = 64;

#[derive(Parser)]
#[command(name = "overload", about = "Goodput at 10 and 20 times what the server can do, beside its peak")]
struct Cli {
    #[command(subcommand)]
    command: Option<Hidden>,
    #[command(flatten)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Hidden {
    /// Takes most of a core
    #[command(hide = true)]
    SlowCore {
        #[arg(long)]
        share: f64,
    },
}

#[derive(Args)]
struct Bench {
    /// The server's binary; when left out, the one built beside this program
    #[arg(long, env = "AUTHEPY_BIN")]
    server: Option<PathBuf>,
    /// More `--set KEY=VALUE` for the server
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The server's share of its core; with 1 it has all of it, and the client can't ask enough
    #[arg(long, default_value_t = 0.1)]
    share: f64,
    /// Phones
    #[arg(long, default_value_t = 100)]
    phones: usize,
    /// How many times the peak is offered
    #[arg(long, value_delimiter = ',', default_value = "10,20")]
    times: Vec<f64>,
    /// Rounds of all phases
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds a phase lasts
    #[arg(long, default_value_t = 4.0)]
    window: f64,
    /// One JSON object as the last line
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Two TLS providers in one tree can make rustls panic at run time; naming one first settles it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let outcome = match cli.command {
        Some(Hidden::SlowCore { share }) => {
            slow::spin(share);
            Ok(())
        }
        None => bench(&cli.bench),
    };
    outcome.map_or_else(
        |problem| {
            eprintln!("overload: {problem}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

/// What one round says of one overload.
struct Overload {
    /// Accepted a second; in the end, as a multiple of the round's peak.
    goodput: f64,
    p99: f64,
    normal_after: f64,
}

fn bench(bench: &Bench) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    println!("{}", machine());
    println!(
        "| offered | × peak | started/s | accepted/s | p50, p99 of accepted, ms | 503 | given up | lost | lag, ms | CPU, µs/accepted |\n\
         |---|---|---|---|---|---|---|---|---|---|"
    );
    let mut rounds = Vec::new();
    for _ in 0..bench.rounds {
        match runtime.block_on(tokio::task::LocalSet::new().run_until(fresh(bench)))? {
            Some(round) => rounds.push(round),
            None => break,
        }
    }
    report(bench, &rounds);
    Ok(())
}

/// A round with a server and phones of its own. `None` where no core may be slowed down.
async fn fresh(bench: &Bench) -> Result<Option<Vec<Overload>>, String> {
    // Children inherit the core they are started on.
    cpu::pin(SERVER_CORE)?;
    let beside = std::env::current_exe().map_err(|error| error.to_string())?.with_file_name("authepy");
    let settings = [&["connections.resets=1000000".to_owned()], &bench.set[..]].concat();
    let server = Authepy::start(bench.server.as_ref().unwrap_or(&beside), &settings)?;
    cpu::pin(CLIENT_CORE)?;
    let phones = Phones::connect(&server, bench.phones).await?;
    cpu::pin(SERVER_CORE)?;
    let slow = if bench.share < 1.0 { SlowCore::start(bench.share).map(Some) } else { Ok(None) };
    cpu::pin(CLIENT_CORE)?;
    match slow {
        Ok(_until_the_end) => round(bench, &phones).await.map(Some),
        Err(problem) => {
            println!("{problem}");
            Ok(None)
        }
    }
}

async fn round(bench: &Bench, phones: &Rc<Phones>) -> Result<Vec<Overload>, String> {
    let window = Duration::from_secs_f64(bench.window);
    let closed = phones.closed_loop(STREAMS, window).await;
    let mut peak = finished("closed loop", 0.0, &closed).await?.goodput;
    for times in [0.9, 1.1] {
        if peak < 1.0 {
            return Err("nothing was accepted".into());
        }
        tokio::time::sleep(PAUSE).await;
        let open = phones.open_loop(peak * times, window).await;
        peak = finished("about the peak", peak, &open).await?.goodput.max(peak);
    }
    tokio::time::sleep(PAUSE).await;
    let half = phones.open_loop(peak / 2.0, window).await;
    let half = finished("half", peak, &half).await?;
    let bound = Duration::from_secs_f64(NORMAL * half.p99 / 1e3);
    let mut overloads = Vec::new();
    for &times in &bench.times {
        tokio::time::sleep(PAUSE).await;
        let over = phones.open_loop(peak * times, window).await;
        // At once: what the overload has left behind is what the next ones meet.
        let after = phones.open_loop(peak / 2.0, AFTERWARDS).await;
        let over = finished("overload", peak, &over).await?;
        finished("half again", peak, &after).await?;
        let normal_after = after.borrow().normal_after(bound).unwrap_or(f64::INFINITY);
        overloads.push(Overload { goodput: over.goodput, p99: over.p99 / half.p99, normal_after });
    }
    overloads.iter_mut().for_each(|over| over.goodput /= peak);
    Ok(overloads)
}

/// What is compared of a phase.
struct Seen {
    goodput: f64,
    /// In ms.
    p99: f64,
}

/// A phase's row, once everybody has an answer or none.
async fn finished(name: &str, peak: f64, tally: &RefCell<Tally>) -> Result<Seen, String> {
    Phones::settled(tally).await;
    let of = tally.borrow();
    let percent = |end| 100.0 * of.share(end);
    let seen = Seen { goodput: of.goodput(), p99: of.latency(0.99) };
    println!(
        "| {name} | {:.1} | {:.0} | {:.0} | {:.1}, {:.1} | {:.1} % | {:.1} % | {:.1} % | {:.0} | {:.0} |",
        if peak > 0.0 { of.rate / peak } else { 0.0 },
        of.offered(),
        seen.goodput,
        of.latency(0.5),
        seen.p99,
        percent(End::Refused),
        percent(End::GivenUp),
        percent(End::Lost),
        of.lag.as_secs_f64() * 1e3,
        of.cost() / 1e3,
    );
    of.wrong().map_or(Ok(seen), |status| Err(format!("status {status} for 202")))
}

fn report(bench: &Bench, rounds: &[Vec<Overload>]) {
    println!(
        "\n| offered × peak | goodput ÷ peak, median (min–max) | p99 of accepted ÷ that at half load | normal again after, s |\n\
         |---|---|---|---|"
    );
    let mut figures = serde_json::Map::new();
    for (at, times) in bench.times.iter().enumerate() {
        let of =
            |figure: &dyn Fn(&Overload) -> f64| spread(rounds.iter().map(|all| figure(&all[at])).collect());
        let figures_of = [of(&|o| o.goodput), of(&|o| o.p99), of(&|o| o.normal_after)];
        let [goodput, p99, after] =
            figures_of.map(|(median, least, most)| format!("{median:.2} ({least:.2}–{most:.2})"));
        println!("| {times} | {goodput} | {p99} | {after} |");
        if rounds.is_empty() {
            figures.insert(format!("goodput_{times}x"), serde_json::Value::Null);
            continue;
        }
        figures.insert(format!("goodput_{times}x"), figures_of[0].0.into());
        figures.insert(format!("p99_{times}x"), figures_of[1].0.into());
        figures.insert(format!("normal_after_{times}x_s"), figures_of[2].0.into());
    }
    if bench.json {
        println!("{}", serde_json::Value::Object(figures));
    }
}
