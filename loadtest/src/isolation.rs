//! Does a flood through restricted keys delay a backend? One run, two phases, and their ratio.
//!
//! ```text
//!   phase 1   backend (secret key)  ──────────────▶ alone
//!   phase 2   backend (secret key)  ──────────────▶ beside the flood
//!             flood (restricted key) ══════════════▶ as many as the server takes, and more
//! ```
//!
//! Both are open loops with the same judge. The flood's threads have a lower priority, so that on a core
//! they share, the backend's own waiting for it is not what is measured; its `own lag` tells whether that
//! held. The flood is bounded by its rate, its time and its cap.
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::profile::Profile;
use crate::report::Report;
use crate::run;
use crate::scenario::Role;
use crate::tally::{Step, Tally};
use crate::target::Target;

/// What the backend's wait is compared by.
const COMPARED: [Step; 3] = [Step::Issue, Step::RightCode, Step::SignUp];
/// How long the flood has run before the backend's second phase begins.
const HEAD_START: Duration = Duration::from_millis(500);
/// How far the flood's threads stand back: a tenth of the backend's weight (`man 7 sched`).
const STAND_BACK: i32 = 10;

/// The tallies of the backend alone, of the backend beside the flood, and of the flood.
pub(crate) fn run(profiles: &[Profile; 3], target: &Target) -> Result<[Tally; 3], String> {
    let [alone, flooded, flood] = profiles;
    let alone = run::run(alone, target.clone(), None)?;
    let under_way = Arc::new(AtomicBool::new(false));
    let (flooded, flood) = thread::scope(|scope| {
        let begun = under_way.clone();
        let flooding = scope.spawn(move || {
            // A thread's own threads inherit its priority. Refused, the figures are only noisier.
            let _kept = rustix::process::nice(STAND_BACK);
            run::run_with(flood, target.clone(), None, || begun.store(true, Relaxed))
        });
        while !under_way.load(Relaxed) && !flooding.is_finished() {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(HEAD_START);
        let flooded = run::run(flooded, target.clone(), None);
        (flooded, flooding.join())
    });
    Ok([alone, flooded?, flood.map_err(|_| "the flood panicked")??])
}

/// The two phases side by side.
pub(crate) struct Comparison<'a> {
    alone: Report<'a>,
    flooded: Report<'a>,
    flood: Report<'a>,
    tallies: &'a [Tally; 3],
}

impl<'a> Comparison<'a> {
    pub(crate) fn new(profiles: &'a [Profile; 3], tallies: &'a [Tally; 3]) -> Self {
        let report = |at: usize| Report::new(&profiles[at], &tallies[at]);
        Self { alone: report(0), flooded: report(1), flood: report(2), tallies }
    }

    /// The backend got right answers in both phases and nobody got a wrong one. The flood may have got
    /// nothing but refusals.
    pub(crate) fn holds(&self) -> bool {
        self.alone.holds() && self.flooded.holds() && self.tallies[2].wrong_answers() == 0
    }

    pub(crate) fn table(&self) -> String {
        let mut out = String::new();
        let parts = [("BACKEND ALONE", &self.alone), ("BACKEND BESIDE THE FLOOD", &self.flooded)];
        for (title, report) in parts.into_iter().chain([("THE FLOOD", &self.flood)]) {
            // Writing to a String can't fail.
            let _ = writeln!(out, "{title}\n{}", report.table());
        }
        for step in COMPARED {
            if let Some([p50, p99]) = self.ratios(step) {
                let _ =
                    writeln!(out, "{:<12} beside the flood ÷ alone: p50 {p50:.2}, p99 {p99:.2}", step.name());
            }
        }
        out
    }

    pub(crate) fn json(&self) -> Value {
        let ratios = COMPARED.iter().filter_map(|step| {
            let [p50, p99] = self.ratios(*step)?;
            Some((step.key(), json!({"p50": p50, "p99": p99})))
        });
        json!({
            "scenario": "class-isolation",
            "holds": self.holds(),
            "alone": self.alone.json(),
            "flooded": self.flooded.json(),
            "flood": self.flood.json(),
            "ratio": ratios.collect::<serde_json::Map<_, _>>(),
        })
    }

    /// Beside the flood ÷ alone, at the median and the 99th percentile.
    fn ratios(&self, step: Step) -> Option<[f64; 2]> {
        let of = |tally: &'a Tally| tally.parts.get(&Role::Crowd)?.histogram(step);
        let [alone, flooded] = [of(&self.tallies[0])?, of(&self.tallies[1])?];
        Some([0.5, 0.99].map(|quantile| {
            flooded.value_at_quantile(quantile) as f64 / alone.value_at_quantile(quantile).max(1) as f64
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::Verdict;
    use crate::scenario::Scenario;

    fn tally(millis: u64, verdict: &Verdict) -> Tally {
        let mut tally = Tally::default();
        tally.part(Role::Crowd).latency(Step::Issue, Duration::from_millis(millis));
        tally.part(Role::Crowd).count(Step::Issue, verdict, "r");
        tally
    }

    #[test]
    fn the_ratio_is_of_the_two_phases_and_the_flood_may_be_refused_but_not_misled() {
        let profiles = [1, 2, 3].map(|seed| Profile { seed, ..Scenario::SignupWave.profile() });
        let refused = Verdict::Refused("503 overloaded".into());
        let mut tallies = [tally(2, &Verdict::Right), tally(3, &Verdict::Right), tally(9, &refused)];
        let comparison = Comparison::new(&profiles, &tallies);
        assert!(comparison.holds());
        let ratio = comparison.json()["ratio"]["issue"]["p99"].as_f64().unwrap();
        assert!((1.49..1.51).contains(&ratio), "{ratio}");
        assert_eq!(comparison.json()["flood"]["parts"]["crowd"]["refused"]["issue: 503 overloaded"], 1);
        tallies[2] = tally(9, &Verdict::Wrong(vec!["member id".into()]));
        assert!(!Comparison::new(&profiles, &tallies).holds());
        tallies[2] = Tally::default();
        tallies[1] = tally(3, &refused);
        assert!(
            !Comparison::new(&profiles, &tallies).holds(),
            "a backend that is only refused proves nothing"
        );
    }
}
