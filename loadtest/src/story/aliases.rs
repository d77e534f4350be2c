//! One inbox in another spelling; or a spelling that is none.
use super::PURPOSE;
use crate::metronome::Start;
use crate::oracle::Expect;
use crate::stage::{Asked, Stage};
use crate::tally::Step;
use crate::wire::{As, ORIGIN, Question};

/// Spellings of one inbox, from section 5 of the contract. `{}` is the account, `#` differs with every use.
const FAMILIES: [&[&str]; 13] = [
    &[
        "{}@gmail.com",
        "{}+#@gmail.com",
        "{}@googlemail.com",
        "a.{}@gmail.com",
        "A.{}+#@GoogleMail.com",
        "ａ{}@gmail.com",
    ],
    &["{}@outlook.com", "{}+#@outlook.com", "{}+#+x@Outlook.com"],
    &["{}@icloud.com", "{}@me.com", "{}@mac.com", "{}+#@icloud.com"],
    &["{}@fastmail.com", "{}+#@fastmail.com", "t#@{}.fastmail.com"],
    &["{}@mailbox.org", "{}+#@secure.mailbox.org", "{}@tls.mailbox.org"],
    &["t#@{}.anonaddy.com", "t#@{}.anonaddy.me", "t#@x#.{}.anonaddy.com"],
    &["t#@{}.mozmail.com", "t#+#@{}.mozmail.com"],
    &[
        "{}@proton.me",
        "{}@protonmail.com",
        "{}@pm.me",
        "a-{}@proton.me",
        "a_{}+#@pm.me",
        "a.{}@protonmail.com",
    ],
    &["{}@yandex.ru", "{}@yandex.com", "{}@ya.ru", "{}+#@yandex.by"],
    &["{}-a#@yahoo.com", "{}-b#@yahoo.com", "{}-#@Yahoo.com"],
    &["{}@mail.ru", "{}+#@mail.ru"],
    &[
        "{}@bücher.example",
        "{}@xn--bcher-kva.example",
        "{}+#@BÜCHER.example",
        "{}@XN--BCHER-KVA.example",
        "{}@bücher。example",
    ],
    &["{}@example.com", "{}+#@example.com", "{}+a+#@Example.COM", "{}+#@EXAMPLE.com"],
];

/// What is no address, or none that the contract takes.
const INVALID: [&str; 30] = [
    "\"{}+a\"@example.com",
    "\"{}\"@example.com",
    "{}(c)@example.com",
    "{}@[127.0.0.1]",
    "{}@[IPv6:::1]",
    "{}@localhost",
    "{}@example",
    "{}@example.com.",
    "{}@example..com",
    "{}@.example.com",
    ".{}@example.com",
    "{}.@example.com",
    "{}..x@example.com",
    "{}%evil.com@example.com",
    "evil!{}@example.com",
    "@r1,@r2:{}@example.com",
    "=?utf-8?q?{}?=@example.com",
    "{}@b@example.com",
    "<{}@example.com>",
    "Ada <{}@example.com>",
    "{}@example.com,b@example.com",
    "{}@example.com;b@example.com",
    "{}\u{200b}@example.com",
    "{}\u{202e}@example.com",
    "{}@exam\u{200b}ple.invalid",
    "{}@host.invalid",
    "{}@host.local",
    "{}@1.0.0.127.in-addr.arpa",
    "{}\u{7}@example.com",
    "{}@xn--example-.org",
];

/// Throw-away hosts, and below them.
const DISPOSABLE: [&str; 4] =
    ["{}@mailinator.com", "{}@MAILINATOR.com", "{}@inbox.mailinator.com", "{}@a.b.mailinator.com"];

pub(super) async fn play(stage: &Stage, start: &Start) -> Option<()> {
    let (profile, plan) = (&stage.shared.profile, &start.plan);
    let caller = stage.caller(plan)?;
    let mut draw = profile.choice("spellings", plan.n);
    let account = draw.next() % profile.knobs(plan.role).inboxes as u64;
    let kind = draw.next() % 10;
    let pick = |from: &[&'static str], draw: u64| from[usize::try_from(draw).unwrap_or(0) % from.len()];
    // "a" first, so that a dot, dash or width after or in it makes another spelling of the same.
    let family = FAMILIES[usize::try_from(account).unwrap_or(0) % FAMILIES.len()];
    let (pattern, denied) = match kind {
        0 | 1 => (pick(&INVALID, draw.next()), Some("invalid-recipient")),
        2 => (pick(&DISPOSABLE, draw.next()), Some("disposable-domain")),
        _ => (pick(family, draw.next()), None),
    };
    let inbox = format!("adalovelace{}x{account}", profile.seed);
    let recipient = spell(pattern, &inbox, plan.n);
    let question = &Question::issue(As::Page, &recipient, PURPOSE);
    let (step, expect) = match denied {
        Some(code) => (Step::Forbidden, Expect::Denied { status: 422, code }),
        None => {
            let (inbox, origin) = (Some(inbox.as_str()), Some(ORIGIN));
            (Step::Issue, Expect::Issued { recipient: &recipient, purpose: PURPOSE, inbox, origin })
        }
    };
    stage.ask_and_see(&caller, Asked { step, from: start.intended, question, expect }).await;
    Some(())
}

/// `{}` after an `a` or its full-width twin stands for the rest of the account.
fn spell(pattern: &str, inbox: &str, n: u64) -> String {
    let has_first = ["a.{}", "A.{}", "a-{}", "a_{}", "ａ{}"].iter().any(|first| pattern.contains(first));
    let rest = if has_first { inbox.get(1..).unwrap_or_default() } else { inbox };
    pattern.replace("{}", rest).replace('#', &n.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_spells_the_whole_account() {
        assert_eq!(spell("a.{}@gmail.com", "ada1", 7), "a.da1@gmail.com");
        assert_eq!(spell("ａ{}@gmail.com", "ada1", 7), "ａda1@gmail.com");
        assert_eq!(spell("t#@{}.fastmail.com", "ada1", 7), "t7@ada1.fastmail.com");
        assert!(FAMILIES.iter().flat_map(|family| family.iter()).all(|pattern| pattern.contains("{}")));
    }
}
