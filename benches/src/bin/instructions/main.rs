//! How many instructions does a turn of each small question take, and is that what it took before?
//!
//! ```text
//!   for each question: valgrind --tool=callgrind (itself, one question) ─▶ instructions of its turns ÷ turns
//!   --gate             held against instructions.txt: ±3 %, a bound of 3,000 for addresses in ASCII
//!   --write            writes that file anew
//! ```
//!
//! A count does not depend on what else the machine does, so one run is enough. It hides cache misses, branches
//! guessed wrong, the kernel, the server's allocator (this program has the system's), and how dear an instruction
//! is: callgrind's processor has no instructions for SHA-256, a server's has. Only turns are counted, not their
//! preparation: the keys of hash tables are drawn anew by each process, so what it takes to fill tables differs
//! by more than the band, and the difference of two runs would keep that. gungraun counts as well, but keeps what
//! it compares with in the target folder, which a fresh clone has not, and wants a second program of its very version.
#![allow(clippy::print_stdout, reason = "it prints a table")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use authepy_benches::counts::{Counts, Row};
use authepy_benches::micro::{self, Question};
use clap::Parser;

mod callgrind;

#[derive(Parser)]
#[command(name = "instructions", about = "Counts instructions, and holds them against the kept counts")]
struct Cli {
    /// Fail unless every count is like the kept one
    #[arg(long, conflicts_with = "write")]
    gate: bool,
    /// Keep these counts
    #[arg(long)]
    write: bool,
    /// Where counts are kept
    #[arg(long, default_value = "benches/instructions.txt")]
    file: PathBuf,
    /// Take the turns of one question: what callgrind runs
    #[arg(long, hide = true, value_name = "NAME")]
    turns_of: Option<String>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.turns_of {
        Some(name) => take_turns(name),
        None => report(&cli),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("instructions: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// The counted program.
fn take_turns(name: &str) -> Result<(), String> {
    let mut questions = micro::questions().into_iter();
    questions.find(|question| question.name == name).ok_or(format!("no question {name}"))?.count()
}

fn report(cli: &Cli) -> Result<(), String> {
    let questions = micro::questions();
    let now = count(&questions)?;
    let kept = match kept(&cli.file) {
        Err(problem) if cli.gate => return Err(problem),
        kept => kept.unwrap_or(Counts { rows: Vec::new(), ..now.clone() }),
    };
    let rows = kept.judge(&now);
    print(&kept, &now, &rows);
    if cli.write {
        fs::write(&cli.file, now.to_string()).map_err(|error| format!("{}: {error}", cli.file.display()))?;
    }
    let beyond = questions.iter().filter(|question| {
        let count = now.rows.iter().find(|(name, _)| name == question.name);
        question.at_most.zip(count).is_some_and(|(most, (_, count))| *count > most)
    });
    let beyond: Vec<&str> = beyond.map(|question| question.name).collect();
    if !beyond.is_empty() {
        return Err(format!("beyond their bound: {}", beyond.join(", ")));
    }
    match rows.iter().filter(|row| !row.finding.is_well()).count() {
        unlike if unlike > 0 && cli.gate => Err(format!("{unlike} unlike {}", cli.file.display())),
        _ => Ok(()),
    }
}

fn kept(file: &Path) -> Result<Counts, String> {
    let text = fs::read_to_string(file).map_err(|error| error.to_string());
    text.and_then(|text| text.parse()).map_err(|problem| format!("{}: {problem}", file.display()))
}

fn count(questions: &[Question]) -> Result<Counts, String> {
    let tools = callgrind::tools()?;
    let rows = questions.iter().map(|question| Ok((question.name.to_owned(), callgrind::count(question)?)));
    let rows = rows.collect::<Result<_, String>>()?;
    Ok(Counts { architecture: std::env::consts::ARCH.to_owned(), tools, rows })
}

fn print(kept: &Counts, now: &Counts, rows: &[Row]) {
    match kept.band(now) {
        None => {
            println!("Kept on {}, counted on {}: nothing can be judged.", kept.architecture, now.architecture)
        }
        Some(band) if kept.tools == now.tools => println!("Counted with {}; ±{band} %.", now.tools),
        Some(band) => println!("Kept with {}, counted with {}: only ±{band} %.", kept.tools, now.tools),
    }
    println!("| question | instructions | kept | change | |\n|---|---|---|---|---|");
    for Row { name, kept, now, finding } in rows {
        let change = kept.zip(*now).filter(|(kept, _)| *kept > 0);
        let change = change.map(|(kept, now)| (now as f64 / kept as f64 - 1.0) * 100.0);
        let change = change.map_or("–".into(), |change| format!("{change:+.1} %"));
        let [now, kept] = [now, kept].map(|count| count.map_or("–".into(), |count| count.to_string()));
        println!("| {name} | {now} | {kept} | {change} | {finding} |");
    }
}
