//! How many instructions does it take to parse and canonicalise one address?
//!
//! ```text
//!   for each address: valgrind --tool=callgrind (itself, 1,000 times) ─▶ a
//!                     valgrind --tool=callgrind (itself, 3,000 times) ─▶ b     (b − a) / 2,000
//! ```
//!
//! A count does not depend on what else the machine does, so it needs no repetition; start-up and tables cancel
//! out. What it hides: cache misses, and the fingerprint that follows (a keyed hash, the same for every
//! address). The catalog is looked into apart, as an issue does after parsing.
#![allow(clippy::print_stdout, reason = "it prints a table")]

use std::hint::black_box;
use std::process::{Command, ExitCode};

use authepy_engine::recipient::disposable::Catalog;
use authepy_engine::recipient::provider::ProviderTable;
use authepy_engine::recipient::{Realm, Recipient};

/// What is counted, and the most instructions that are well.
const ADDRESSES: [(&str, Option<u64>); 5] = [
    ("ada.lovelace@mail.example.com", Some(3_000)),
    ("Ada.Lovelace+shop@googlemail.com", Some(3_000)),
    ("ada.lovelace-shop@yahoo.co.uk", Some(3_000)),
    ("ada.lovelace@bücher.example", None),
    ("ａｄａ.lovelace@example.com", None),
];
const FEW: u64 = 1_000;
const MANY: u64 = 3_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [what, which, times] => match (which.parse(), times.parse()) {
            (Ok(which), Ok(times)) => work(what, which, times),
            _ => ExitCode::from(2),
        },
        [] => report(),
        _ => ExitCode::from(2),
    }
}

/// The counted program.
fn work(what: &str, which: usize, times: u64) -> ExitCode {
    let (Some((address, _)), providers) = (ADDRESSES.get(which), ProviderTable::built_in()) else {
        return ExitCode::from(2);
    };
    let Ok(loaded) = Catalog::embedded(&[], &[]) else { return ExitCode::FAILURE };
    for _ in 0..times {
        let Ok(recipient) = Recipient::parse(black_box(address), Realm::Dev, &providers) else {
            return ExitCode::FAILURE;
        };
        if what == "catalog" {
            black_box(loaded.catalog.class(recipient.domain()));
        }
        black_box(recipient);
    }
    ExitCode::SUCCESS
}

fn report() -> ExitCode {
    println!("| address | bytes | parse and canonicalise | at most | look into the catalog |");
    println!("|---|---|---|---|---|");
    let mut is_well = true;
    for (which, (address, most)) in ADDRESSES.iter().enumerate() {
        let (Some(parse), Some(both)) = (each("parse", which), each("catalog", which)) else {
            println!("valgrind is needed: apt-get install valgrind");
            return ExitCode::FAILURE;
        };
        is_well &= most.is_none_or(|most| parse <= most);
        let most = most.map_or("–".into(), |most| most.to_string());
        println!("| `{address}` | {} | {parse} | {most} | {} |", address.len(), both.saturating_sub(parse));
    }
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Instructions of one turn.
fn each(what: &str, which: usize) -> Option<u64> {
    let (few, many) = (counted(what, which, FEW)?, counted(what, which, MANY)?);
    Some(many.saturating_sub(few) / (MANY - FEW))
}

/// Instructions of a whole run.
fn counted(what: &str, which: usize, times: u64) -> Option<u64> {
    let own = std::env::current_exe().ok()?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(own)
        .args([what, &which.to_string(), &times.to_string()])
        .output()
        .ok()?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let count = told.lines().find_map(|line| line.split_once("Collected :"))?.1.trim().parse().ok();
    count.filter(|_| output.status.success())
}
