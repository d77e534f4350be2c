//! The command line and its exit codes (those of `sysexits.h` where they fit).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use authepy_engine::actor;
use clap::{Args, Parser, Subcommand};

use crate::config::{ConfigFault, Layers};
use crate::limits;
use crate::process::server::{Server, StartFault};

mod admin;
mod admin_token;
mod ban;
mod catalog;
mod config;
mod demo;
mod dev;
mod key;
mod log;
mod mail;
mod memory;
mod origin;
mod print;
mod process;
mod project;
mod serve;
mod status;
mod store;

use print::complain;
use process::Stop;

/// Confirms that a person controls an e-mail inbox: issues a one-time code, mails it, checks it
#[derive(Parser)]
#[command(name = "authepy", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a development server: own certificate, own keys, mail in a folder
    Dev(Dev),
    /// Show a sign-in once: a server and a phone in one process
    Demo,
    /// Start a server from a config file
    Serve(Serve),
    /// Create the admin token, which gives access to the admin API
    AdminToken(admin_token::AdminToken),
    /// Create and list projects (tenants)
    Project(project::Project),
    /// Create, list, rotate and revoke API keys
    Key(key::Key),
    /// Edit the origins from which restricted keys may be used
    Origin(origin::Origin),
    /// Show and change the bans of a running server
    Ban(ban::Ban),
    /// Look up or replace the disposable domains of a running server
    Catalog(catalog::Catalog),
    /// Preview mails as recipients will see them
    #[command(subcommand)]
    Mail(mail::MailCommand),
    /// Show the status of a running server
    Status(status::Status),
    /// Check or print the settings without starting anything
    #[command(subcommand)]
    Config(config::ConfigCommand),
}

#[derive(Args)]
struct Dev {
    /// Print one JSON line when ready, and nothing else, on standard output.
    #[arg(long)]
    json: bool,
    /// Address for UDP and TCP; repeatable; port 0 picks one [default: 127.0.0.1:8443 and
    /// [::1]:8443]
    #[arg(long)]
    listen: Vec<SocketAddr>,
    /// Address of the admin listener [default: 127.0.0.1:9443, or any port where --listen picks
    /// one]
    #[arg(long)]
    admin: Option<SocketAddr>,
    /// Folder for certificate, keys and mail; kept [default: a new one, removed at exit]
    #[arg(long)]
    dir: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Args)]
struct Serve {
    /// Print one JSON line with the addresses when ready.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: config::Source,
}

#[derive(Args, Clone)]
struct Settings {
    /// Override one setting, e.g. --set limits.recipient.issue=off
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Settings {
    /// Adds the environment, then `--set`, as layers.
    fn over(&self, layers: Layers) -> Result<Layers, ConfigFault> {
        let layers = layers.environment(std::env::vars_os())?;
        self.set.iter().try_fold(layers, |layers, assignment| layers.assignment(assignment))
    }
}

/// Why a command failed; sets the exit code.
enum Failure {
    /// 2: the arguments or the request are invalid.
    Usage(String),
    /// 78: the settings are invalid.
    Config(ConfigFault),
    /// 69: something that the command needs is not available.
    Unavailable(String),
    /// 70: an internal error.
    Internal(String),
}

impl From<ConfigFault> for Failure {
    fn from(fault: ConfigFault) -> Self {
        Self::Config(fault)
    }
}

impl From<StartFault> for Failure {
    fn from(fault: StartFault) -> Self {
        match fault {
            StartFault::Config(fault) => Self::Config(fault),
            machine => Self::Unavailable(machine.to_string()),
        }
    }
}

/// Runs the command that the arguments name.
pub fn run() -> ExitCode {
    process::hold_stops();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(fault) => {
            // Help and version are not errors; if they can't be printed, nothing can be done.
            let _unprinted = fault.print();
            return ExitCode::from(if fault.use_stderr() { 2 } else { 0 });
        }
    };
    crate::net::tls::install_provider();
    process::harden();
    if !matches!(cli.command, Command::Dev(_) | Command::Serve(_)) {
        process::release_stops();
    }
    let result = match cli.command {
        Command::Dev(dev) => actor::run(dev::run(dev)),
        Command::Demo => actor::run(demo::run()),
        Command::Serve(serve) => actor::run(serve::run(serve)),
        Command::AdminToken(token) => actor::run(admin_token::run(token)),
        Command::Project(project) => actor::run(project::run(project)),
        Command::Key(key) => actor::run(key::run(key)),
        Command::Origin(origin) => actor::run(origin::run(origin)),
        Command::Ban(ban) => actor::run(ban::run(ban)),
        Command::Catalog(catalog) => actor::run(catalog::run(catalog)),
        Command::Status(status) => actor::run(status::run(status)),
        Command::Mail(command) => mail::run(command),
        Command::Config(command) => config::run(command),
    };
    log::flush();
    let (code, why) = match result {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Usage(what)) => (2, what),
        Err(Failure::Config(fault)) => (78, fault.to_string()),
        Err(Failure::Unavailable(what)) => (69, what),
        Err(Failure::Internal(what)) => (70, what),
    };
    complain(&why);
    ExitCode::from(code)
}

/// Serves until a stop is requested or a part has failed (see [`process`]).
async fn until_stopped(server: Server, mut stop: Stop) -> Result<(), Failure> {
    if stop.or_failure(&server).await {
        process::end_within(limits::DRAIN_DEADLINE);
        server.stop().await;
        return Ok(());
    }
    process::end_within(limits::FAILED_DEADLINE - limits::HEALTH_EVERY);
    tokio::time::sleep(limits::FAILED_GRACE).await;
    server.stop_soon().await;
    Err(Failure::Internal("a part of the server has failed; all codes are lost".into()))
}
