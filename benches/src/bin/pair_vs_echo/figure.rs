//! From windows to a table: medians, and how far the windows were apart.
use std::fmt::Write;
use std::time::Duration;

use authepy_benches::spread::spread;
use serde_json::{Value, json};

/// One window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) requests: u64,
    /// The server's, in ns.
    pub(crate) cpu: u64,
    pub(crate) wall: Duration,
}

/// Windows that belong together: what they share of the machine's mood cancels out in their ratio.
pub(crate) struct Round {
    pub(crate) echo: Sample,
    /// Issue, check.
    pub(crate) pair: Option<(Sample, Sample)>,
}

/// Column titles, as Markdown.
pub(crate) const HEAD: &str = "\
| C×S | what | µs CPU/request, median (min–max) | × echo, median (min–max) | requests/s | core busy |
|---|---|---|---|---|---|";

impl Sample {
    fn micros(&self) -> f64 {
        self.cpu as f64 / 1000.0 / self.requests as f64
    }

    fn rate(&self) -> f64 {
        self.requests as f64 / self.wall.as_secs_f64()
    }

    fn busy(&self) -> f64 {
        100.0 * self.cpu as f64 / self.wall.as_nanos() as f64
    }
}

/// A grid's rows of the table.
pub(crate) fn rows(connections: usize, streams: usize, rounds: &[Round]) -> String {
    let mut out = String::new();
    let mut row = |name: &str, pick: &dyn Fn(&Round) -> Option<Sample>| {
        let samples: Vec<_> =
            rounds.iter().filter_map(|round| Some((round.echo.micros(), pick(round)?))).collect();
        if samples.is_empty() {
            return;
        }
        let of = |figure: &dyn Fn(&(f64, Sample)) -> f64| spread(samples.iter().map(figure).collect());
        let (cost, ratio) =
            (of(&|(_, sample)| sample.micros()), of(&|(echo, sample)| sample.micros() / echo));
        let (rate, busy) = (of(&|(_, sample)| sample.rate()), of(&|(_, sample)| sample.busy()));
        let [cost, ratio] = [(cost, 1), (ratio, 2)].map(|((median, least, most), digits)| {
            format!("{median:.digits$} ({least:.digits$}–{most:.digits$})")
        });
        // Writing to a String can't fail.
        let _ = writeln!(
            out,
            "| {connections}×{streams} | {name} | {cost} | {ratio} | {:.0} | {:.0} % |",
            rate.0, busy.0
        );
    };
    row("echo", &|round| Some(round.echo));
    row("issue", &|round| round.pair.map(|(issue, _)| issue));
    row("check", &|round| round.pair.map(|(_, check)| check));
    row("mean of the pair", &|round| round.pair.map(|(issue, check)| mean(issue, check)));
    out
}

/// The same rows where this peer's hello stands in the echo's place.
pub(crate) fn beside_hello(peer: &str, rounds: &[Round]) -> String {
    rows(16, 16, rounds)
        .replace("| echo |", &format!("| {peer} hello |"))
        .replace("| 16×16 |", "| 16×16, × hello |")
}

/// The means alone, where the pair of a first server stands in the echo's place.
pub(crate) fn beside_one(connections: usize, streams: usize, rounds: &[Round]) -> String {
    let name = |row: &str| row.split(" | ").nth(1).map(str::to_owned);
    rows(connections, streams, rounds)
        .split_inclusive('\n')
        .filter(|row| name(row).is_some_and(|name| name == "echo" || name == "mean of the pair"))
        .collect::<String>()
        .replace("| echo |", "| pair of the first |")
        .replace("| mean of the pair |", "| pair of the one beside, × first |")
}

/// A grid's medians for programs: µs of server CPU for an echo and for the mean of issue and check, and their
/// ratio within a round.
pub(crate) fn json(rounds: &[Round]) -> Value {
    let median =
        |figure: &dyn Fn(&Round) -> Option<f64>| spread(rounds.iter().filter_map(figure).collect()).0;
    let pair = |round: &Round| round.pair.map(|(issue, check)| mean(issue, check).micros());
    json!({
        "echo_us": median(&|round| Some(round.echo.micros())),
        "pair_us": median(&pair),
        "ratio": median(&|round| Some(pair(round)? / round.echo.micros())),
    })
}

/// Two more rows: a bare visit, and a whole sign-in.
pub(crate) fn visits(rounds: &[[Sample; 2]]) -> String {
    let mut out = String::new();
    for (name, at) in [("connection and echo", 0), ("connection and sign-in", 1)] {
        let of = |figure: &dyn Fn(&[Sample; 2]) -> f64| spread(rounds.iter().map(figure).collect());
        let cost = of(&|round| round[at].micros());
        let ratio = of(&|round| round[at].micros() / round[0].micros());
        let (rate, busy) = (of(&|round| round[at].rate()).0, of(&|round| round[at].busy()).0);
        // Writing to a String can't fail.
        let _ = writeln!(
            out,
            "| new | {name} | {:.0} ({:.0}–{:.0}) | {:.2} ({:.2}–{:.2}) | {rate:.0} | {busy:.0} % |",
            cost.0, cost.1, cost.2, ratio.0, ratio.1, ratio.2
        );
    }
    out
}

/// The same for programs.
pub(crate) fn json_of_visits(rounds: &[[Sample; 2]]) -> Value {
    let median = |figure: &dyn Fn(&[Sample; 2]) -> f64| spread(rounds.iter().map(figure).collect()).0;
    json!({
        "hello_us": median(&|round| round[0].micros()),
        "sign_in_us": median(&|round| round[1].micros()),
        "ratio": median(&|round| round[1].micros() / round[0].micros()),
    })
}

/// As if every issue had been followed by its check: both weigh the same, whatever their windows held.
pub(crate) fn mean(issue: Sample, check: Sample) -> Sample {
    let scale = |n: u64| (n as f64 * issue.requests as f64 / check.requests as f64) as u64;
    let wall = issue.wall + check.wall.mul_f64(issue.requests as f64 / check.requests as f64);
    Sample { requests: issue.requests * 2, cpu: issue.cpu + scale(check.cpu), wall }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(requests: u64, cpu: u64) -> Sample {
        Sample { requests, cpu, wall: Duration::from_secs(1) }
    }

    #[test]
    fn issue_and_check_weigh_the_same_in_the_pair() {
        let (issue, check) = (sample(1000, 10_000_000), sample(500, 10_000_000));
        assert!((mean(issue, check).micros() - 15.0).abs() < 0.01, "10 µs and 20 µs");
    }

    #[test]
    fn programs_are_told_the_same() {
        let pair = Some((sample(100, 1_000_000), sample(100, 2_000_000)));
        let figures = json(&[Round { echo: sample(100, 500_000), pair }]);
        assert_eq!(figures, json!({"echo_us": 5.0, "pair_us": 15.0, "ratio": 3.0}));
    }

    #[test]
    fn a_row_tells_cost_and_ratio() {
        let rounds = [Round {
            echo: sample(100, 500_000),
            pair: Some((sample(100, 1_000_000), sample(100, 2_000_000))),
        }];
        let rows = rows(8, 8, &rounds);
        assert!(rows.contains("| 8×8 | echo | 5.0 (5.0–5.0) | 1.00 (1.00–1.00) | 100 | 0 % |"), "{rows}");
        assert!(rows.contains("| 8×8 | mean of the pair | 15.0 (15.0–15.0) | 3.00 (3.00–3.00) |"), "{rows}");
    }
}
