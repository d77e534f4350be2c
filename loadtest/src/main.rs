//! `authepy-loadtest`: what does a caller feel, and is every answer right?
//!
//! ```text
//!  profile ──▶ schedule ──▶ metronome ──▶ worker (thread, runtime) ──▶ phone ──▶ the server
//!  seed, knobs  fixed        keeps time     at most `in_flight`          │
//!                                           stories at once              ▼
//!                  report  ◀──── tally  ◀──────────────── oracle: the answer itself
//!                  table, JSON, HTML                       world:  what all others were answered
//! ```
//!
//! - **Open loop.** Start times are drawn before the first packet leaves, and a latency is counted from the
//!   *intended* start: a server that stalls can't make us ask less, nor hide the wait of those behind it. A
//!   story that would exceed the cap is reported as not started, never delayed.
//! - **Every answer has a judge.** [`oracle`] knows what each answer must be from what was asked and from the
//!   contract, [`world`] whether limits, ledger and bans leave room for it; a wrong one is counted by kind
//!   beside the latencies and turns the exit code.
//! - **Nothing grows unasked.** The schedule is bounded before the run, stories under way and guesses at once
//!   are capped, channels have the cap's size, and books forget what no window can see.
//! - **An independent reading of the wire.** The client is `h3` on quinn, and nothing here comes from the
//!   engine or the transport: a mistake shared by both ends would be invisible.
//!
//! Exit codes: 0 it held; 1 an answer was wrong, or honest callers were not served; 2 usage, 69 the target can't be reached.
#![allow(clippy::print_stdout, reason = "the table and the JSON line are what this program is for")]

mod admin;
mod args;
mod book;
mod clock;
mod compare;
mod html;
mod isolation;
mod limits;
mod live;
mod maildir;
mod metronome;
mod oracle;
mod phone;
mod profile;
mod random;
mod report;
mod run;
mod scenario;
mod server;
mod stage;
mod story;
mod tally;
mod target;
mod view;
mod wire;
mod world;

use std::process::ExitCode;

use clap::Parser;

/// A run that could not begin: the exit code, and why.
struct Stopped(u8, String);

fn main() -> ExitCode {
    let command = args::Args::parse().command;
    // Two TLS providers in one tree can make rustls panic at run time; naming one first settles it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let held = match command {
        args::Command::Run(args) => run_scenario(&args),
        args::Command::Profile(chosen) => chosen.profile().map_err(usage).map(|profile| {
            print!("{}", profile.print());
            true
        }),
        args::Command::Compare(args) => compare::run(&args).map(|()| true).map_err(unavailable),
        args::Command::ClassIsolation(args) => class_isolation(&args),
    };
    match held {
        Ok(held) => ExitCode::from(u8::from(!held)),
        Err(Stopped(code, problem)) => {
            eprintln!("authepy-loadtest: {problem}");
            ExitCode::from(code)
        }
    }
}

/// Whether the scenario held.
fn run_scenario(args: &args::Run) -> Result<bool, Stopped> {
    let profile = args.chosen.profile().map_err(usage)?;
    let rules = limits::Rules::new(&profile.server).map_err(usage)?;
    profile.check(&rules).map_err(usage)?;
    let (target, mut server) = match &args.target {
        Some(file) => (target::Target::from_file(file, args.test_keys).map_err(usage)?, None),
        None => {
            let binary = args.start.clone().map_or_else(server::beside_us, Ok).map_err(unavailable)?;
            let server = server::Server::start(&binary, &profile.server).map_err(unavailable)?;
            let target = target::Target::from_line(&server.ready, args.test_keys).map_err(unavailable)?;
            (target, Some(server))
        }
    };
    let tally = run::run(&profile, target, server.as_mut()).map_err(unavailable)?;
    let report = report::Report::new(&profile, &tally);
    print!("{}", report.table());
    if let Some(file) = &args.html {
        let written = std::fs::write(file, html::page(&report));
        written.map_err(|error| Stopped(70, format!("{}: {error}", file.display())))?;
    }
    if args.json {
        println!("{}", report.json());
    }
    Ok(report.holds())
}

fn class_isolation(args: &args::ClassIsolation) -> Result<bool, Stopped> {
    let profiles = args.profiles();
    for profile in &profiles {
        let rules = limits::Rules::new(&profile.server).map_err(usage)?;
        profile.check(&rules).map_err(usage)?;
    }
    let target = target::Target::from_file(&args.target, true).map_err(usage)?;
    let tallies = isolation::run(&profiles, &target).map_err(unavailable)?;
    let comparison = isolation::Comparison::new(&profiles, &tallies);
    print!("{}", comparison.table());
    if args.json {
        println!("{}", comparison.json());
    }
    Ok(comparison.holds())
}

fn usage(problem: String) -> Stopped {
    Stopped(2, problem)
}

fn unavailable(problem: String) -> Stopped {
    Stopped(69, problem)
}
