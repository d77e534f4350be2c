//! How many pairs of issue and check does the engine alone decide in a second of one core?
//!
//! ```text
//!   one thread on core 0: a shard with 10⁶ live verifications, its commands one by one
//!                         the same, its commands in batches of 32, as another lane's come
//!   windows of both in turn; CPU is the thread's own clock
//! ```
//!
//! What a pair is, and what of it is counted, stands at the top of `src/rulebook.rs`. A second is one of CPU, not
//! of the wall: foreign load on the core takes time away, and caches, which widens the spread.
#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

use std::process::ExitCode;

use authepy_benches::cpu;
use authepy_benches::rulebook::Rulebook;
use authepy_benches::spread::{machine, spread};
use clap::Parser;

const CORE: usize = 0;

#[derive(Parser)]
#[command(
    name = "engine_pairs",
    about = "Pairs of issue and check that the engine alone decides in a second"
)]
struct Bench {
    /// Live verifications, all the time
    #[arg(long, default_value_t = 1_000_000)]
    live: usize,
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
            eprintln!("engine_pairs: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn bench(bench: &Bench) -> Result<(), String> {
    cpu::pin(CORE)?;
    println!("{}", machine());
    println!(
        "| commands | live | bytes each | ns CPU/pair, median (min–max) | pairs/s of a core |\n|---|---|---|---|---|"
    );
    let mut books = [Rulebook::filled(bench.live, 1)?, Rulebook::filled(bench.live, bench.batch)?];
    let mut costs = [const { Vec::new() }; 2];
    books.iter_mut().try_for_each(Rulebook::settle)?;
    for _ in 0..bench.rounds {
        for (book, costs) in books.iter_mut().zip(&mut costs) {
            let (pairs, nanos) = book.pairs(bench.pairs)?;
            costs.push(nanos as f64 / pairs as f64);
        }
    }
    let names = ["one by one".to_owned(), format!("in batches of {}", bench.batch)];
    let mut rates = Vec::new();
    for ((book, costs), name) in books.iter().zip(costs).zip(names) {
        let (median, least, most) = spread(costs);
        let each = book.bytes() / book.live().max(1);
        let rate = 1e9 / median;
        println!("| {name} | {} | {each} | {median:.0} ({least:.0}–{most:.0}) | {rate:.0} |", book.live());
        rates.push(rate);
    }
    if bench.json {
        let figures = serde_json::json!({
            "live": bench.live, "one_by_one_pairs_per_s": rates[0], "pairs_per_s": rates[1],
        });
        println!("{figures}");
    }
    Ok(())
}
