//! Server CPU per Initial of a banned peer, beside quinn's `Incoming::ignore()` in the same run.
//!
//! ```text
//!   core 0:  authepy (one lane, 127.0.0.66 banned)  |  quinn: accept(), ignore()
//!   core 1:  this program: the first datagrams of real connections, from 127.0.0.66, as fast as it can
//!   windows: ignore, banned │ the order turns every round
//! ```
//!
//! `ignore()` is the cheapest that quinn alone can do with a stranger: it has parsed the packet, derived its
//! keys and decrypted it. CPU is the server process's own, its idle work included, from the scheduler's books
//! in ns. A datagram that the kernel threw away for lack of room (`/proc/net/udp`) counts for nobody. Both
//! must answer nothing.
//!
//! Not measured here: the kernel's work before the socket, which loopback does on the sender's account.
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
/// One handshake a minute; the second bans.
const SETTINGS: [&str; 3] =
    ["limits.peer.handshake=\"1/10m\"", "bans.strikes=\"1/10m\"", "bans.first=\"1h\""];
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
    /// Rounds of two windows
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
    let authepy = Authepy::start(bench.server.as_ref().unwrap_or(&beside), &SETTINGS.map(str::to_owned))?;
    cpu::pin(CLIENT_CORE)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let initials = runtime.block_on(initials::catch(&authepy.ready.ca))?;
    runtime.block_on(initials::get_banned(&authepy.ready, BANNED))?;
    let flood = Flood { initials, datagrams: bench.datagrams };
    println!("{}", spread::machine());
    let (mut ignored, mut banned, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    flood.window(&ignoring.ready.h3, ignoring.pid())?;
    flood.window(&authepy.ready.h3, authepy.pid())?;
    for round in 0..bench.rounds {
        let (mut first, mut second) = (None, None);
        if round % 2 == 0 {
            first = Some(flood.window(&ignoring.ready.h3, ignoring.pid())?);
        } else {
            second = Some(flood.window(&authepy.ready.h3, authepy.pid())?);
        }
        let first = first.map_or_else(|| flood.window(&ignoring.ready.h3, ignoring.pid()), Ok)?;
        let second = second.map_or_else(|| flood.window(&authepy.ready.h3, authepy.pid()), Ok)?;
        ignored.push(first);
        banned.push(second);
        ratios.push(first / second);
    }
    println!("| what | µs CPU/datagram, median (min–max) |\n|---|---|");
    for (name, figures) in [("quinn's ignore()", ignored), ("banned", banned)] {
        let (median, least, most) = spread::spread(figures);
        println!("| {name} | {median:.2} ({least:.2}–{most:.2}) |");
    }
    let (median, least, most) = spread::spread(ratios);
    println!("| ignore() ÷ banned, within a round | {median:.1} ({least:.1}–{most:.1}) |");
    if bench.json {
        println!("{}", serde_json::json!({ "banned_vs_ignore": 1.0 / median }));
    }
    Ok(())
}

/// What is sent in every window.
struct Flood {
    initials: Vec<Vec<u8>>,
    datagrams: u64,
}

impl Flood {
    /// Server CPU of one datagram, in µs.
    fn window(&self, server: &SocketAddr, pid: u32) -> Result<f64, String> {
        let text = |error: std::io::Error| error.to_string();
        let socket = UdpSocket::bind(SocketAddr::from((BANNED, 0))).map_err(text)?;
        let (lost_before, cpu_before) = (lost(server)?, cpu::nanos(pid)?);
        for (_, initial) in (0..self.datagrams).zip(self.initials.iter().cycle()) {
            socket.send_to(initial, server).map_err(text)?;
        }
        std::thread::sleep(SETTLE);
        let cpu = cpu::nanos(pid)?.saturating_sub(cpu_before);
        let read = self.datagrams - lost(server)?.saturating_sub(lost_before);
        socket.set_nonblocking(true).map_err(text)?;
        if socket.recv(&mut [0; 64]).is_ok() {
            return Err(format!("{server} answered"));
        }
        Ok(cpu as f64 / 1_000.0 / read as f64)
    }
}

/// Datagrams that the kernel had no room for at this address.
fn lost(server: &SocketAddr) -> Result<u64, String> {
    let table = fs::read_to_string("/proc/net/udp").map_err(|error| error.to_string())?;
    let port = format!(":{:04X}", server.port());
    let of_server = table.lines().map(str::split_whitespace).filter_map(|mut fields| {
        let is_it = fields.nth(1)?.ends_with(&port);
        is_it.then(|| fields.last()?.parse::<u64>().ok()).flatten()
    });
    Ok(of_server.sum())
}
