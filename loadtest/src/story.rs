//! The stories: what each role does, and the judge at each of its turns.
use serde_json::Value;

use crate::clock;
use crate::metronome::Start;
use crate::oracle::Expect;
use crate::scenario::Role;
use crate::stage::{Asked, Caller, Stage};
use crate::tally::Step;
use crate::wire::{As, Question};

mod aliases;
mod bombing;
mod guessing;
mod migrating;
mod origins;
mod rotation;
mod signup;
mod stalling;

const PURPOSE: &str = "login";
/// Whose code it is said to be, where there is none.
const NOBODY: &str = "nobody@example.com";

/// Plays one story to its end, whatever that is.
pub(crate) async fn play(stage: &Stage, start: Start) {
    let role = start.plan.role;
    stage.started(role);
    stage.latency(role, Step::Lag, start.intended);
    let ended_well = match role {
        Role::Canary | Role::Crowd => signup::play(stage, &start).await,
        Role::Guessers => guessing::play(stage, &start).await,
        Role::Mutators => aliases::play(stage, &start).await,
        Role::Spoofers => origins::play(stage, &start).await,
        Role::Rotators => rotation::play(stage, &start).await,
        Role::Bombers => bombing::play(stage, &start).await,
        Role::Slow => stalling::play(stage, &start).await,
        Role::Migrants => migrating::play(stage, &start).await,
    };
    if ended_well.is_some() {
        stage.completed(role);
    }
}

/// A code that is tried.
#[derive(Clone, Copy)]
struct Guess<'a> {
    key: As,
    id: &'a str,
    recipient: &'a str,
    code: &'a str,
}

impl Guess<'_> {
    fn question(&self) -> Question {
        Question::check(self.key, self.id, self.recipient, self.code)
    }
}

/// A right code is tried, for the first time.
async fn right_code(stage: &Stage, caller: &Caller, guess: &Guess<'_>) -> Option<()> {
    let (question, Guess { id, recipient, .. }) = (&guess.question(), *guess);
    let mode = stage.shared.target.mode();
    let expect = Expect::Approved { id, purpose: PURPOSE, recipient, mode };
    let asked = Asked { step: Step::RightCode, from: clock::now(), question, expect };
    stage.ask(caller, asked).await.map(drop)
}

/// A right code is tried when it must not work any more.
async fn too_late(stage: &Stage, caller: &Caller, guess: &Guess<'_>) -> Option<()> {
    let question = &guess.question();
    let asked = Asked { step: Step::Replay, from: clock::now(), question, expect: Expect::Gone };
    stage.ask(caller, asked).await.map(drop)
}

/// An id of the right form that nobody was given.
fn forged_id(stage: &Stage, n: u64) -> String {
    const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut draw = stage.shared.profile.choice("forged ids", n);
    let letter = |_| char::from(BASE62[usize::try_from(draw.next() % 62).unwrap_or(0)]);
    format!("vrf_{}", (0..26).map(letter).collect::<String>())
}

fn text<'a>(body: &'a Value, name: &str) -> Option<&'a str> {
    body.get(name).and_then(Value::as_str)
}

/// A code of the same length that is not `code`; another one for each `nth` below 9.
fn other_code(code: &str, nth: u64) -> String {
    let (rest, last) = code.split_at(code.len().saturating_sub(1));
    let last = last.parse::<u64>().unwrap_or(0);
    format!("{rest}{}", (last + 1 + nth % 9) % 10)
}

#[cfg(test)]
mod tests {
    use super::other_code;

    #[test]
    fn the_other_code_is_never_the_code() {
        assert_eq!([other_code("000000", 0), other_code("123459", 0)], ["000001", "123450"]);
        assert!((0..100).all(|nth| other_code("123456", nth) != "123456"));
    }
}
