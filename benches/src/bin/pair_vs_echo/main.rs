//! Server CPU per issue + check pair, beside a bare quinn stream echo in the same run.
//!
//! ```text
//!   core 0:  authepy (one shard, limits off)   |   echo: 150 bytes there, 150 back, on a stream each
//!   core 1:  this client, closed loop, hand-framed HTTP/3, C connections × S streams
//!   windows: echo, issue, check │ check's ids come from the issue window │ the order turns every round
//! ```
//!
//! The echo is what quinn, TLS and the kernel cost for one stream; what the pair costs above two echoes is
//! ours. They are asked as a page asks, with a restricted key and an origin. CPU is the server process's own, from the scheduler's books in ns; requests are those whose answer
//! had the right status, and any other answer ends the run: an error is never counted as work.
//!
//! Not measured here: handshakes, latency, mail (a test key sends none), limits (off, but their windows' code
//! runs where the server can't skip it), TCP, several shards, a server under foreign load.
#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

mod echo;
mod figure;
mod h3_hello;
mod hello;
mod rounds;

use std::path::PathBuf;
use std::process::ExitCode;

use authepy_benches::client::Client;
use authepy_benches::process::{Authepy, PAGE, Yardstick};
use authepy_benches::{cpu, spread};
use clap::{Args, Parser, Subcommand};

use rounds::{Greeter, beside_rounds, echo_rounds, hello_rounds, pair_rounds, sign_in_rounds};

const SERVER_CORE: usize = 0;
const CLIENT_CORE: usize = 1;

#[derive(Parser)]
#[command(
    name = "pair_vs_echo",
    about = "Server CPU per issue + check pair, beside a bare quinn stream echo"
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
    #[command(hide = true, name = "echo-server")]
    Echo,
    /// The HTTP/2 peer's
    #[command(hide = true, name = "hello-server")]
    Hyper,
    /// The peer's that is made of the h3 crate
    #[command(hide = true, name = "h3-hello-server")]
    H3,
}

#[derive(Args)]
struct Bench {
    /// The server's binary; when left out, the one built beside this program
    #[arg(long, env = "AUTHEPY_BIN")]
    server: Option<PathBuf>,
    /// More `--set KEY=VALUE` for the server
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Rounds of three windows per grid
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds a window lasts
    #[arg(long, default_value_t = 3.0)]
    window: f64,
    /// Connections x streams
    #[arg(long, value_delimiter = ',', default_value = "1x1,8x8,64x1,16x16", value_parser = grid)]
    grid: Vec<(usize, usize)>,
    /// Whole sign-ins, too: a new connection, issue, check and close, beside a new connection and one echo
    #[arg(long)]
    sign_ins: bool,
    /// hyper's HTTP/2 over rustls as well, and the h3 crate on quinn, saying hello at 16x16
    #[arg(long)]
    hellos: bool,
    /// Ask as a backend does, with the secret key, instead of as a page
    #[arg(long)]
    backend: bool,
    /// A second server on the same core, with so many shards: its pair beside the first one's
    #[arg(long, value_name = "SHARDS")]
    beside: Option<u8>,
    /// One JSON object, by grid, as the last line
    #[arg(long)]
    json: bool,
    /// Only the echo, without a server: is the yardstick itself steady?
    #[arg(long)]
    echo_only: bool,
    /// Bytes of such an echo, each way: what do messages as long as ours cost quinn?
    #[arg(long, requires = "echo_only", default_value_t = 150)]
    echo_bytes: usize,
}

impl Bench {
    /// Whoever asks the service: a page, by default, since that is what arrives on a launch day.
    async fn caller(&self, of: &Authepy, connections: usize, streams: usize) -> Result<Client, String> {
        match self.backend {
            true => Client::connect(&of.ready, Some(&of.key), connections, streams).await,
            false => {
                let key = Some(&*of.ready.restricted_test_key);
                Ok(Client::connect(&of.ready, key, connections, streams).await?.from_page(PAGE))
            }
        }
    }
}

