//! `compare`: this server's figures beside those of peers, from one command.
//!
//! ```text
//!   pair_vs_echo (benches)      issue + check ÷ bare quinn echo; such a pair with two lanes ÷ with one;
//!                               ÷ hyper's HTTP/2 hello and the h3 crate's; a whole sign-in ÷ a connection and one echo
//!   banned_vs_ignore (benches)  a banned peer's Initial ÷ quinn's ignore()
//!   engine_pairs (benches)      issue + check pairs a second, the engine alone, 10⁶ live
//!   pair_vs_redis (benches)     such a pair ÷ one of a Redis that keeps the same rules in Lua
//!   engine_growth (benches)     such a pair with 10⁷ live ÷ with 10⁴
//!   overload (benches)          goodput at 10 and 20 times the peak ÷ the peak
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

/// Every figure by its name; null only where something is missing here: Redis, or the right to slow a core down.
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

/// What the programs said, each its last line.
struct Said {
    /// `pair_vs_echo` with sign-ins, both hellos and a second server of two lanes.
    pair: Value,
    banned: Value,
    idle_kib: f64,
    pairs: Value,
    redis: Value,
    growth: Value,
    overload: Value,
}

/// Measures, prints as it goes, and says it all again as JSON.
pub(crate) fn run(args: &Compare) -> Result<(), String> {
    let figures = figures(&ask(&server::beside_us()?, args.quick)?);
    for name in NAMES {
        match figures[name].as_f64() {
            Some(figure) => println!("{name:<26}{figure:>12.3}"),
            None => println!("{name:<26}{:>12}", "–"),
        }
    }
    if args.json {
        println!("{}", Value::Object(figures));
    }
    Ok(())
}

fn ask(authepy: &Path, quick: bool) -> Result<Said, String> {
    let [rounds, window] = if quick { ["3", "0.5"] } else { ["5", "3"] };
    let windows = ["--rounds", rounds, "--window", window];
    let pair = ["--grid", "8x8,64x1,16x16", "--sign-ins", "--hellos", "--beside", "2"];
    let datagrams = if quick { "50000" } else { "300000" };
    let connections = if quick { 300 } else { 2_000 };
    // Ten times as many take Redis a quarter of a minute to fill in, and cost it more for each pair.
    let live = if quick { "100000" } else { "1000000" };
    // Ten million take some minutes to fill in.
    let many = if quick { "1000000" } else { "10000000" };
    let phases = if quick { ["1", "2"] } else { ["5", "4"] };
    Ok(Said {
        pair: served(authepy, "pair_vs_echo", &[&windows, &pair[..]].concat())?,
        banned: served(authepy, "banned_vs_ignore", &["--rounds", rounds, "--datagrams", datagrams])?,
        idle_kib: idle::kib_per_connection(authepy, connections)?,
        pairs: bench(authepy, "engine_pairs", &["--rounds", rounds])?,
        redis: bench(authepy, "pair_vs_redis", &[&["--live", live], &windows[..]].concat())?,
        growth: served(authepy, "request_growth", &[&["--many", many], &windows[..]].concat())?,
        overload: served(authepy, "overload", &["--rounds", phases[0], "--window", phases[1]])?,
    })
}

/// By the names that others read them by.
fn figures(said: &Said) -> Map<String, Value> {
    let mut figures: Map<String, Value> =
        NAMES.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
    for grid in ["16x16", "8x8", "64x1"] {
        figures[&format!("h3_{grid}_vs_quinn")] = said.pair[grid]["ratio"].clone();
    }
    figures["h3_16x16_vs_hyper_h2"] = said.pair["hyper_h2_16x16"]["ratio"].clone();
    figures["signin_vs_quinn_hello"] = said.pair["sign_in"]["ratio"].clone();
    for grid in ["16x16", "64x1"] {
        figures[&format!("two_lanes_vs_one_{grid}")] = said.pair[&format!("beside_{grid}")]["ratio"].clone();
    }
    figures["banned_initial_vs_ignore"] = said.banned["banned_vs_ignore"].clone();
    figures["idle_kib_per_connection"] = json!(said.idle_kib);
    figures["engine_pairs_per_s"] = said.pairs["pairs_per_s"].clone();
    figures["engine_vs_redis_lua"] = said.redis["engine_vs_redis"].clone();
    figures["growth_1e7_vs_1e4"] = said.growth["growth"].clone();
    for name in ["goodput_10x", "goodput_20x"] {
        figures[name] = said.overload[name].clone();
    }
    figures
}

/// Runs a program that measures this server.
fn served(authepy: &Path, name: &str, options: &[&str]) -> Result<Value, String> {
    let server = authepy.to_str().ok_or("the server's path is not UTF-8")?;
    bench(authepy, name, &[options, &["--server", server]].concat())
}

/// Runs a program beside the server's; returns the JSON object it ends with.
fn bench(authepy: &Path, name: &str, options: &[&str]) -> Result<Value, String> {
    let program = authepy.with_file_name(name);
    eprintln!("{name} {}", options.join(" "));
    let output = Command::new(&program)
        .args(options)
        .arg("--json")
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{}: {error}; cargo build --release --workspace", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    let last = text.lines().last().and_then(|line| serde_json::from_str(line).ok());
    last.filter(|_| output.status.success()).ok_or_else(|| format!("{name} failed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_has_its_place_in_what_the_programs_say() {
        let grid = |ratio: f64| json!({"echo_us": 1.0, "pair_us": 2.0 * ratio, "ratio": ratio});
        let said = Said {
            pair: json!({
                "16x16": grid(1.0), "8x8": grid(2.0), "64x1": grid(3.0), "hyper_h2_16x16": grid(4.0),
                "beside_16x16": grid(9.0), "beside_64x1": grid(10.0),
                "sign_in": {"hello_us": 1.0, "sign_in_us": 5.0, "ratio": 5.0},
            }),
            banned: json!({"banned_vs_ignore": 14.0}),
            idle_kib: 6.0,
            pairs: json!({"live": 1, "one_by_one_pairs_per_s": 0.0, "pairs_per_s": 7.0}),
            redis: json!({"engine_us": 1.0, "redis_us": 1.0, "engine_vs_redis": 8.0}),
            growth: json!({"few": 1, "many": 2, "growth": 13.0}),
            overload: json!({"goodput_10x": 11.0, "goodput_20x": 12.0, "p99_10x": 0.0}),
        };
        let figures = figures(&said);
        let all: Vec<f64> = NAMES.iter().map(|name| figures[*name].as_f64().unwrap()).collect();
        assert_eq!(all, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0]);
        assert_eq!(figures.len(), NAMES.len());
    }
}
