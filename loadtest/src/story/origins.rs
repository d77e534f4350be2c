//! A foreign page with a stolen restricted key.
use http::HeaderValue;

use super::PURPOSE;
use crate::metronome::Start;
use crate::oracle::Expect;
use crate::stage::{Asked, Stage};
use crate::tally::Step;
use crate::wire::{As, Question};

/// Origins that `mybrand.com`, `*.mybrand.com` and `localhost` don't cover; one row, all its headers.
const FOREIGN: [&[&str]; 38] = [
    &[],
    &["null"],
    &[""],
    &["https://evilmybrand.com"],
    &["https://xmybrand.com"],
    &["https://mybrand.com.evil.com"],
    &["https://mybrand.com@evil.com"],
    &["https://evil.com#mybrand.com"],
    &["https://evil.com?mybrand.com"],
    &["https://evil.com/mybrand.com"],
    &["https://evil.com\\mybrand.com"],
    &["https://mybrand.com%00.evil.com"],
    &["https://mybrand.com%2eevil.com"],
    &["https://mybrand.comevil"],
    &["https://mybrand.com_.evil.com"],
    &["https://mybrand.com`.evil.com"],
    &["https://localhost.evil.com"],
    &["https://mybrand.org"],
    &["https://mybrаnd.com"],
    &["https://xn--mybrnd-4nf.com"],
    &["file://mybrand.com"],
    &["ftp://mybrand.com"],
    &["ws://mybrand.com"],
    &["chrome-extension://mybrand.com"],
    &["moz-extension://mybrand.com"],
    &["data:text/html,mybrand.com"],
    &["blob:https://mybrand.com/x"],
    &["javascript:alert(1)//mybrand.com"],
    &["https://127.0.0.1"],
    &["https://2130706433"],
    &["https://0x7f.1"],
    &["https://[::1]"],
    &["https://mybrand.com:99999"],
    &["https://mybrand.com:abc"],
    &["mybrand.com"],
    &["https://"],
    &["https://mybrand.com, https://evil.com"],
    &["https://mybrand.com", "https://mybrand.com"],
];

pub(super) async fn play(stage: &Stage, start: &Start) -> Option<()> {
    let (profile, plan) = (&stage.shared.profile, &start.plan);
    let caller = stage.caller(plan)?;
    let row =
        FOREIGN[usize::try_from(profile.choice("origins", plan.n).next() % FOREIGN.len() as u64).ok()?];
    let origins: Result<Vec<_>, _> =
        row.iter().map(|origin| HeaderValue::from_bytes(origin.as_bytes())).collect();
    let recipient = profile.recipient(plan.role, plan.n);
    let question = Question::issue(As::Page, &recipient, PURPOSE).with_origins(&origins.ok()?);
    // What a page could add to look at home.
    let question = &question.with("referer", HeaderValue::from_static("https://mybrand.com/sign-up"));
    let expect = Expect::Denied { status: 403, code: "origin-not-allowed" };
    let asked = Asked { step: Step::Forbidden, from: start.intended, question, expect };
    stage.ask_and_see(&caller, asked).await;
    Some(())
}
