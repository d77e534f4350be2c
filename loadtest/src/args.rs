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
    /// A backend's sign-ups alone, then the same beside a flood through a restricted key
    ClassIsolation(ClassIsolation),
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

#[derive(ClapArgs)]
pub(crate) struct ClassIsolation {
    /// A file that holds the line `authepy dev --json` printed; its two test keys are used
    #[arg(long, value_name = "JSON_FILE")]
    pub(crate) target: PathBuf,
    /// The backend's sign-ups a second, in both phases
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// How long each phase lasts
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// The backend's connections
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// The flood's sign-ups a second (an issue and a check each), whether the server keeps up or not
    #[arg(long, default_value_t = 20_000.0)]
    flood_rate: f64,
    /// The flood's connections
    #[arg(long, default_value_t = 64)]
    flood_connections: usize,
    /// The flood's sign-ups under way at once; those above the cap are not started
    #[arg(long, default_value_t = 4_000)]
    flood_in_flight: usize,
    /// Fixes start times, recipients and choices. A second run against the same server wants another seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One JSON object as the last line of stdout
    #[arg(long)]
    pub(crate) json: bool,
}

impl ClassIsolation {
    /// The backend's stream in phase 1 and in phase 2, and the flood: no two share a recipient.
    pub(crate) fn profiles(&self) -> [Profile; 3] {
        let backend = |part| Profile {
            scenario: "class-isolation".into(),
            seed: self.seed.wrapping_mul(3).wrapping_add(part),
            rate: self.rate,
            seconds: self.seconds,
            arrivals: Arrivals::Poisson,
            connections: self.connections,
            peers: 1,
            threads: 1,
            in_flight: 2_000,
            wrong_share: 0.2,
            replay_share: 0.2,
        };
        let flood = Profile {
            rate: self.flood_rate,
            // Begun before the phase it is to disturb.
            seconds: self.seconds + 1.0,
            connections: self.flood_connections,
            in_flight: self.flood_in_flight,
            ..backend(2)
        };
        [backend(0), backend(1), flood]
    }
}

/// Where to, and as whom.
#[derive(ClapArgs, Default)]
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
