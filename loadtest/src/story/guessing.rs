//! Guesses: a code is sent to somebody else, and `burst` wrong ones are tried at once; or an id that nobody
//! was given is tried.
//!
//! The harness reads the victim's mail, to guess wrong for sure: of a million guesses one would be right, and
//! a run must not end red because of it.
use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::Value;

use super::{Guess, NOBODY, PURPOSE, forged_id, other_code, text, too_late};
use crate::clock;
use crate::metronome::Start;
use crate::oracle::{Expect, Verdict};
use crate::stage::{Asked, Caller, Stage};
use crate::tally::Step;
use crate::wire::{As, ORIGIN, Question, Seen};

/// Every so many stories are of forged ids, all by the same few peers, so that their windows end.
const FORGERS: u64 = 4;

pub(super) async fn play(stage: &Stage, start: &Start) -> Option<()> {
    if start.plan.n.is_multiple_of(FORGERS) { forge(stage, start).await } else { guess(stage, start).await }
}

/// Ten ids in a row that cannot exist.
async fn forge(stage: &Stage, start: &Start) -> Option<()> {
    let profile = &stage.shared.profile;
    let peers = profile.knobs(start.plan.role).peers;
    // Above the guessers' own addresses, or the one would use up the other's windows.
    let forger = peers + usize::try_from(start.plan.n / FORGERS).ok()? % (peers / 100).max(1);
    let caller = stage.regular(start.plan.role, forger)?;
    for nth in 0..10 {
        let id = forged_id(stage, start.plan.n * 10 + nth);
        let question = &Question::check(As::Page, &id, NOBODY, "123456");
        let asked = Asked { step: Step::ForgedId, from: clock::now(), question, expect: Expect::Gone };
        stage.ask_and_see(&caller, asked).await;
    }
    Some(())
}

async fn guess(stage: &Stage, start: &Start) -> Option<()> {
    let (profile, plan) = (&stage.shared.profile, &start.plan);
    let knobs = profile.knobs(plan.role);
    let caller = stage.caller(plan)?;
    let victim = profile.choice("victims", plan.n).next() % knobs.inboxes as u64;
    let inbox = format!("guessed{}x{victim}", profile.seed);
    let recipient = format!("{inbox}+{}@gmail.com", plan.n);
    let question = &Question::issue(As::Page, &recipient, PURPOSE);
    let origin = Some(ORIGIN);
    let expect = Expect::Issued { recipient: &recipient, purpose: PURPOSE, inbox: Some(&inbox), origin };
    let asked = Asked { step: Step::Issue, from: start.intended, question, expect };
    let (verdict, seen) = stage.ask_and_see(&caller, asked).await;
    let Seen::Answer(answer) = seen else { return None };
    if verdict != Verdict::Right {
        // The inbox's budget is used up: that is where guessing ends.
        return matches!(verdict, Verdict::Refused(_)).then_some(());
    }
    let issued = answer.json();
    let (id, code) = (text(&issued, "id")?, stage.code(plan.role, &recipient, &issued).await?);
    let right = Guess { key: As::Page, id, recipient: &recipient, code: &code };
    let heard = all_at_once(stage, &caller, &right, &inbox, knobs.burst).await;
    let verdict = group(&heard, stage.shared.world.rules().attempts);
    stage.count(plan.role, Step::Guess, None, &verdict, "");
    if heard.contains(&Heard::Compared(0)) {
        too_late(stage, &caller, &right).await?;
    }
    (verdict == Verdict::Right).then_some(())
}

/// What became of one guess.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Heard {
    /// It was compared, and so many tries remain.
    Compared(u64),
    TooLate,
    NotNow,
    Wrong,
}

async fn all_at_once(
    stage: &Stage,
    caller: &Caller,
    right: &Guess<'_>,
    inbox: &str,
    burst: usize,
) -> Vec<Heard> {
    let asks = (0..burst as u64).map(|nth| async move {
        let question = &Guess { code: &other_code(right.code, nth), ..*right }.question();
        let expect = Expect::Guess { id: right.id, inbox };
        let asked = Asked { step: Step::Guess, from: clock::now(), question, expect };
        heard(stage.ask_and_see(caller, asked).await)
    });
    join_all(asks).await
}

fn heard((verdict, seen): (Verdict, Seen)) -> Heard {
    match (verdict, seen) {
        (Verdict::Wrong(_), _) => Heard::Wrong,
        (Verdict::Right, Seen::Answer(answer)) if answer.status == 200 => {
            let left = answer.json().get("attempts_remaining").and_then(Value::as_u64);
            left.map_or(Heard::Wrong, Heard::Compared)
        }
        (Verdict::Right, _) => Heard::TooLate,
        (Verdict::Refused(_), _) => Heard::NotNow,
    }
}

/// Whether all answers together are possible: each try was given away once, and as many as there were.
fn group(heard: &[Heard], attempts: u64) -> Verdict {
    let left = |guess: &Heard| match guess {
        Heard::Compared(left) => Some(*left),
        _ => None,
    };
    let compared: Vec<_> = heard.iter().filter_map(left).collect();
    let distinct: BTreeSet<_> = compared.iter().copied().collect();
    let number = compared.len() as u64;
    let (most, all_heard) = (attempts.min(heard.len() as u64), !heard.contains(&Heard::NotNow));
    let mut findings = Vec::new();
    if number > attempts {
        findings.push(format!("{number} guesses compared of {attempts} allowed"));
    }
    if distinct.len() != compared.len() {
        findings.push("one try given away twice".to_owned());
    }
    if all_heard && (number < most || distinct != (attempts - most..attempts).collect()) {
        findings.push("tries lost".to_owned());
    }
    if findings.is_empty() { Verdict::Right } else { Verdict::Wrong(findings) }
}

#[cfg(test)]
mod tests {
    use super::Heard::{Compared, NotNow, TooLate};
    use super::*;

    #[test]
    fn of_many_guesses_at_once_each_try_is_used_once() {
        let five = [Compared(2), Compared(4), TooLate, Compared(3), Compared(0), Compared(1), TooLate];
        assert_eq!(group(&five, 5), Verdict::Right);
        assert_eq!(group(&[Compared(4), Compared(3)], 5), Verdict::Right, "fewer guesses than tries");
        assert_eq!(group(&[Compared(4), NotNow, NotNow], 5), Verdict::Right, "refused unseen");
        let wrong = |heard: &[Heard]| matches!(group(heard, 2), Verdict::Wrong(_));
        assert!(wrong(&[Compared(1), Compared(1)]), "one try for two");
        assert!(wrong(&[Compared(1), Compared(0), Compared(0)]), "three for two");
        assert!(wrong(&[Compared(1), TooLate]), "one that nobody got");
    }
}
