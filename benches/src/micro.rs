//! Small questions about the three things every request passes: the canonicaliser, the codec, the rulebook.
//!
//! ```text
//!   Question ── prepare(turns) ─▶ Turn ─┬─▶ callgrind counts it    src/bin/instructions/ (the gate of CI)
//!                                       └─▶ criterion times it     benches/*.rs
//! ```
//!
//! A turn is one call of a public function with its input ready, and looks whether what came back is right: a
//! count of work that failed early would be the best of all. Inputs repeat themselves from run to run, down to
//! the seed of the rulebook; only the keys of hash tables are drawn anew by each process, so tables are asked
//! for many names, or many tables for one.
use std::time::Duration;

use crate::cpu;

pub mod canonicaliser;
pub mod codec;
pub mod rulebook;

/// One piece of work. False if it did not end as it must.
pub type Turn = Box<dyn FnMut() -> bool>;

/// What a turn costs is the question.
pub struct Question {
    /// What is asked about and what of it: `codec/issue`.
    pub name: &'static str,
    /// Turns that are counted: enough for hash keys not to matter, few enough for a minute to hold all questions.
    pub turns: usize,
    /// The most instructions a turn may take, whatever it took yesterday.
    pub at_most: Option<u64>,
    /// Makes ready for so many turns.
    prepare: Box<dyn Fn(usize) -> Result<Turn, String>>,
}

/// Turns before anything is counted or timed: what is set up at the first use is none of the question.
const WARM_UP: usize = 32;
/// Turns for one preparation where criterion wants many: tables stay as large as they are counted.
const TURNS_AT_ONCE: u64 = 512;

/// All of them, in the order of a request: bytes, inbox, rules.
#[must_use]
pub fn questions() -> Vec<Question> {
    [codec::questions(), canonicaliser::questions(), rulebook::questions()].into_iter().flatten().collect()
}

impl Question {
    fn new(name: &'static str, prepare: impl Fn(usize) -> Result<Turn, String> + 'static) -> Self {
        Self { name, turns: 256, at_most: None, prepare: Box::new(prepare) }
    }

    /// The same question under a bound.
    fn at_most(self, instructions: u64) -> Self {
        Self { at_most: Some(instructions), ..self }
    }

    /// The same question with fewer turns, for long ones.
    fn turns(self, turns: usize) -> Self {
        Self { turns, ..self }
    }

    /// Takes the turns that are counted, after a few that are not.
    ///
    /// # Errors
    /// Something could not be made ready, or did not end as it must.
    pub fn count(&self) -> Result<(), String> {
        self.take(self.turns).map(|_| ())
    }

    /// What so many turns take on the clock.
    ///
    /// # Errors
    /// As [`count`](Self::count).
    pub fn time(&self, turns: u64) -> Result<Duration, String> {
        let (mut left, mut taken) = (turns, Duration::ZERO);
        while left > 0 {
            let now = left.min(TURNS_AT_ONCE);
            taken += self.take(now as usize)?;
            left -= now;
        }
        Ok(taken)
    }

    fn take(&self, turns: usize) -> Result<Duration, String> {
        let mut turn = (self.prepare)(WARM_UP + turns)?;
        let is_warm = (0..WARM_UP).all(|_| turn());
        let from = cpu::now();
        let is_right = take_turns(&mut turn, turns);
        let taken = from.elapsed();
        if is_warm && is_right { Ok(taken) } else { Err(format!("{}: it did not end as it must", self.name)) }
    }
}

/// The function that callgrind watches: [`COUNTED`] names it, so it must remain one.
#[inline(never)]
fn take_turns(turn: &mut Turn, turns: usize) -> bool {
    (0..turns).all(|_| turn())
}

/// How callgrind finds [`take_turns`], however its name is mangled.
pub const COUNTED: &str = "*micro*take_turns*";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_question_can_be_asked_and_has_a_name_of_its_own() {
        let questions = questions();
        for question in &questions {
            question.count().unwrap();
        }
        let names: HashSet<&str> = questions.iter().map(|question| question.name).collect();
        assert_eq!(names.len(), questions.len());
    }

    #[test]
    fn work_that_ends_wrong_is_an_error() {
        let tired = |turns: usize| {
            let mut left = turns - 1;
            let turn: Turn = Box::new(move || {
                let is_awake = left > 0;
                left = left.saturating_sub(1);
                is_awake
            });
            Ok(turn)
        };
        assert!(Question::new("tired", tired).count().is_err());
        assert!(Question::new("never ready", |_| Err("no".into())).time(1).is_err());
    }
}
