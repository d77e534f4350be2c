//! What does a pair of issue and check cost the engine, beside a Redis that keeps the same rules in Lua?
//!
//! ```text
//!   core 0:  the engine, a thread of this program (batches of 32)   |   redis-server, two scripts
//!   core 1:                                                             its client: 16 issues in one write,
//!            16 answers, 16 checks in one write, 16 answers
//!   windows: engine, Redis, in turn; both hold as many live verifications
//! ```
//!
//! The ratio is engine ÷ Redis: 0.05 means that the engine takes a twentieth. Redis's CPU is its whole process's
//! (`/proc/PID/task/*/schedstat`), its socket, its parser and its expiry included, because nobody has it without
//! them; the engine's is its thread's. Each does what the other leaves out: the engine makes the MACs and hashes
//! ids and peers, sweeps, keeps bans and the share of guesses; Redis reads commands. The caller's own work (HTTP,
//! names of inboxes; for Redis MACs and keys as well) is in neither.
//!
//! Not measured: a Redis on another machine, threads for its I/O, a cluster, persistence; latency.
#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

mod peer;

use std::process::ExitCode;
use std::time::Duration;

use authepy_benches::cpu;
use authepy_benches::redis::Redis;
use authepy_benches::rulebook::{Rulebook, SPAN};
use authepy_benches::spread::{machine, spread};
use clap::Parser;
use peer::Peer;

const SERVER_CORE: usize = 0;
const CLIENT_CORE: usize = 1;
/// Commands of the engine that are decided together.
const BATCH: usize = 32;

#[derive(Parser)]
#[command(
    name = "pair_vs_redis",
    about = "CPU of an issue + check pair in the engine, beside Redis with Lua"
)]
struct Bench {
    /// Live verifications on either side, all the time
    #[arg(long, default_value_t = 1_000_000)]
    live: usize,
    /// Windows of each
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds a window of Redis lasts
    #[arg(long, default_value_t = 3.0)]
    window: f64,
    /// Pairs in a window of the engine
    #[arg(long, default_value_t = 500_000)]
    pairs: u64,
    /// One JSON object as the last line
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match bench(&Bench::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("pair_vs_redis: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn bench(bench: &Bench) -> Result<(), String> {
    // Children inherit the core they are started on.
    cpu::pin(SERVER_CORE)?;
    println!("{}", machine());
    let Some(redis) = Redis::start()? else {
        println!("redis-server is not installed: apt-get install redis-server");
        if bench.json {
            println!("{}", serde_json::json!({"engine_vs_redis": null}));
        }
        return Ok(());
    };
    let mut book = Rulebook::filled(bench.live, BATCH)?;
    book.settle()?;
    cpu::pin(CLIENT_CORE)?;
    let mut peer = Peer::filled(redis, bench.live)?;
    let length = Duration::from_secs_f64(bench.window);
    // Until the first windows are over, and Redis expires as many of them as are made; in a short run it does not
    // come to that, in its favour.
    peer.pairs(SPAN.min(length * 7))?;
    let mut rounds = Vec::new();
    for _ in 0..bench.rounds {
        cpu::pin(SERVER_CORE)?;
        let (pairs, nanos) = book.pairs(bench.pairs)?;
        cpu::pin(CLIENT_CORE)?;
        let (theirs, their_nanos) = peer.pairs(length)?;
        rounds.push([nanos as f64 / pairs as f64, their_nanos as f64 / theirs as f64]);
    }
    report(bench, &rounds);
    Ok(())
}

fn report(bench: &Bench, rounds: &[[f64; 2]]) {
    println!(
        "| a pair in | live | µs CPU/pair, median (min–max) | engine ÷ it, median (min–max) |\n|---|---|---|---|"
    );
    let mut medians = Vec::new();
    for (at, name) in ["the engine", "Redis and Lua, pipeline 16"].iter().enumerate() {
        let (median, least, most) = spread(rounds.iter().map(|costs| costs[at] / 1e3).collect());
        let ratio = spread(rounds.iter().map(|costs| costs[0] / costs[at]).collect());
        let live = bench.live;
        println!(
            "| {name} | {live} | {median:.2} ({least:.2}–{most:.2}) | {:.4} ({:.4}–{:.4}) |",
            ratio.0, ratio.1, ratio.2
        );
        medians.push((median, ratio.0));
    }
    if bench.json {
        let figures = serde_json::json!({
            "engine_us": medians[0].0, "redis_us": medians[1].0, "engine_vs_redis": medians[1].1,
        });
        println!("{figures}");
    }
}
