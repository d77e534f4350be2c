//! `authepy-loadtest`: what does a caller feel, and is every answer right?
//!
//! ```text
//!  profile ──▶ schedule ──▶ metronome ──▶ worker (thread, runtime) ──▶ phone ──▶ the server
//!  seed, knobs  fixed        keeps time     at most `in_flight`          │
//!                                           sign-ups at once             ▼
//!                            report  ◀──── tally  ◀────────────────── oracle
//! ```
//!
//! - **Open loop.** Start times are drawn before the first packet leaves, and a latency is counted from the
//!   *intended* start: a server that stalls can't make us ask less, nor hide the wait of those behind it. A
//!   sign-up that would exceed the cap is reported as not started, never delayed.
//! - **Every answer has a judge.** [`oracle`] knows what each answer must be from what was asked and from the
//!   contract; a wrong one is counted by kind beside the latencies and turns the exit code.
//! - **An independent reading of the wire.** The client is `h3` on quinn, and nothing here comes from the
//!   engine or the transport: a mistake shared by both ends would be invisible.
//!
//! Exit codes: 0 every answer was right, 1 one was not (or none came), 2 usage, 69 the target can't be reached.
#![allow(clippy::print_stdout, reason = "the table and the JSON line are what this program is for")]

mod args;
mod clock;
mod isolation;
mod maildir;
mod metronome;
mod oracle;
mod phone;
mod profile;
mod random;
mod report;
mod run;
mod signup;
mod tally;
mod target;
mod wire;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let command = args::Args::parse().command;
    // Two TLS providers in one tree can make rustls panic at run time; naming one first settles it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match command {
        args::Command::SignupWave(args) => signup_wave(&args),
        args::Command::ClassIsolation(args) => class_isolation(&args),
    }
}

fn signup_wave(args: &args::SignupWave) -> ExitCode {
    let profile = args.profile();
    let target = match target::Target::resolve(&args.target) {
        Ok(target) => target,
        Err(problem) => return stop(2, &problem),
    };
    if let Err(problem) = profile.check(&target) {
        return stop(2, &problem);
    }
    match run::run(&profile, target) {
        Ok(tally) => {
            let report = report::Report::new(&profile, &tally);
            print!("{}", report.table());
            if args.json {
                println!("{}", report.json());
            }
            ExitCode::from(u8::from(!report.holds()))
        }
        Err(problem) => stop(69, &problem),
    }
}

fn class_isolation(args: &args::ClassIsolation) -> ExitCode {
    let profiles = args.profiles();
    let targets = match target::both_classes(&args.target) {
        Ok(targets) => targets,
        Err(problem) => return stop(2, &problem),
    };
    if let Some(problem) = profiles.iter().find_map(|profile| profile.check(&targets[0]).err()) {
        return stop(2, &problem);
    }
    match isolation::run(&profiles, targets) {
        Ok(tallies) => {
            let comparison = isolation::Comparison::new(&profiles, &tallies);
            print!("{}", comparison.table());
            if args.json {
                println!("{}", comparison.json());
            }
            ExitCode::from(u8::from(!comparison.holds()))
        }
        Err(problem) => stop(69, &problem),
    }
}

fn stop(code: u8, problem: &str) -> ExitCode {
    eprintln!("authepy-loadtest: {problem}");
    ExitCode::from(code)
}
