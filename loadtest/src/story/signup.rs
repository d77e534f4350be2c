//! One sign-up: issue, mail, (a wrong code,) the right code, (a replay that must be refused).
use http::HeaderValue;
use serde_json::Value;

use super::{Guess, PURPOSE, other_code, right_code, text, too_late};
use crate::clock;
use crate::metronome::Start;
use crate::oracle::Expect;
use crate::stage::{Asked, Stage};
use crate::tally::Step;
use crate::wire::{As, Question};

/// Pages of the brand that `authepy dev` lets in.
const ORIGINS: [&str; 3] = ["https://mybrand.com", "https://app.mybrand.com", "https://a.b.mybrand.com"];

/// `None` where an answer was refused or wrong: what would follow proves nothing.
pub(super) async fn play(stage: &Stage, start: &Start) -> Option<()> {
    let (profile, plan) = (&stage.shared.profile, &start.plan);
    let knobs = profile.knobs(plan.role);
    let caller = stage.caller(plan)?;
    let recipient = profile.recipient(plan.role, plan.n);
    let key = if knobs.backend { As::Backend } else { As::Page };
    let origin = (key == As::Page).then(|| ORIGINS[usize::try_from(plan.n).unwrap_or(0) % ORIGINS.len()]);
    let origins: Vec<_> = origin.into_iter().map(HeaderValue::from_static).collect();

    let question = &Question::issue(key, &recipient, PURPOSE).with_origins(&origins);
    let expect = Expect::Issued { recipient: &recipient, purpose: PURPOSE, inbox: None, origin };
    let asked = Asked { step: Step::Issue, from: start.intended, question, expect };
    let issued = stage.ask(&caller, asked).await?.json();
    let (id, code) = (text(&issued, "id")?, stage.code(plan.role, &recipient, &issued).await?);
    let guess = Guess { key, id, recipient: &recipient, code: &code };
    let attempts = issued.get("attempts_remaining").and_then(Value::as_u64)?;

    if profile.choice("wrong codes", plan.n).unit() < knobs.wrong_share && attempts > 1 {
        let wrong = Guess { code: &other_code(&code, 0), ..guess };
        let question = &wrong.question().with_origins(&origins);
        let expect = Expect::Incorrect { id, attempts };
        let asked = Asked { step: Step::WrongCode, from: clock::now(), question, expect };
        stage.ask(&caller, asked).await?;
    }
    right_code(stage, &caller, &guess).await?;
    stage.latency(plan.role, Step::SignUp, start.intended);
    if profile.choice("replays", plan.n).unit() < knobs.replay_share {
        too_late(stage, &caller, &guess).await?;
    }
    if knobs.fresh {
        caller.phone.hang_up().await;
    }
    Some(())
}
