//! Server CPU per Initial of a banned peer, beside quinn's `Incoming::ignore()` in the same run.
//!
//! ```text
//!   core 0:  quinn: accept(), ignore()  |  authepy (one lane, 127.0.0.66 banned)  |  the same, 256 newer bans
//!   core 1:  this program: the first datagrams of real connections, from 127.0.0.66, as fast as it can
//!   windows: ignore, newest ban, older ban │ whose turn is first turns every round
//! ```
//!
//! `ignore()` is the cheapest that quinn alone can do with a stranger: it has parsed the packet, derived its
//! keys and decrypted it. The newest bans stand in a filter on the sockets; an older one enters it when the lane
//! has met it, which is in the window before the first. CPU is the server process's own, its idle work included,
//! from the scheduler's books in ns, by datagram that it could have read: what a full socket threw away
//! (`/proc/net/udp`) counts for nobody. A filter's drops are in the same count, so with a filter every one of
//! them must be there, and the divisor is what was sent. All three must answer nothing.
//!
//! The kernel's work before the socket, the filter included, is done on the sender's account on loopback, and
//! would be done on some core of the server's behind a network card. So the sender's CPU per datagram, whose
//! greater part is its own call, stands beside it, and the sum of both.
#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

mod ignore;
mod initials;

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use authepy_benches::process::{Authepy, Yardstick};
use authepy_benches::{cpu, spread};
use clap::{Args, Parser, Subcommand};

const SERVER_CORE: usize = 0;
const CLIENT_CORE: usize = 1;
/// Whom the server bans.
const BANNED: [u8; 4] = [127, 0, 0, 66];
/// One handshake in ten minutes; the second bans. 256 bans by word need not be told one by one.
const SETTINGS: [&str; 4] =
    ["limits.peer.handshake=\"1/10m\"", "bans.strikes=\"1/10m\"", "bans.first=\"1h\"", "log.level=\"error\""];
/// Bans that the kernel is told of.
const NEWER_BANS: usize = 256;
/// A window is over when the last datagram has long been read.
const SETTLE: Duration = Duration::from_millis(50);

#[derive(Parser)]
#[command(
    name = "banned_vs_ignore",
    about = "Server CPU per Initial of a banned peer, beside quinn's ignore()"
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Hidden>,
    #[command(flatten)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Hidden {
    /// The yardstick's own process
    #[command(hide = true)]
    IgnoreServer,
}

