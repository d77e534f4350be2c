//! What does a pair of issue and check cost the engine with 10⁷ live verifications, beside 10⁴?
//!
//! ```text
//!   one thread on core 0: a shard with 10⁴ live verifications │ one with 10⁷, about 5 GB with their peers
//!   windows of both in turn, commands in batches of 32; CPU is the thread's own clock
//! ```
//!
//! The engine's part of a request alone, so the ratio is the most that growth can do: a whole request costs
//! twenty times as much, and the rest of it knows nothing of how many others live. What a pair is stands at
//! the top of `src/rulebook.rs`.
#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

use std::process::ExitCode;

use authepy_benches::cpu;
use authepy_benches::rulebook::Rulebook;
use authepy_benches::spread::{machine, spread};
use clap::Parser;

const CORE: usize = 0;

#[derive(Parser)]
#[command(name = "engine_growth", about = "CPU of a pair with many live verifications beside one with few")]
struct Bench {
    /// Live verifications in the small shard
    #[arg(long, default_value_t = 10_000)]
    few: usize,
    /// And in the large one
    #[arg(long, default_value_t = 10_000_000)]
    many: usize,
    /// Commands decided together
    #[arg(long, default_value_t = 32)]
    batch: usize,
    /// Windows of each
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Pairs in a window
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
            eprintln!("engine_growth: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn bench(bench: &Bench) -> Result<(), String> {
    cpu::pin(CORE)?;
    println!("{}", machine());
    println!(
        "| live | bytes in all | ns CPU/pair, median (min–max) | × few, median (min–max) |\n|---|---|---|---|"
    );
    let mut books = [Rulebook::filled(bench.few, bench.batch)?, Rulebook::filled(bench.many, bench.batch)?];
    let mut rounds = Vec::new();
    books.iter_mut().try_for_each(Rulebook::settle)?;
    for _ in 0..bench.rounds {
        let mut costs = [0.0; 2];
        for (book, cost) in books.iter_mut().zip(&mut costs) {
            let (pairs, nanos) = book.pairs(bench.pairs)?;
            *cost = nanos as f64 / pairs as f64;
        }
        rounds.push(costs);
    }
    let mut ratio = 0.0;
    for (at, book) in books.iter().enumerate() {
        let (median, least, most) = spread(rounds.iter().map(|costs| costs[at]).collect());
        let grown = spread(rounds.iter().map(|costs| costs[at] / costs[0]).collect());
        ratio = grown.0;
        let (live, bytes) = (book.live(), book.bytes());
        println!(
            "| {live} | {bytes} | {median:.0} ({least:.0}–{most:.0}) | {:.2} ({:.2}–{:.2}) |",
            grown.0, grown.1, grown.2
        );
    }
    if bench.json {
        println!("{}", serde_json::json!({"few": bench.few, "many": bench.many, "growth": ratio}));
    }
    Ok(())
}
