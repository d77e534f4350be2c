//! One mail to somebody who did not ask, under one of forty spellings, by either key.
use super::PURPOSE;
use crate::metronome::Start;
use crate::oracle::Expect;
use crate::stage::{Asked, Stage};
use crate::tally::Step;
use crate::wire::{As, ORIGIN, Question};

pub(super) async fn play(stage: &Stage, start: &Start) -> Option<()> {
    let (profile, plan) = (&stage.shared.profile, &start.plan);
    let knobs = profile.knobs(plan.role);
    let caller = stage.caller(plan)?;
    let mut draw = profile.choice("bombs", plan.n);
    let victim = draw.next() % knobs.inboxes as u64;
    let inbox = format!("victim{}x{victim}", profile.seed);
    let recipient = spelling(&inbox, draw.next() % 40);
    let key = if draw.next().is_multiple_of(4) { As::Backend } else { As::Page };
    let origin = (key == As::Page).then_some(ORIGIN);
    let question = &Question::issue(key, &recipient, PURPOSE);
    let expect = Expect::Issued { recipient: &recipient, purpose: PURPOSE, inbox: Some(&inbox), origin };
    // Refused or accepted: the bomber is done with it either way.
    stage.ask_and_see(&caller, Asked { step: Step::Issue, from: start.intended, question, expect }).await;
    Some(())
}

/// Gmail's: dots, tags, case and the second domain are all the same inbox.
fn spelling(inbox: &str, nth: u64) -> String {
    let domain = if nth.is_multiple_of(2) { "gmail.com" } else { "GoogleMail.com" };
    let local = match nth % 5 {
        0 => inbox.to_owned(),
        1 => inbox.to_ascii_uppercase(),
        2 => inbox.replacen("ict", "i.c.t", 1),
        3 => format!("{inbox}+{nth}"),
        _ => format!("{}+news+{nth}", inbox.replacen("vi", "v.i.", 1)),
    };
    format!("{local}@{domain}")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::spelling;

    #[test]
    fn an_inbox_has_many_spellings() {
        let all: HashSet<_> = (0..40).map(|nth| spelling("victim1x0", nth)).collect();
        assert!(all.len() >= 20, "{all:?}");
    }
}
