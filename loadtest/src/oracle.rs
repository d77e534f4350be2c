//! What each answer must be, from what was asked and what the contract says. Knows no server code.
use serde_json::{Value, json};

use crate::wire::Answer;

mod answers;
use answers::{approved, guess, incorrect, issued, readable, readable_by};

/// What the caller knows when it asks, and so what the answer must say.
#[derive(Clone, Debug)]
pub(crate) enum Expect<'a> {
    /// A code was asked for. `inbox` names what `recipient` spells, where others write to it too; `origin` is
    /// the page's.
    Issued { recipient: &'a str, purpose: &'a str, inbox: Option<&'a str>, origin: Option<&'a str> },
    /// A wrong code was tried while `attempts` tries were left, more than one.
    Incorrect { id: &'a str, attempts: u64 },
    /// The right code was tried, for the first time. `recipient` is in its plainest spelling.
    Approved { id: &'a str, purpose: &'a str, recipient: &'a str, mode: &'a str },
    /// One of several wrong codes at once: which try it was is for the group to judge.
    Guess { id: &'a str, inbox: &'a str },
    /// The verification is consumed, exhausted, or was never there.
    Gone,
    /// Refused for what was asked or by whom, before any limit is looked at.
    Denied { status: u16, code: &'a str },
}

impl Expect<'_> {
    /// The inbox whose budget or guess ledger the request meets, if others meet it too.
    pub(crate) fn inbox(&self) -> Option<&str> {
        match self {
            Self::Issued { inbox, .. } => *inbox,
            Self::Guess { inbox, .. } => Some(inbox),
            _ => None,
        }
    }
}

/// The oracle's word on one answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    Right,
    /// "Not now", in the form the contract allows; the label says which.
    Refused(String),
    /// Every way in which it differs from the contract, never empty.
    Wrong(Vec<String>),
}

/// Judges one answer.
pub(crate) fn judge(expect: &Expect<'_>, answer: &Answer) -> Verdict {
    let mut findings = Findings(Vec::new());
    let body = answer.json();
    every_answer(&mut findings, answer);
    let refused = matches!(answer.status, 429 | 503);
    if answer.is_ban() {
        // Whether this peer can be banned is for the world to know.
        problem(&mut findings, 403, "banned", answer, &body);
    } else if refused {
        refusal(&mut findings, expect, answer, &body);
    } else {
        match *expect {
            Expect::Issued { recipient, purpose, origin, .. } => {
                issued(&mut findings, recipient, purpose, answer, &body);
                readable_by(&mut findings, origin, answer);
            }
            Expect::Incorrect { id, attempts } => incorrect(&mut findings, id, attempts, answer, &body),
            Expect::Approved { id, purpose, recipient, mode } => {
                approved(&mut findings, id, (purpose, recipient, mode), answer, &body);
            }
            Expect::Guess { id, .. } => guess(&mut findings, id, answer, &body),
            Expect::Gone => problem(&mut findings, 404, "verification-not-found", answer, &body),
            Expect::Denied { status, code } => {
                problem(&mut findings, status, code, answer, &body);
                findings
                    .must(code != "origin-not-allowed" || !readable(answer), "readable by a foreign page");
            }
        }
    }
    match (findings.0.is_empty(), refused) {
        (false, _) => Verdict::Wrong(findings.0),
        (true, _) if answer.is_ban() => Verdict::Refused(label(answer.status, &body)),
        (true, true) => Verdict::Refused(label(answer.status, &body)),
        (true, false) => Verdict::Right,
    }
}

struct Findings(Vec<String>);

impl Findings {
    fn must(&mut self, holds: bool, otherwise: &str) {
        if !holds {
            self.0.push(otherwise.to_owned());
        }
    }

    fn status(&mut self, must: u16, answer: &Answer) {
        self.must(answer.status == must, &format!("status {} for {must}", answer.status));
    }

    fn member(&mut self, body: &Value, name: &str, must: &Value) {
        self.must(body.get(name) == Some(must), &format!("member {name}"));
    }
}

fn every_answer(findings: &mut Findings, answer: &Answer) {
    findings.must(answer.header("cache-control") == Some("no-store"), "header cache-control");
    findings
        .must(answer.header("x-content-type-options") == Some("nosniff"), "header x-content-type-options");
    findings.must(answer.header("x-request-id").is_some_and(|id| !id.is_empty()), "header x-request-id");
    findings.must(answer.header("date").is_some_and(|date| date.ends_with(" GMT")), "header date");
    let kind = if answer.status >= 400 { "application/problem+json" } else { "application/json" };
    let sent = answer.header("content-type").unwrap_or_default();
    findings.must(sent.split(';').next() == Some(kind), "header content-type");
    let quotas = answer.header("ratelimit").unwrap_or_default();
    findings.must(!quotas.contains("recipient"), "an inbox's quota shown");
    let length = answer.header("content-length").is_none_or(|sent| sent == answer.body.len().to_string());
    findings.must(length, "header content-length");
}

fn problem(findings: &mut Findings, status: u16, code: &str, answer: &Answer, body: &Value) {
    findings.status(status, answer);
    findings.member(body, "type", &json!(format!("/problems/{code}")));
    findings.member(body, "code", &json!(code));
    findings.member(body, "status", &json!(status));
    findings.member(body, "request_id", &json!(answer.header("x-request-id")));
    for name in ["title", "detail"] {
        findings.must(!text(body, name).is_empty(), &format!("member {name}"));
    }
}

/// 429 and 503 are right answers whenever they say why and until when.
fn refusal(findings: &mut Findings, expect: &Expect<'_>, answer: &Answer, body: &Value) {
    let issuing = matches!(expect, Expect::Issued { .. });
    let code = text(body, "code");
    let allowed = match (answer.status, code.as_str()) {
        (429, "rate-limited") => match text(body, "policy").as_str() {
            "peer" => true,
            "recipient" | "key" => issuing,
            _ => false,
        },
        (503, "overloaded" | "not-ready") => true,
        (503, "delivery-unavailable") => issuing,
        _ => false,
    };
    findings.must(allowed, &format!("refusal {} out of place", label(answer.status, body)));
    problem(findings, answer.status, &code, answer, body);
    let wait = answer.header("retry-after").and_then(|wait| wait.parse::<u32>().ok());
    findings.must(wait.is_some(), "header retry-after");
}

fn label(status: u16, body: &Value) -> String {
    let short = |name| text(body, name).chars().take(32).collect::<String>();
    format!("{status} {} {}", short("code"), short("policy")).trim_end().to_owned()
}

fn text(body: &Value, name: &str) -> String {
    body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
#[path = "oracle_tests.rs"]
mod tests;