#[derive(Args)]
struct Bench {
    /// The server's binary; when left out, the one built beside this program
    #[arg(long, env = "AUTHEPY_BIN")]
    server: Option<PathBuf>,
    /// Rounds of three windows
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// One JSON object as the last line
    #[arg(long)]
    json: bool,
    /// Datagrams sent in a window
    #[arg(long, default_value_t = 300_000)]
    datagrams: u64,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Two TLS providers in one tree can make rustls panic at run time; naming one first settles it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let outcome = match cli.command {
        Some(Hidden::IgnoreServer) => ignore::serve(),
        None => bench(&cli.bench),
    };
    outcome.map_or_else(
        |problem| {
            eprintln!("banned_vs_ignore: {problem}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

fn bench(bench: &Bench) -> Result<(), String> {
    // Children inherit the core they are started on.
    cpu::pin(SERVER_CORE)?;
    let ignoring = Yardstick::start("ignore-server")?;
    let beside = std::env::current_exe().map_err(|error| error.to_string())?.with_file_name("authepy");
    let binary = bench.server.as_ref().unwrap_or(&beside);
    let settings = SETTINGS.map(str::to_owned);
    let [newest, older] = [Authepy::start(binary, &settings)?, Authepy::start(binary, &settings)?];
    cpu::pin(CLIENT_CORE)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let initials = runtime.block_on(initials::catch(&newest.ready.ca))?;
    for authepy in [&newest, &older] {
        runtime.block_on(initials::get_banned(&authepy.ready, BANNED))?;
    }
    for n in 0..NEWER_BANS {
        older.ban(binary, &format!("198.18.{}.{}", n / 256, n % 256))?;
    }
    std::thread::sleep(SETTLE * 10);
    let flood = Flood { initials, datagrams: bench.datagrams };
    println!("{}", spread::machine());
    let servers = [
        ("quinn's `ignore()`", Divisor::Read, ignoring.ready.h3, ignoring.pid()),
        ("banned, nobody since", Divisor::Sent, newest.ready.h3, newest.pid()),
        ("banned, 256 others since", Divisor::Sent, older.ready.h3, older.pid()),
    ];
    for (_, _, address, pid) in &servers {
        flood.window(Divisor::Read, address, *pid)?;
    }
    let mut costs = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..bench.rounds {
        for turn in 0..servers.len() {
            let at = (round + turn) % servers.len();
            let (_, divisor, address, pid) = &servers[at];
            costs[at].push(flood.window(*divisor, address, *pid)?);
        }
    }
    println!("| what | server, µs CPU/datagram, median (min–max) | sender | both |\n|---|---|---|---|");
    let row = |of: &[Cost], what: fn(&Cost) -> f64| spread::spread(of.iter().map(what).collect());
    for ((name, ..), of) in servers.iter().zip(&costs) {
        let columns = [row(of, |cost| cost.server), row(of, |cost| cost.sender), row(of, Cost::both)];
        let columns = columns.map(|(median, least, most)| format!("{median:.3} ({least:.3}–{most:.3})"));
        println!("| {name} | {} |", columns.join(" | "));
    }
    println!("\n| `ignore()` ÷ it, within a round | server | both |\n|---|---|---|");
    for ((name, ..), of) in servers.iter().zip(&costs).skip(1) {
        let ratio = |what: fn(&Cost) -> f64| {
            spread::spread(costs[0].iter().zip(of).map(|(one, other)| what(one) / what(other)).collect())
        };
        let columns = [ratio(|cost| cost.server), ratio(Cost::both)];
        let columns = columns.map(|(median, least, most)| format!("{median:.1} ({least:.1}–{most:.1})"));
        println!("| {name} | {} |", columns.join(" | "));
    }
    if bench.json {
        let ratios = costs[0].iter().zip(&costs[1]).map(|(ignored, banned)| banned.server / ignored.server);
        let (median, ..) = spread::spread(ratios.collect());
        println!("{}", serde_json::json!({ "banned_vs_ignore": median }));
    }
    Ok(())
}

/// What one datagram cost, in µs.
struct Cost {
    server: f64,
    sender: f64,
}

impl Cost {
    fn both(&self) -> f64 {
        self.server + self.sender
    }
}

/// By what a server's CPU is divided.
#[derive(Clone, Copy)]
enum Divisor {
    /// The datagrams that its socket had room for.
    Read,
    /// All of them: a filter must have dropped each.
    Sent,
}

/// What is sent in every window.
struct Flood {
    initials: Vec<Vec<u8>>,
    datagrams: u64,
}

impl Flood {
    fn window(&self, divisor: Divisor, server: &SocketAddr, pid: u32) -> Result<Cost, String> {
        let text = |error: std::io::Error| error.to_string();
        let socket = UdpSocket::bind(SocketAddr::from((BANNED, 0))).map_err(text)?;
        let itself = std::process::id();
        let (lost_before, cpu_before, own_before) = (lost(server)?, cpu::nanos(pid)?, cpu::nanos(itself)?);
        for (_, initial) in (0..self.datagrams).zip(self.initials.iter().cycle()) {
            socket.send_to(initial, server).map_err(text)?;
        }
        let own = cpu::nanos(itself)?.saturating_sub(own_before);
        std::thread::sleep(SETTLE);
        let cpu = cpu::nanos(pid)?.saturating_sub(cpu_before);
        let lost = lost(server)?.saturating_sub(lost_before);
        socket.set_nonblocking(true).map_err(text)?;
        if socket.recv(&mut [0; 64]).is_ok() {
            return Err(format!("{server} answered"));
        }
        let count = match divisor {
            Divisor::Read => (self.datagrams - lost).max(1),
            Divisor::Sent if lost < self.datagrams => {
                return Err(format!("the filter let {} through", self.datagrams - lost));
            }
            Divisor::Sent => self.datagrams,
        };
        let (cpu, own) = (cpu as f64 / 1_000.0, own as f64 / 1_000.0);
        Ok(Cost { server: cpu / count as f64, sender: own / self.datagrams as f64 })
    }
}

/// Datagrams that the kernel threw away at this address.
fn lost(server: &SocketAddr) -> Result<u64, String> {
    let table = fs::read_to_string("/proc/net/udp").map_err(|error| error.to_string())?;
    let port = format!(":{:04X}", server.port());
    let of_server = table.lines().map(str::split_whitespace).filter_map(|mut fields| {
        let is_it = fields.nth(1)?.ends_with(&port);
        is_it.then(|| fields.last()?.parse::<u64>().ok()).flatten()
    });
    Ok(of_server.sum())
}
