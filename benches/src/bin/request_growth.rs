//! What does a request cost the server with 10⁷ live verifications, beside 10⁴?
//!
//! ```text
//!   core 0:  two servers (one shard each, limits off): one holds 10⁴ verifications, one 10⁷
//!   core 1:  this client, closed loop over HTTP/3, 16 connections × 16 streams
//!   windows of both in turn: each stream issues one and checks somebody, by lot among all that live
//! ```
//!
//! CPU is the server process's own. Filling in takes some minutes, a life lasts longer; every check in a window
//! must be approved, so whoever was filled in is still there. The engine's part of it alone: `engine_growth`.
#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use authepy_benches::client::{Client, Work};
use authepy_benches::cpu;
use authepy_benches::process::Authepy;
use authepy_benches::spread::{machine, spread};
use clap::Parser;

const SERVER_CORE: usize = 0;
const CLIENT_CORE: usize = 1;
const KEY_PATIENCE: Duration = Duration::from_secs(10);
/// Above what the many take.
const ROOM: &str = "memory.ceiling=\"12GiB\"";

#[derive(Parser)]
#[command(name = "request_growth", about = "CPU of a request with many live verifications beside few")]
struct Bench {
    /// The server's binary; when left out, the one built beside this program
    #[arg(long, env = "AUTHEPY_BIN")]
    server: Option<PathBuf>,
    /// Live verifications in the one server
    #[arg(long, default_value_t = 10_000)]
    few: usize,
    /// And in the other
    #[arg(long, default_value_t = 10_000_000)]
    many: usize,
    /// Rounds of a window of each
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds a window lasts
    #[arg(long, default_value_t = 3.0)]
    window: f64,
    /// One JSON object as the last line
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match bench(&Bench::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("request_growth: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn bench(bench: &Bench) -> Result<(), String> {
    // Children inherit the core they are started on.
    cpu::pin(SERVER_CORE)?;
    let beside = std::env::current_exe().map_err(|error| error.to_string())?.with_file_name("authepy");
    let binary = bench.server.as_ref().unwrap_or(&beside);
    let room = [ROOM.to_owned()];
    let servers = [Authepy::start(binary, &room)?, Authepy::start(binary, &room)?];
    cpu::pin(CLIENT_CORE)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    println!("{}", machine());
    let rounds = runtime.block_on(tokio::task::LocalSet::new().run_until(rounds(bench, &servers)))?;
    tell(bench, &rounds);
    Ok(())
}

/// CPU of a request in ns, of few and of many, round by round.
async fn rounds(bench: &Bench, servers: &[Authepy; 2]) -> Result<Vec<[f64; 2]>, String> {
    // In this order: connections that nobody uses for half a minute are closed.
    let many = filled(&servers[1], bench.many).await?;
    let clients = [filled(&servers[0], bench.few).await?, many];
    let length = Duration::from_secs_f64(bench.window);
    let mut rounds = Vec::new();
    for round in 0..=bench.rounds {
        let mut costs = [0.0; 2];
        for ((server, client), cost) in servers.iter().zip(&clients).zip(&mut costs) {
            let before = cpu::nanos(server.pid())?;
            let requests = client.window(Work::Turnover, length).await?;
            *cost = cpu::nanos(server.pid())?.saturating_sub(before) as f64 / requests as f64;
        }
        // The first fills caches and congestion windows.
        if round > 0 {
            rounds.push(costs);
        }
    }
    Ok(rounds)
}

async fn filled(server: &Authepy, live: usize) -> Result<Client, String> {
    let client = Client::connect(&server.ready, Some(&server.key), 16, 16).await?;
    client.admitted(KEY_PATIENCE).await?;
    client.fill(live).await?;
    Ok(client)
}

fn tell(bench: &Bench, rounds: &[[f64; 2]]) {
    println!("| live | µs CPU/request, median (min–max) | × few, median (min–max) |\n|---|---|---|");
    let mut growth = 0.0;
    for (at, live) in [bench.few, bench.many].into_iter().enumerate() {
        let (median, least, most) = spread(rounds.iter().map(|costs| costs[at] / 1e3).collect());
        let grown = spread(rounds.iter().map(|costs| costs[at] / costs[0]).collect());
        growth = grown.0;
        println!(
            "| {live} | {median:.2} ({least:.2}–{most:.2}) | {:.2} ({:.2}–{:.2}) |",
            grown.0, grown.1, grown.2
        );
    }
    if bench.json {
        println!("{}", serde_json::json!({"few": bench.few, "many": bench.many, "growth": growth}));
    }
}