fn grid(text: &str) -> Result<(usize, usize), String> {
    let parse = |n: &str| n.parse().ok().filter(|n| (1..=1000).contains(n));
    let (connections, streams) = text.split_once('x').ok_or("want CONNECTIONSxSTREAMS")?;
    parse(connections).zip(parse(streams)).ok_or_else(|| "want two numbers from 1 to 1000".into())
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Two TLS providers in one tree can make rustls panic at run time; naming one first settles it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let outcome = match cli.command {
        Some(Hidden::Echo) => echo::serve(),
        Some(Hidden::Hyper) => hello::serve(),
        Some(Hidden::H3) => h3_hello::serve(),
        None => bench(&cli.bench),
    };
    outcome.map_or_else(
        |problem| {
            eprintln!("pair_vs_echo: {problem}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

fn bench(bench: &Bench) -> Result<(), String> {
    // Children inherit the core they are started on.
    cpu::pin(SERVER_CORE)?;
    let echo = Yardstick::start("echo-server")?;
    let beside = std::env::current_exe().map_err(|error| error.to_string())?.with_file_name("authepy");
    let server = bench.server.as_ref().unwrap_or(&beside);
    let peers = match bench.hellos {
        true => Some([Yardstick::start("hello-server")?, Yardstick::start("h3-hello-server")?]),
        false => None,
    };
    let authepy = if bench.echo_only { None } else { Some(Authepy::start(server, &bench.set)?) };
    let shards = |shards| [&bench.set[..], &[format!("engine.shards={shards}")]].concat();
    let other = match bench.beside.filter(|_| !bench.echo_only) {
        Some(count) => Some(Authepy::start(server, &shards(count))?),
        None => None,
    };
    cpu::pin(CLIENT_CORE)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    println!("{}\n{}", spread::machine(), figure::HEAD);
    let mut all = serde_json::Map::new();
    for &(connections, streams) in &bench.grid {
        let rounds = runtime.block_on(tokio::task::LocalSet::new().run_until(async {
            let echo_client = Client::connect(&echo.ready, None, connections, streams).await?;
            let echo_client = echo_client.echoing(bench.echo_bytes);
            let Some(authepy) = &authepy else {
                return echo_rounds(bench, &echo, &echo_client).await;
            };
            let client = bench.caller(authepy, connections, streams).await?;
            pair_rounds(bench, (&echo, &echo_client), (authepy, &client)).await
        }))?;
        print!("{}", figure::rows(connections, streams, &rounds));
        all.insert(format!("{connections}x{streams}"), figure::json(&rounds));
    }
    if let (Some(other), Some(authepy)) = (&other, &authepy) {
        for &(connections, streams) in &bench.grid {
            let rounds = runtime.block_on(tokio::task::LocalSet::new().run_until(async {
                let clients = [
                    bench.caller(authepy, connections, streams).await?,
                    bench.caller(other, connections, streams).await?,
                ];
                beside_rounds(bench, [(authepy, &clients[0]), (other, &clients[1])]).await
            }))?;
            print!("{}", figure::beside_one(connections, streams, &rounds));
            all.insert(format!("beside_{connections}x{streams}"), figure::json(&rounds));
        }
    }
    if let (true, Some(authepy)) = (bench.sign_ins, &authepy) {
        let rounds = sign_in_rounds(bench, &echo, authepy);
        let rounds = runtime.block_on(tokio::task::LocalSet::new().run_until(rounds))?;
        print!("{}", figure::visits(&rounds));
        all.insert("sign_in".to_owned(), figure::json_of_visits(&rounds));
    }
    if let (Some([hyper, h3]), Some(authepy)) = (&peers, &authepy) {
        let rounds = runtime.block_on(tokio::task::LocalSet::new().run_until(async {
            let greeter = Greeter::Hyper(hello::Caller::connect(&hyper.ready, 16, 16).await?);
            let beside_hyper = hello_rounds(bench, (hyper, &greeter), authepy).await?;
            // The key is for nobody; it makes the request as long as ours.
            let greeter = Greeter::H3(Client::connect(&h3.ready, Some(&authepy.key), 16, 16).await?);
            Ok::<_, String>((beside_hyper, hello_rounds(bench, (h3, &greeter), authepy).await?))
        }))?;
        print!("{}", figure::beside_hello("hyper HTTP/2", &rounds.0));
        print!("{}", figure::beside_hello("h3 crate", &rounds.1));
        all.insert("hyper_h2_16x16".to_owned(), figure::json(&rounds.0));
        all.insert("h3_crate_16x16".to_owned(), figure::json(&rounds.1));
    }
    if bench.json {
        println!("{}", serde_json::Value::Object(all));
    }
    Ok(())
}
