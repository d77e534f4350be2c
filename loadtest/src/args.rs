//! The command line.
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};

use crate::profile::{Arrivals, Profile};

/// Open-loop load over HTTP/3 with an oracle: what a caller feels, and whether every answer is right.
#[derive(Parser)]
#[command(name = "authepy-loadtest", version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Sign-ups at a steady rate: issue, (a wrong code,) the right code, (a refused replay)
    SignupWave(SignupWave),
}

#[derive(ClapArgs)]
pub(crate) struct SignupWave {
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    /// Sign-ups a second
    #[arg(long, default_value_t = 500.0)]
    rate: f64,
    /// How long sign-ups keep starting
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// How start times are spread
    #[arg(long, value_enum, default_value = "poisson")]
    arrivals: Arrivals,
    /// HTTP/3 connections, opened before the first sign-up
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Source addresses, 127.0.0.2 and up (IPv4 targets only)
    #[arg(long, default_value_t = 1)]
    peers: usize,
    /// Threads, each with its own runtime and sockets
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Sign-ups under way at once; one above the cap is reported as not started
    #[arg(long, default_value_t = 2000)]
    in_flight: usize,
    /// Share of sign-ups that try a wrong code first
    #[arg(long, default_value_t = 0.2)]
    wrong_share: f64,
    /// Share of sign-ups that try the right code again afterwards
    #[arg(long, default_value_t = 0.2)]
    replay_share: f64,
    /// Fixes start times, recipients and choices. Recipients are `user{seed}-{n}@example.com`: a second run
    /// against the same server wants another seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One JSON object as the last line of stdout
    #[arg(long)]
    pub(crate) json: bool,
}

impl SignupWave {
    pub(crate) fn profile(&self) -> Profile {
        Profile {
            scenario: "signup-wave".into(),
            seed: self.seed,
            rate: self.rate,
            seconds: self.seconds,
            arrivals: self.arrivals,
            connections: self.connections,
            peers: self.peers,
            threads: self.threads,
            in_flight: self.in_flight,
            wrong_share: self.wrong_share,
            replay_share: self.replay_share,
        }
    }
}

/// Where to, and as whom.
#[derive(ClapArgs)]
pub(crate) struct TargetArgs {
    /// A file that holds the line `authepy dev --json` printed; the flags below override its members
    #[arg(long, value_name = "JSON_FILE", required_unless_present = "h3")]
    pub(crate) target: Option<PathBuf>,
    /// The server's UDP address; loopback only
    #[arg(long, value_name = "ADDR")]
    pub(crate) h3: Option<SocketAddr>,
    /// The CA that signed the server's certificate
    #[arg(long, value_name = "PEM")]
    pub(crate) ca: Option<PathBuf>,
    /// API key of either class, live or test
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// Take the target's restricted key instead of its secret one
    #[arg(long)]
    pub(crate) restricted: bool,
    /// Origin header; for a restricted key https://mybrand.com when left out
    #[arg(long)]
    pub(crate) origin: Option<String>,
    /// Maildir the server writes to, where a live key's codes are read
    #[arg(long, value_name = "DIR")]
    pub(crate) outbox: Option<PathBuf>,
}
