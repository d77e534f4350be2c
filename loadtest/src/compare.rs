//! `compare`: this server's figures beside those of peers, from one command.
//!
//! ```text
//!   pair_vs_echo (benches)      issue + check ÷ bare quinn echo, with one lane and with two;
//!                               ÷ hyper's HTTP/2 hello; a whole sign-in ÷ a connection and one echo
//!   banned_vs_ignore (benches)  a banned peer's Initial ÷ quinn's ignore()
//!   idle (here)                 what a connection costs that nobody uses
//! ```
//!
//! The programs of `benches` are run, not linked: what drives load must know nothing of what is measured. They
//! pin the server to one core and the client to the other, and take medians over alternated windows. So two
//! lanes share one core: their ratio is what crossing costs in CPU, not what a second core gives.
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};

use crate::args::Compare;
use crate::server;

mod idle;

/// Every figure by its name; what is not measured yet is null.
const NAMES: [&str; 14] = [
    "h3_16x16_vs_quinn",
    "h3_8x8_vs_quinn",
    "h3_64x1_vs_quinn",
    "h3_16x16_vs_hyper_h2",
    "signin_vs_quinn_hello",
    "idle_kib_per_connection",
    "engine_pairs_per_s",
    "engine_vs_redis_lua",
    "two_lanes_vs_one_16x16",
    "two_lanes_vs_one_64x1",
    "goodput_10x",
    "goodput_20x",
    "growth_1e7_vs_1e4",
    "banned_initial_vs_ignore",
];

/// Measures, prints as it goes, and says it all again as JSON.
pub(crate) fn run(args: &Compare) -> Result<(), String> {
    let authepy = server::beside_us()?;
    let mut figures: Map<String, Value> =
        NAMES.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
    let windows = if args.quick { ["3", "0.5"] } else { ["5", "3"] };
    let pair = |lanes: &str, grid: &str, more: &[&str]| {
        let lanes = format!("engine.shards={lanes}");
        let options = ["--rounds", windows[0], "--window", windows[1], "--set", &lanes, "--grid", grid];
        bench(&authepy, "pair_vs_echo", &[&options, more].concat())
    };
    let one = pair("1", "8x8,64x1,16x16", &["--sign-ins", "--hyper"])?;
    figures["signin_vs_quinn_hello"] = one["sign_in"]["ratio"].clone();
    for grid in ["16x16", "8x8", "64x1"] {
        figures[&format!("h3_{grid}_vs_quinn")] = one[grid]["ratio"].clone();
    }
    figures["h3_16x16_vs_hyper_h2"] = one["hyper_h2_16x16"]["ratio"].clone();
    let two = pair("2", "64x1,16x16", &[])?;
    for grid in ["16x16", "64x1"] {
        let cost = |of: &Value| of[grid]["pair_us"].as_f64();
        figures[&format!("two_lanes_vs_one_{grid}")] = json!(ratio(cost(&two), cost(&one)));
    }
    let datagrams = if args.quick { "50000" } else { "300000" };
    let banned = bench(&authepy, "banned_vs_ignore", &["--rounds", windows[0], "--datagrams", datagrams])?;
    figures["banned_initial_vs_ignore"] = banned["banned_vs_ignore"].clone();
    let connections = if args.quick { 300 } else { 2_000 };
    figures["idle_kib_per_connection"] = json!(idle::kib_per_connection(&authepy, connections)?);
    for name in NAMES {
        match figures[name].as_f64() {
            Some(figure) => println!("{name:<26}{figure:>12.2}"),
            None => println!("{name:<26}{:>12}", "–"),
        }
    }
    if args.json {
        println!("{}", Value::Object(figures));
    }
    Ok(())
}

fn ratio(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    Some(one? / other?)
}

/// Runs a program beside this one; returns the JSON object it ends with.
fn bench(authepy: &Path, name: &str, options: &[&str]) -> Result<Value, String> {
    let program = authepy.with_file_name(name);
    eprintln!("{name} {}", options.join(" "));
    let output = Command::new(&program)
        .args(options)
        .args(["--json", "--server"])
        .arg(authepy)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{}: {error}; cargo build --release --workspace", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    let last = text.lines().last().and_then(|line| serde_json::from_str(line).ok());
    last.filter(|_| output.status.success()).ok_or_else(|| format!("{name} failed"))
}
