//! The end of a run: a table for people, one JSON line for programs, and whether it held.
use std::fmt::Write;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::profile::Profile;
use crate::tally::{Step, Tally};

const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)];

/// A finished run.
pub(crate) struct Report<'a> {
    profile: &'a Profile,
    tally: &'a Tally,
}

impl<'a> Report<'a> {
    pub(crate) fn new(profile: &'a Profile, tally: &'a Tally) -> Self {
        Self { profile, tally }
    }

    /// No wrong answer, and at least one right one: silence proves nothing.
    pub(crate) fn holds(&self) -> bool {
        self.tally.wrong_answers == 0 && self.tally.right > 0
    }

    pub(crate) fn table(&self) -> String {
        let mut out = String::new();
        // Writing to a String can't fail.
        let _ = self.write_table(&mut out);
        out
    }

    fn write_table(&self, out: &mut String) -> std::fmt::Result {
        let (profile, tally) = (self.profile, self.tally);
        writeln!(out, "profile  {}", serde_json::to_string(profile).unwrap_or_default())?;
        writeln!(
            out,
            "sign-ups {} started, {} completed, {} not started in time (cap {})",
            tally.started, tally.completed, tally.not_started, profile.in_flight
        )?;
        writeln!(
            out,
            "\n{:<12}{:>9}{:>10}{:>10}{:>10}{:>10}{:>10}",
            "ms", "count", "p50", "p90", "p99", "p99.9", "max"
        )?;
        for step in Step::ALL {
            let Some(histogram) = tally.histogram(step) else { continue };
            write!(out, "{:<12}{:>9}", step.name(), histogram.len())?;
            for (_, quantile) in QUANTILES {
                write!(out, "{:>10.3}", histogram.value_at_quantile(quantile) as f64 / 1000.0)?;
            }
            writeln!(out, "{:>10.3}", histogram.max() as f64 / 1000.0)?;
        }
        writeln!(out, "issue and sign-up count from the intended start, the others from the step before\n")?;
        let refused: u64 = tally.refused.values().sum();
        writeln!(out, "answers  {} right, {refused} refused, {} wrong", tally.right, tally.wrong_answers)?;
        for (label, count) in &tally.refused {
            writeln!(out, "  refused {count:>7}  {label}")?;
        }
        for (kind, wrong) in &tally.wrong {
            writeln!(out, "  WRONG   {:>7}  {kind}  (first: {})", wrong.count, wrong.request_id)?;
        }
        Ok(())
    }

    /// The line `compare` will read.
    pub(crate) fn json(&self) -> Value {
        let tally = self.tally;
        let steps: serde_json::Map<_, _> =
            Step::ALL.iter().filter_map(|step| Some((step.key(), micros(tally.histogram(*step)?)))).collect();
        let wrong = tally.wrong.iter().map(|(kind, wrong)| (kind.clone(), json!(wrong.count)));
        json!({
            "profile": self.profile,
            "holds": self.holds(),
            "signups": {"started": tally.started, "completed": tally.completed, "not_started": tally.not_started},
            "answers": {"right": tally.right, "wrong": tally.wrong_answers,
                        "refused": tally.refused.values().sum::<u64>()},
            "latency_us": steps,
            "refused": tally.refused,
            "wrong": wrong.collect::<serde_json::Map<_, _>>(),
        })
    }
}

fn micros(histogram: &Histogram<u64>) -> Value {
    let mut row = json!({"count": histogram.len(), "max": histogram.max()});
    for (name, quantile) in QUANTILES {
        row[name] = json!(histogram.value_at_quantile(quantile));
    }
    row
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::oracle::Verdict;
    use crate::profile::tests::profile;

    #[test]
    fn one_wrong_answer_among_many_right_ones_fails_the_run() {
        let (profile, mut tally) = (profile(1), Tally::default());
        assert!(!Report::new(&profile, &tally).holds(), "no answer at all proves nothing");
        for _ in 0..1000 {
            assert!(tally.count(Step::Issue, &Verdict::Right, "r"));
        }
        assert!(!tally.count(Step::Issue, &Verdict::Refused("429 rate-limited peer".into()), "r"));
        assert!(Report::new(&profile, &tally).holds(), "a refusal is no wrong answer");
        assert!(!tally.count(Step::Replay, &Verdict::Wrong(vec!["status 200 for 404".into()]), "req_9"));
        let report = Report::new(&profile, &tally);
        assert!(!report.holds());
        assert!(report.table().contains("replay: status 200 for 404  (first: req_9)"), "{}", report.table());
        assert_eq!(report.json()["wrong"]["replay: status 200 for 404"], 1);
    }

    #[test]
    fn tallies_of_two_workers_add_up() {
        let (mut one, mut two) = (Tally::default(), Tally::default());
        for tally in [&mut one, &mut two] {
            tally.latency(Step::Issue, Duration::from_millis(2));
            tally.count(Step::Issue, &Verdict::Wrong(vec!["member id".into()]), "r");
        }
        one.add(two);
        assert_eq!((one.histogram(Step::Issue).unwrap().len(), one.wrong_answers), (2, 2));
        assert_eq!(one.wrong["issue: member id"].count, 2);
    }
}
