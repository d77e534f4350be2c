//! The story of one sign-up, and the judge at each of its turns.
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::clock;
use crate::maildir::Maildir;
use crate::metronome::Start;
use crate::oracle::{self, Expect, Verdict};
use crate::phone::Phone;
use crate::profile::Profile;
use crate::tally::{Live, Step, Tally};
use crate::target::Target;
use crate::wire::{Answer, Question};

const PURPOSE: &str = "login";
/// A mail that is not in the outbox by then counts as lost.
const MAIL_PATIENCE: Duration = Duration::from_secs(10);

/// What all sign-ups of a worker share.
pub(crate) struct Stage {
    pub(crate) profile: Profile,
    pub(crate) target: Target,
    pub(crate) mails: Option<Arc<Maildir>>,
    pub(crate) live: Arc<Live>,
    pub(crate) tally: RefCell<Tally>,
}

impl Stage {
    /// Plays one sign-up to its end, whatever that is.
    pub(crate) async fn sign_up(&self, phone: &Phone, start: Start) {
        self.tally.borrow_mut().started += 1;
        self.latency(Step::Lag, start.intended);
        if self.play(phone, &start).await.is_some() {
            self.tally.borrow_mut().completed += 1;
            self.live.completed.fetch_add(1, Relaxed);
        }
        self.live.in_flight.fetch_sub(1, Relaxed);
    }

    /// `None` where an answer was refused or wrong: what would follow proves nothing.
    async fn play(&self, phone: &Phone, start: &Start) -> Option<()> {
        let recipient = self.profile.recipient(start.plan.n);
        let question = Question::issue(&recipient, PURPOSE);
        let expect = Expect::Issued { recipient: &recipient, purpose: PURPOSE };
        let issued = self.ask(phone, Step::Issue, start.intended, &question, &expect).await?.json();
        let id = issued.get("id").and_then(Value::as_str)?;
        let attempts = issued.get("attempts_remaining").and_then(Value::as_u64)?;
        let code = self.code(&recipient, &issued).await?;

        if start.plan.guesses_wrong && attempts > 1 {
            let (question, expect) =
                (Question::check(id, &other_code(&code)), Expect::Incorrect { id, attempts });
            self.ask(phone, Step::WrongCode, clock::now(), &question, &expect).await?;
        }
        let (question, expect) = (Question::check(id, &code), Expect::Approved { id, purpose: PURPOSE });
        self.ask(phone, Step::RightCode, clock::now(), &question, &expect).await?;
        self.latency(Step::SignUp, start.intended);
        if start.plan.replays {
            self.ask(phone, Step::Replay, clock::now(), &question, &Expect::Gone).await?;
        }
        Some(())
    }

    /// Asks, has the answer judged and counted, and hands it on if it was right.
    async fn ask(
        &self,
        phone: &Phone,
        step: Step,
        from: Instant,
        question: &Question,
        expect: &Expect<'_>,
    ) -> Option<Answer> {
        let answer = phone.ask(&self.target, question).await;
        let verdict = match &answer {
            Ok(answer) => oracle::judge(expect, answer),
            Err(silence) => Verdict::Wrong(vec![silence.to_string()]),
        };
        let request_id = answer.as_ref().ok().and_then(|answer| answer.header("x-request-id"));
        self.count(step, from, &verdict, request_id.unwrap_or_default()).then_some(answer.ok()).flatten()
    }

    async fn code(&self, recipient: &str, issued: &Value) -> Option<String> {
        let length = issued.get("code_length").and_then(Value::as_u64)?;
        let Some(mails) = &self.mails else {
            return Some("0".repeat(usize::try_from(length).ok()?));
        };
        let from = clock::now();
        let code = mails.code_for(recipient, MAIL_PATIENCE).await;
        let verdict = match &code {
            None => Verdict::Wrong(vec!["none in 10 s".into()]),
            Some(code) if code.len() as u64 != length => {
                Verdict::Wrong(vec!["code of another length".into()])
            }
            Some(_) => Verdict::Right,
        };
        self.count(Step::Mail, from, &verdict, "").then_some(code).flatten()
    }

    fn count(&self, step: Step, from: Instant, verdict: &Verdict, request_id: &str) -> bool {
        match verdict {
            Verdict::Right => self.latency(step, from),
            Verdict::Refused(_) => drop(self.live.refused.fetch_add(1, Relaxed)),
            Verdict::Wrong(_) => drop(self.live.wrong.fetch_add(1, Relaxed)),
        }
        self.tally.borrow_mut().count(step, verdict, request_id)
    }

    fn latency(&self, step: Step, from: Instant) {
        self.tally.borrow_mut().latency(step, clock::now().saturating_duration_since(from));
    }
}

/// A code of the same length that is not `code`.
fn other_code(code: &str) -> String {
    let (rest, last) = code.split_at(code.len().saturating_sub(1));
    format!("{rest}{}", if last == "9" { "0" } else { "9" })
}

#[cfg(test)]
mod tests {
    use super::other_code;

    #[test]
    fn the_other_code_is_never_the_code() {
        assert_eq!([other_code("000000"), other_code("123459")], ["000009", "123450"]);
    }
}
