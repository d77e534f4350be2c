//! A request that never ends, or a connection without one.
use std::time::Duration;

use super::PURPOSE;
use crate::metronome::Start;
use crate::oracle::Verdict;
use crate::phone::Silence;
use crate::stage::Stage;
use crate::tally::Step;
use crate::wire::{As, Question};

/// Between two drips.
const PAUSE: Duration = Duration::from_millis(200);
/// How late the end may come on a busy machine.
const SLACK: Duration = Duration::from_secs(5);

pub(super) async fn play(stage: &Stage, start: &Start) -> Option<()> {
    let (profile, plan) = (&stage.shared.profile, &start.plan);
    let caller = stage.newcomer(plan.role, profile.peer(plan.role, plan.n))?;
    let target = &stage.shared.target;
    let patience = stage.shared.world.rules().deadline + SLACK;
    // As long as its head says, if it ever came.
    let question = Question::issue(As::Page, &profile.recipient(plan.role, plan.n), PURPOSE);
    let stalled = match plan.n % 3 {
        0 => caller.phone.stall(target, &question, (None, PAUSE), patience).await,
        1 => caller.phone.stall(target, &question, (Some(b" "), PAUSE), patience).await,
        _ => match caller.phone.connect(target).await {
            Ok(()) => {
                tokio::time::sleep(patience - SLACK).await;
                Ok(None)
            }
            Err(silence) => Err(silence),
        },
    };
    caller.phone.hang_up().await;
    let verdict = match stalled {
        Ok(None) => Verdict::Right,
        Ok(Some(status @ 400..500)) => Verdict::Refused(status.to_string()),
        Ok(Some(status)) => Verdict::Wrong(vec![format!("status {status} for a request without an end")]),
        Err(Silence::TooLate) => Verdict::Wrong(vec!["held past connections.deadline".into()]),
        Err(silence) => Verdict::Wrong(vec![silence.to_string()]),
    };
    let from = Some(start.intended);
    stage.count(plan.role, Step::Stall, from, &verdict, "");
    (!matches!(verdict, Verdict::Wrong(_))).then_some(())
}
