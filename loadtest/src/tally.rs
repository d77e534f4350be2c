//! What happened, in numbers: latencies beside verdicts, for each role, over the run and over its time.
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::oracle::Verdict;
use crate::scenario::Role;

mod series;
pub(crate) use series::{SLICES_MAX, Series, Slice};

/// What a latency or a verdict belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Connect,
    Lag,
    Issue,
    Mail,
    WrongCode,
    RightCode,
    Replay,
    SignUp,
    /// One of several guesses at once.
    Guess,
    /// A try at an id that nobody was given.
    ForgedId,
    /// What must be refused for what it asks.
    Forbidden,
    /// A request that never ends.
    Stall,
    /// A connection after its phone moved.
    Moved,
    /// A knock of a banned peer.
    Knock,
}

impl Step {
    pub(crate) const ALL: [Self; 14] = [
        Self::Connect,
        Self::Lag,
        Self::Issue,
        Self::Mail,
        Self::WrongCode,
        Self::RightCode,
        Self::Replay,
        Self::SignUp,
        Self::Guess,
        Self::ForgedId,
        Self::Forbidden,
        Self::Stall,
        Self::Moved,
        Self::Knock,
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
            Self::Guess => "guess",
            Self::ForgedId => "forged id",
            Self::Forbidden => "forbidden",
            Self::Stall => "stall",
            Self::Moved => "moved",
            Self::Knock => "knock",
        }
    }

    /// The name as a JSON member.
    pub(crate) fn key(self) -> String {
        self.name().replace([' ', '-'], "_")
    }

    /// Whether it is an answer of the server to one request.
    pub(crate) fn is_answer(self) -> bool {
        !matches!(self, Self::Connect | Self::Lag | Self::Mail | Self::SignUp | Self::Stall | Self::Moved)
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
    pub(crate) parts: BTreeMap<Role, Part>,
    /// What is wrong with the run as a whole: mails nobody was promised, a server that panicked.
    pub(crate) wrong: BTreeMap<String, u64>,
    /// Figures of both ends that must agree: name, ours, the server's.
    pub(crate) agreed: Vec<(&'static str, u64, u64)>,
}

/// One role's numbers.
#[derive(Default)]
pub(crate) struct Part {
    /// In µs, of right answers only: a refusal is fast and would flatter.
    latencies: BTreeMap<Step, Histogram<u64>>,
    pub(crate) right: u64,
    pub(crate) refused: BTreeMap<String, u64>,
    pub(crate) wrong: BTreeMap<String, Wrong>,
    /// Answers with at least one finding; one answer may be of several kinds.
    pub(crate) wrong_answers: u64,
    pub(crate) started: u64,
    pub(crate) completed: u64,
    pub(crate) not_started: u64,
    pub(crate) series: Series,
}

impl Tally {
    pub(crate) fn part(&mut self, role: Role) -> &mut Part {
        self.parts.entry(role).or_default()
    }

    pub(crate) fn blame(&mut self, kind: &str, count: u64) {
        if count > 0 {
            *self.wrong.entry(kind.to_owned()).or_default() += count;
        }
    }

    /// Everything wrong, in answers and in the run.
    pub(crate) fn wrong_answers(&self) -> u64 {
        self.wrong.values().sum::<u64>() + self.parts.values().map(|part| part.wrong_answers).sum::<u64>()
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (role, part) in other.parts {
            self.part(role).add(part);
        }
        for (kind, count) in other.wrong {
            self.blame(&kind, count);
        }
        self.agreed.extend(other.agreed);
    }
}

impl Part {
    pub(crate) fn latency(&mut self, step: Step, took: Duration) {
        if let Some(histogram) = histogram(&mut self.latencies, step) {
            histogram.saturating_record(micros(took));
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
        self.latencies.get(&step)
    }

    pub(crate) fn refused_answers(&self) -> u64 {
        self.refused.values().sum()
    }

    /// The share of stories that ended as they should; those that never began count.
    pub(crate) fn success(&self) -> f64 {
        self.completed as f64 / ((self.started + self.not_started) as f64).max(1.0)
    }

    fn add(&mut self, other: Self) {
        for (step, theirs) in other.latencies {
            histogram(&mut self.latencies, step).map(|ours| ours.add(theirs));
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
        self.series.add(&other.series);
    }

    fn blame(&mut self, kind: String, count: u64, request_id: &str) {
        let first = || Wrong { count: 0, request_id: request_id.to_owned() };
        self.wrong.entry(kind).or_insert_with(first).count += count;
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

/// A longer wait is held at a minute.
const LONGEST: u64 = 60_000_000;

/// Three digits from 1 µs.
fn histogram(all: &mut BTreeMap<Step, Histogram<u64>>, step: Step) -> Option<&mut Histogram<u64>> {
    match all.entry(step) {
        Entry::Occupied(there) => Some(there.into_mut()),
        Entry::Vacant(place) => Some(place.insert(Histogram::new_with_bounds(1, LONGEST, 3).ok()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_of_two_workers_add_up() {
        let (mut one, mut two) = (Tally::default(), Tally::default());
        for tally in [&mut one, &mut two] {
            let part = tally.part(Role::Canary);
            part.latency(Step::Issue, Duration::from_millis(2));
            part.count(Step::Issue, &Verdict::Wrong(vec!["member id".into()]), "r");
            part.series.at(3).record(Duration::from_millis(2));
        }
        one.add(two);
        let part = &one.parts[&Role::Canary];
        assert_eq!((part.histogram(Step::Issue).unwrap().len(), one.wrong_answers()), (2, 2));
        assert_eq!(part.wrong["issue: member id"].count, 2);
        assert_eq!(part.series.0[3].latency.as_ref().unwrap().len(), 2);
    }
}
