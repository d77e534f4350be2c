//! One address of many: every window used up until its ban, and then a knock.
//!
//! ```text
//!   issues ─▶ 429 ─▶ forged ids ─▶ 404 … 429 (denied) … 429 (check) ─▶ still answered? wait for the windows,
//!     ▲                                                                  again ──┐
//!     └──────────────────────────────────────────────────────────────────────────┘   silence ─▶ knock: silence
//! ```
use std::time::Duration;

use tokio::time::sleep;

use super::{NOBODY, PURPOSE, forged_id};
use crate::clock;
use crate::limits::Limit;
use crate::metronome::Start;
use crate::oracle::{Expect, Verdict};
use crate::stage::{Asked, Caller, Stage};
use crate::tally::Step;
use crate::wire::{As, ORIGIN, Question, Seen};

/// Past a full window: enough to be refused twice, so that its latch is met, too.
const PAST: u64 = 2;
/// How long a knock waits for an answer that must not come.
const KNOCK: Duration = Duration::from_secs(2);
/// Past the end of a window, whose moment is known to a request's time only.
const MARGIN: Duration = Duration::from_secs(1);

pub(super) async fn play(stage: &Stage, start: &Start) -> Option<()> {
    let caller = stage.caller(&start.plan)?;
    let rules = stage.shared.world.rules();
    let end = Duration::from_secs_f64(stage.shared.profile.seconds);
    let shortest = |limits: &[Limit]| limits.iter().map(|limit| limit.window).min().unwrap_or(end);
    let reopen =
        shortest(&rules.peer_issue).max(shortest(&rules.peer_check)).max(shortest(&rules.peer_denied));
    for round in 0.. {
        if use_up(stage, &caller, start, round).await == Ended::Silence {
            return knock(stage, &caller).await;
        }
        if stage.shared.live.elapsed() + reopen > end {
            break;
        }
        sleep(reopen + MARGIN).await;
    }
    Some(())
}

#[derive(PartialEq)]
enum Ended {
    Answered,
    Silence,
}

/// Every window once, one request after the other.
async fn use_up(stage: &Stage, caller: &Caller, start: &Start, round: u64) -> Ended {
    let rules = stage.shared.world.rules();
    let least = |limits: &[Limit]| limits.iter().map(|limit| limit.count).min().unwrap_or(0);
    let number = |nth: u64| (start.plan.n * 1_000 + round) * 1_000 + nth;
    for nth in 0..least(&rules.peer_issue) + PAST {
        let recipient = stage.shared.profile.recipient(caller.role, number(nth));
        let question = &Question::issue(As::Page, &recipient, PURPOSE);
        let origin = Some(ORIGIN);
        let expect = Expect::Issued { recipient: &recipient, purpose: PURPOSE, inbox: None, origin };
        let asked = Asked { step: Step::Issue, from: clock::now(), question, expect };
        if is_silence(&stage.ask_and_see(caller, asked).await) {
            return Ended::Silence;
        }
    }
    for nth in 0..least(&rules.peer_check).max(least(&rules.peer_denied)) + PAST {
        let question = &Question::check(As::Page, &forged_id(stage, number(nth)), NOBODY, "123456");
        let asked = Asked { step: Step::ForgedId, from: clock::now(), question, expect: Expect::Gone };
        if is_silence(&stage.ask_and_see(caller, asked).await) {
            return Ended::Silence;
        }
    }
    Ended::Answered
}

fn is_silence((_, seen): &(Verdict, Seen)) -> bool {
    matches!(seen, Seen::Nothing(_))
}

/// Who is banned is not answered on a new connection, either.
async fn knock(stage: &Stage, caller: &Caller) -> Option<()> {
    let verdict = match caller.phone.is_answered(&stage.shared.target, KNOCK).await {
        true => Verdict::Wrong(vec!["a banned peer got a new connection".into()]),
        false => Verdict::Refused("no answer (banned)".into()),
    };
    stage.count(caller.role, Step::Knock, None, &verdict, "");
    matches!(verdict, Verdict::Refused(_)).then_some(())
}
