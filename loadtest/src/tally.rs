//! What happened, in numbers: latencies beside verdicts.
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::oracle::Verdict;

/// What a latency or a verdict belongs to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step {
    Connect,
    Lag,
    Issue,
    Mail,
    WrongCode,
    RightCode,
    Replay,
    SignUp,
}

impl Step {
    pub(crate) const ALL: [Self; 8] = [
        Self::Connect,
        Self::Lag,
        Self::Issue,
        Self::Mail,
        Self::WrongCode,
        Self::RightCode,
        Self::Replay,
        Self::SignUp,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Lag => "own lag",
            Self::Issue => "issue",
            Self::Mail => "mail",
            Self::WrongCode => "wrong code",
            Self::RightCode => "right code",
            Self::Replay => "replay",
            Self::SignUp => "sign-up",
        }
    }

    /// The name as a JSON member.
    pub(crate) fn key(self) -> String {
        self.name().replace([' ', '-'], "_")
    }
}

/// One kind of wrong answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wrong {
    pub(crate) count: u64,
    /// The first one seen, to look for in the server's log.
    pub(crate) request_id: String,
}

/// What a worker saw; workers' tallies add up.
#[derive(Default)]
pub(crate) struct Tally {
    /// In µs, of right answers only: a refusal is fast and would flatter.
    latencies: BTreeMap<&'static str, Histogram<u64>>,
    pub(crate) right: u64,
    pub(crate) refused: BTreeMap<String, u64>,
    pub(crate) wrong: BTreeMap<String, Wrong>,
    /// Answers with at least one finding; one answer may be of several kinds.
    pub(crate) wrong_answers: u64,
    pub(crate) started: u64,
    pub(crate) completed: u64,
    pub(crate) not_started: u64,
}

/// Shared while the run lasts: the cap, and the progress line.
#[derive(Default)]
pub(crate) struct Live {
    pub(crate) in_flight: AtomicUsize,
    pub(crate) started: AtomicU64,
    pub(crate) completed: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) wrong: AtomicU64,
    pub(crate) not_started: AtomicU64,
}

impl Tally {
    pub(crate) fn latency(&mut self, step: Step, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(histogram) = histogram(&mut self.latencies, step.name()) {
            histogram.saturating_record(micros);
        }
    }

    /// Counts one verdict; `true` when the answer was right.
    pub(crate) fn count(&mut self, step: Step, verdict: &Verdict, request_id: &str) -> bool {
        match verdict {
            Verdict::Right => self.right += 1,
            Verdict::Refused(label) => {
                *self.refused.entry(format!("{}: {label}", step.name())).or_default() += 1;
            }
            Verdict::Wrong(kinds) => {
                self.wrong_answers += 1;
                for kind in kinds {
                    self.blame(format!("{}: {kind}", step.name()), 1, request_id);
                }
            }
        }
        *verdict == Verdict::Right
    }

    pub(crate) fn histogram(&self, step: Step) -> Option<&Histogram<u64>> {
        self.latencies.get(step.name())
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (name, theirs) in other.latencies {
            histogram(&mut self.latencies, name).map(|ours| ours.add(theirs));
        }
        for (label, count) in other.refused {
            *self.refused.entry(label).or_default() += count;
        }
        for (kind, wrong) in other.wrong {
            self.blame(kind, wrong.count, &wrong.request_id);
        }
        self.right += other.right;
        self.wrong_answers += other.wrong_answers;
        self.started += other.started;
        self.completed += other.completed;
        self.not_started += other.not_started;
    }

    fn blame(&mut self, kind: String, count: u64, request_id: &str) {
        let first = || Wrong { count: 0, request_id: request_id.to_owned() };
        self.wrong.entry(kind).or_insert_with(first).count += count;
    }
}

/// Three digits from 1 µs to a minute; a longer wait is held at a minute.
fn histogram<'a>(
    all: &'a mut BTreeMap<&'static str, Histogram<u64>>,
    name: &'static str,
) -> Option<&'a mut Histogram<u64>> {
    if !all.contains_key(name) {
        all.insert(name, Histogram::new_with_bounds(1, 60_000_000, 3).ok()?);
    }
    all.get_mut(name)
}
