//! The end of a run: a table for people, one JSON line for programs, and whether it held.
use std::fmt::Write;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::profile::Profile;
use crate::scenario::Role;
use crate::tally::{Part, Step, Tally};

const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)];
/// The share of honest stories beside an attack that must end well.
pub(crate) const SUCCESS_LEAST: f64 = 0.99;

/// A finished run.
pub(crate) struct Report<'a> {
    pub(crate) profile: &'a Profile,
    pub(crate) tally: &'a Tally,
}

impl<'a> Report<'a> {
    pub(crate) fn new(profile: &'a Profile, tally: &'a Tally) -> Self {
        Self { profile, tally }
    }

    /// Why the run did not hold; empty if it did. Silence proves nothing, so every role must have heard
    /// something right or been refused.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let wrong = self.tally.wrong_answers();
        if wrong > 0 {
            faults.push(format!("{wrong} wrong answers"));
        }
        for (role, part) in &self.tally.parts {
            if role.must_succeed() && part.success() < SUCCESS_LEAST {
                let share = 100.0 * part.success();
                faults.push(format!("only {share:.2} % of {} succeeded", role.name()));
            }
            if role.is_honest() && part.right == 0 {
                faults.push(format!("{}: no right answer", role.name()));
            }
        }
        if self.tally.parts.values().all(|part| part.right + part.refused_answers() == 0) {
            faults.push("no answer at all".into());
        }
        faults
    }

    pub(crate) fn holds(&self) -> bool {
        self.faults().is_empty()
    }

    pub(crate) fn table(&self) -> String {
        let mut out = String::new();
        // Writing to a String can't fail.
        let _ = self.write_table(&mut out);
        out
    }

    fn write_table(&self, out: &mut String) -> std::fmt::Result {
        let (profile, tally) = (self.profile, self.tally);
        writeln!(out, "scenario {}, seed {}, {} s", profile.scenario.name(), profile.seed, profile.seconds)?;
        for (role, part) in &tally.parts {
            write_part(out, *role, part)?;
        }
        writeln!(out, "\nissue and sign-up count from the intended start, the others from the step before")?;
        for (name, ours, theirs) in &tally.agreed {
            writeln!(out, "{name}: {ours} {} {theirs}", if ours == theirs { "=" } else { "≠" })?;
        }
        for (kind, count) in &tally.wrong {
            writeln!(out, "WRONG   {count:>7}  {kind}")?;
        }
        match self.faults() {
            faults if faults.is_empty() => writeln!(out, "HOLDS: every answer was right"),
            faults => writeln!(out, "FAILED: {}", faults.join("; ")),
        }
    }

    /// The line programs read.
    pub(crate) fn json(&self) -> Value {
        let tally = self.tally;
        let parts = tally.parts.iter().map(|(role, part)| (role.name().to_owned(), part_json(part)));
        let agreed =
            tally.agreed.iter().map(|(name, ours, theirs)| ((*name).to_owned(), json!([ours, theirs])));
        let right: u64 = tally.parts.values().map(|part| part.right).sum();
        let refused: u64 = tally.parts.values().map(Part::refused_answers).sum();
        json!({
            "profile": self.profile,
            "holds": self.holds(),
            "faults": self.faults(),
            "answers": {"right": right, "refused": refused, "wrong": tally.wrong_answers()},
            "parts": parts.collect::<serde_json::Map<_, _>>(),
            "agreed": agreed.collect::<serde_json::Map<_, _>>(),
            "wrong": tally.wrong,
        })
    }
}

