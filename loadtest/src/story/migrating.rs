//! A phone that changes port between issue and check, and its whole network before the replay.
use super::{Guess, PURPOSE, right_code, text, too_late};
use crate::metronome::Start;
use crate::oracle::{Expect, Verdict};
use crate::stage::{Asked, Caller, Stage};
use crate::tally::Step;
use crate::wire::{As, ORIGIN, Question};

pub(super) async fn play(stage: &Stage, start: &Start) -> Option<()> {
    let (profile, plan) = (&stage.shared.profile, &start.plan);
    let peer = profile.peer(plan.role, plan.n);
    let caller = stage.newcomer(plan.role, peer)?;
    let recipient = profile.recipient(plan.role, plan.n);
    let question = &Question::issue(As::Page, &recipient, PURPOSE);
    let expect =
        Expect::Issued { recipient: &recipient, purpose: PURPOSE, inbox: None, origin: Some(ORIGIN) };
    let asked = Asked { step: Step::Issue, from: start.intended, question, expect };
    let issued = stage.ask(&caller, asked).await?.json();
    let (id, code) = (text(&issued, "id")?, stage.code(plan.role, &recipient, &issued).await?);

    let guess = Guess { key: As::Page, id, recipient: &recipient, code: &code };
    // The same address, another port: what a home router does.
    caller.phone.move_to(profile.source(plan.role, peer)).ok()?;
    right_code(stage, &caller, &guess).await?;
    stage.latency(plan.role, Step::SignUp, start.intended);
    survived(stage, &caller)?;

    // Another address: from the house into the street.
    let street = profile.knobs(plan.role).peers + peer;
    caller.phone.move_to(profile.source(plan.role, street)).ok()?;
    too_late(stage, &caller, &guess).await?;
    survived(stage, &caller)?;
    caller.phone.hang_up().await;
    Some(())
}

/// It is still the first connection.
fn survived(stage: &Stage, caller: &Caller) -> Option<()> {
    let verdict = match caller.phone.opened() {
        1 => Verdict::Right,
        _ => Verdict::Wrong(vec!["the connection did not survive".into()]),
    };
    stage.count(caller.role, Step::Moved, None, &verdict, "").then_some(())
}
