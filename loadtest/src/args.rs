//! The command line.
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};

use crate::profile::{Arrivals, Knobs, Profile};
use crate::scenario::{Role, Scenario};

/// Open-loop load over HTTP/3 with an oracle: what a caller feels, and whether every answer is right.
#[derive(Parser)]
#[command(name = "authepy-loadtest", version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run a scenario; without a target against a server of its own, the `authepy` beside this program
    Run(Run),
    /// Print a scenario's profile as TOML, to be changed and run with --profile
    Profile(Chosen),
    /// Figures beside those of peers, on this machine: ratios within one run. Needs the programs of `benches`
    /// beside this one: cargo build --release --workspace
    Compare(Compare),
    /// A backend's sign-ups alone, then the same beside a flood through a restricted key
    ClassIsolation(ClassIsolation),
}

#[derive(ClapArgs)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) chosen: Chosen,
    /// A file that holds the line `authepy dev --json` printed: load that server. Its limits are taken to be
    /// the defaults unless the profile's [server] says otherwise
    #[arg(long, value_name = "JSON_FILE", conflicts_with = "start")]
    pub(crate) target: Option<PathBuf>,
    /// Start this `authepy` instead of the one beside this program
    #[arg(long, value_name = "PATH")]
    pub(crate) start: Option<PathBuf>,
    /// With the target's test keys: no mail, and the code is 000000
    #[arg(long)]
    pub(crate) test_keys: bool,
    /// Write the report here, as one HTML file
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// One JSON object as the last line of stdout
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(ClapArgs)]
pub(crate) struct Compare {
    /// Short windows: figures to look at, not to quote
    #[arg(long)]
    pub(crate) quick: bool,
    /// One JSON object as the last line of stdout; null where redis-server is not installed, or no core may be slowed down
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to run: a scenario or a profile, and knobs turned.
#[derive(ClapArgs)]
pub(crate) struct Chosen {
    /// One of the scenarios
    #[arg(value_enum, required_unless_present = "profile")]
    scenario: Option<Scenario>,
    /// A profile that was printed before, TOML or JSON
    #[arg(long, value_name = "FILE", conflicts_with = "scenario")]
    profile: Option<PathBuf>,
    /// Fixes start times, addresses, recipients and choices. A second run against the same server wants another
    #[arg(long)]
    seed: Option<u64>,
    /// How long stories keep starting
    #[arg(long)]
    seconds: Option<f64>,
    /// Turn a knob: crowd.rate=100, in_flight=50, server.bans.strikes=3/10m. May be given again
    #[arg(long, value_name = "KNOB=VALUE")]
    set: Vec<String>,
}

impl Chosen {
    /// The profile that is meant.
    pub(crate) fn profile(&self) -> Result<Profile, String> {
        let mut profile = match (&self.profile, self.scenario) {
            (Some(file), _) => {
                let blame = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
                let text = std::fs::read_to_string(file).map_err(|error| blame(&error))?;
                Profile::parse(&text).map_err(|error| blame(&error))?
            }
            (None, Some(scenario)) => scenario.profile(),
            (None, None) => return Err("neither a scenario nor a profile".into()),
        };
        profile.seed = self.seed.unwrap_or(profile.seed);
        profile.seconds = self.seconds.unwrap_or(profile.seconds);
        self.set.iter().try_for_each(|assignment| profile.set(assignment))?;
        Ok(profile)
    }
}

#[derive(ClapArgs)]
pub(crate) struct ClassIsolation {
    /// A file that holds the line `authepy dev --json` printed; its two test keys are used, and its peers'
    /// limits must be off
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
        let off = ["peer.issue", "peer.check", "peer.denied", "peer.handshake", "peer.any"];
        let server = off.iter().map(|limit| (format!("limits.{limit}"), "off".to_owned()));
        let server: std::collections::BTreeMap<_, _> = server.collect();
        let part = |nth: u64, knobs| Profile {
            scenario: Scenario::SignupWave,
            seed: self.seed.wrapping_mul(3).wrapping_add(nth),
            seconds: self.seconds,
            arrivals: Arrivals::Poisson,
            threads: 1,
            in_flight: 2_000,
            parts: [(Role::Crowd, Knobs { wrong_share: 0.2, replay_share: 0.2, ..knobs })].into(),
            server: server.clone(),
        };
        let backend = Knobs { rate: self.rate, peers: self.connections, backend: true, ..Knobs::default() };
        let flood = Knobs { rate: self.flood_rate, peers: self.flood_connections, ..Knobs::default() };
        let flood = Profile {
            // Begun before the phase it is to disturb.
            seconds: self.seconds + 1.0,
            in_flight: self.flood_in_flight,
            ..part(2, flood)
        };
        [part(0, backend), part(1, backend), flood]
    }
}