fn write_part(out: &mut String, role: Role, part: &Part) -> std::fmt::Result {
    writeln!(
        out,
        "\n{}: {} stories started, {} completed, {} not started{}",
        role.name(),
        part.started,
        part.completed,
        part.not_started,
        if role.is_honest() { format!(" ({:.2} % success)", 100.0 * part.success()) } else { String::new() }
    )?;
    writeln!(
        out,
        "  {:<12}{:>9}{:>10}{:>10}{:>10}{:>10}{:>10}",
        "ms", "count", "p50", "p90", "p99", "p99.9", "max"
    )?;
    for (step, histogram) in Step::ALL.iter().filter_map(|step| Some((step, part.histogram(*step)?))) {
        write!(out, "  {:<12}{:>9}", step.name(), histogram.len())?;
        for (_, quantile) in QUANTILES {
            write!(out, "{:>10.3}", histogram.value_at_quantile(quantile) as f64 / 1000.0)?;
        }
        writeln!(out, "{:>10.3}", histogram.max() as f64 / 1000.0)?;
    }
    let (refused, wrong) = (part.refused_answers(), part.wrong_answers);
    writeln!(out, "  answers {} right, {refused} refused, {wrong} wrong", part.right)?;
    for (label, count) in &part.refused {
        writeln!(out, "    refused {count:>7}  {label}")?;
    }
    for (kind, wrong) in &part.wrong {
        writeln!(out, "    WRONG   {:>7}  {kind}  (first: {})", wrong.count, wrong.request_id)?;
    }
    Ok(())
}

fn part_json(part: &Part) -> Value {
    let steps = Step::ALL.iter().filter_map(|step| Some((step.key(), micros(part.histogram(*step)?))));
    let wrong = part.wrong.iter().map(|(kind, wrong)| (kind.clone(), json!(wrong.count)));
    json!({
        "stories": {"started": part.started, "completed": part.completed, "not_started": part.not_started},
        "success": part.success(),
        "answers": {"right": part.right, "refused": part.refused_answers(), "wrong": part.wrong_answers},
        "latency_us": steps.collect::<serde_json::Map<_, _>>(),
        "refused": part.refused,
        "wrong": wrong.collect::<serde_json::Map<_, _>>(),
    })
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
    use super::*;
    use crate::oracle::Verdict;
    use crate::scenario::Scenario;

    #[test]
    fn one_wrong_answer_among_many_right_ones_fails_the_run() {
        let (profile, mut tally) = (Scenario::Bombing.profile(), Tally::default());
        assert!(!Report::new(&profile, &tally).holds(), "no answer at all proves nothing");
        let count =
            |tally: &mut Tally, verdict| tally.part(Role::Bombers).count(Step::Issue, &verdict, "req_9");
        for _ in 0..1000 {
            assert!(count(&mut tally, Verdict::Right));
        }
        assert!(!count(&mut tally, Verdict::Refused("429 rate-limited peer".into())));
        assert!(Report::new(&profile, &tally).holds(), "a refusal is no wrong answer");
        assert!(!count(&mut tally, Verdict::Wrong(vec!["status 200 for 404".into()])));
        let report = Report::new(&profile, &tally);
        assert!(!report.holds());
        assert!(report.table().contains("issue: status 200 for 404  (first: req_9)"), "{}", report.table());
        assert_eq!(report.json()["parts"]["bombers"]["wrong"]["issue: status 200 for 404"], 1);
    }

    #[test]
    fn honest_callers_beside_an_attack_must_be_served() {
        let (profile, mut tally) = (Scenario::Bombing.profile(), Tally::default());
        let canary = tally.part(Role::Canary);
        canary.count(Step::Issue, &Verdict::Right, "r");
        (canary.started, canary.completed) = (100, 99);
        assert!(Report::new(&profile, &tally).holds());
        tally.part(Role::Canary).not_started = 1;
        assert_eq!(Report::new(&profile, &tally).faults(), ["only 98.02 % of canary succeeded"]);
    }

    #[test]
    fn a_mail_nobody_was_promised_fails_the_run() {
        let (profile, mut tally) = (Scenario::Bombing.profile(), Tally::default());
        tally.part(Role::Bombers).count(Step::Issue, &Verdict::Right, "r");
        tally.blame("mail: found and not promised", 0);
        assert!(Report::new(&profile, &tally).holds());
        tally.blame("mail: found and not promised", 2);
        assert_eq!(Report::new(&profile, &tally).faults(), ["2 wrong answers"]);
    }
}
