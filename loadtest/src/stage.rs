//! What all stories of a worker share: phones, the judge, the counts.
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::clock;
use crate::live::Live;
use crate::maildir::Maildir;
use crate::oracle::{self, Expect, Verdict};
use crate::phone::{Phone, Silence, Trust};
use crate::profile::{Plan, Profile};
use crate::scenario::Role;
use crate::tally::{Step, Tally};
use crate::target::Target;
use crate::wire::{Answer, As, Question, Seen};
use crate::world::World;

/// A mail that is not in the outbox by then counts as lost.
const MAIL_PATIENCE: Duration = Duration::from_secs(10);

/// What every worker gets a copy of.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) profile: Arc<Profile>,
    pub(crate) target: Target,
    pub(crate) trust: Arc<Trust>,
    pub(crate) mails: Option<Arc<Maildir>>,
    pub(crate) live: Arc<Live>,
    pub(crate) world: Arc<World>,
}

/// One worker's stage.
pub(crate) struct Stage {
    pub(crate) shared: Shared,
    pub(crate) tally: RefCell<Tally>,
    /// Phones that are kept; at most one for each peer of a role.
    phones: RefCell<HashMap<(Role, usize), Rc<Phone>>>,
}

/// One of a role's peers, about to ask.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) role: Role,
    pub(crate) peer: usize,
    pub(crate) phone: Rc<Phone>,
}

/// What is asked, since when it should have been, and what it is worth.
pub(crate) struct Asked<'a> {
    pub(crate) step: Step,
    pub(crate) from: Instant,
    pub(crate) question: &'a Question,
    pub(crate) expect: Expect<'a>,
}

impl Stage {
    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared, tally: RefCell::default(), phones: RefCell::default() }
    }

    /// The peer that plays this story, with the phone it keeps or a new one.
    pub(crate) fn caller(&self, plan: &Plan) -> Option<Caller> {
        let peer = self.shared.profile.peer(plan.role, plan.n);
        match self.shared.profile.knobs(plan.role).fresh {
            true => self.newcomer(plan.role, peer),
            false => self.regular(plan.role, peer),
        }
    }

    /// A peer with the phone it keeps.
    pub(crate) fn regular(&self, role: Role, peer: usize) -> Option<Caller> {
        if let Some(phone) = self.phones.borrow().get(&(role, peer)) {
            return Some(Caller { role, peer, phone: phone.clone() });
        }
        let caller = self.newcomer(role, peer)?;
        self.phones.borrow_mut().insert((role, peer), caller.phone.clone());
        Some(caller)
    }

    /// A peer with a phone of its own for this story.
    pub(crate) fn newcomer(&self, role: Role, peer: usize) -> Option<Caller> {
        let source = self.shared.profile.source(role, peer);
        let phone = Phone::new(source, &self.shared.trust);
        match phone {
            Ok(phone) => Some(Caller { role, peer, phone: Rc::new(phone) }),
            Err(_) => {
                self.count(role, Step::Connect, None, &Verdict::Wrong(vec!["no socket of ours".into()]), "");
                None
            }
        }
    }

    /// Asks, has the answer judged and counted, and hands it on if it was right.
    pub(crate) async fn ask(&self, caller: &Caller, asked: Asked<'_>) -> Option<Answer> {
        let (verdict, seen) = self.ask_and_see(caller, asked).await;
        match (verdict, seen) {
            (Verdict::Right, Seen::Answer(answer)) => Some(answer),
            _ => None,
        }
    }

    /// The same, and hands on whatever came.
    pub(crate) async fn ask_and_see(&self, caller: &Caller, asked: Asked<'_>) -> (Verdict, Seen) {
        let Asked { step, from, question, expect } = asked;
        let shared = &self.shared;
        let source = shared.profile.source(caller.role, caller.peer);
        let charged = (question.caller == As::Page).then_some(source);
        let lines = shared.world.begin(charged, &expect, clock::now());
        let seen = match caller.phone.ask(&shared.target, question).await {
            Ok(answer) => Seen::Answer(answer),
            Err(silence) => Seen::Nothing(silence),
        };
        let findings = shared.world.end(charged, &expect, &lines, &seen, clock::now());
        let verdict = verdict(&expect, &seen, findings, charged.is_some());
        let request_id = match &seen {
            Seen::Answer(answer) => answer.header("x-request-id").unwrap_or_default(),
            Seen::Nothing(_) => "",
        };
        self.count(caller.role, step, Some(from), &verdict, request_id);
        (verdict, seen)
    }

    /// The code in the mail of an issue that was accepted.
    pub(crate) async fn code(&self, role: Role, recipient: &str, issued: &Value) -> Option<String> {
        let length = issued.get("code_length").and_then(Value::as_u64)?;
        let Some(mails) = &self.shared.mails else {
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
        self.count(role, Step::Mail, Some(from), &verdict, "").then_some(code).flatten()
    }

    /// Counts one verdict, and its latency if it is right.
    pub(crate) fn count(
        &self,
        role: Role,
        step: Step,
        from: Option<Instant>,
        verdict: &Verdict,
        request_id: &str,
    ) -> bool {
        let took = from.map(|from| clock::now().saturating_duration_since(from));
        let live = &self.shared.live;
        let mut tally = self.tally.borrow_mut();
        let part = tally.part(role);
        if let (Verdict::Right, Some(took)) = (verdict, took) {
            part.latency(step, took);
        }
        let right = part.count(step, verdict, request_id);
        let slice = part.series.at(live.slice_now());
        let counters = live.parts.get(&role);
        let (here, there) = match verdict {
            Verdict::Right => (&mut slice.right, counters.map(|all| &all.right)),
            Verdict::Refused(_) => (&mut slice.refused, counters.map(|all| &all.refused)),
            Verdict::Wrong(_) => (&mut slice.wrong, counters.map(|all| &all.wrong)),
        };
        *here += u64::from(step.is_answer());
        there.map(|all| all.fetch_add(1, Relaxed));
        if let (true, true, Some(took)) = (right, step.is_answer(), took) {
            slice.record(took);
            if role.is_honest() {
                live.saw(took);
            }
        }
        right
    }

    /// A wait that is no answer: how late we were, how long the whole took.
    pub(crate) fn latency(&self, role: Role, step: Step, from: Instant) {
        let took = clock::now().saturating_duration_since(from);
        self.tally.borrow_mut().part(role).latency(step, took);
    }

    /// A story begins.
    pub(crate) fn started(&self, role: Role) {
        self.tally.borrow_mut().part(role).started += 1;
    }

    /// A story has ended as it should.
    pub(crate) fn completed(&self, role: Role) {
        let mut tally = self.tally.borrow_mut();
        let part = tally.part(role);
        part.completed += 1;
        part.series.at(self.shared.live.slice_now()).completed += 1;
        if let Some(counters) = self.shared.live.parts.get(&role) {
            counters.completed.fetch_add(1, Relaxed);
        }
    }
}

/// The oracle's word on the answer itself, and the world's on its being one.
fn verdict(expect: &Expect<'_>, seen: &Seen, findings: Vec<String>, charged: bool) -> Verdict {
    let silent = |silence: Silence| match findings.is_empty() && charged {
        true => Verdict::Refused(format!("no answer (banned): {silence}")),
        false => Verdict::Wrong([vec![silence.to_string()], findings.clone()].concat()),
    };
    match seen {
        Seen::Nothing(silence) => silent(*silence),
        Seen::Answer(answer) => match (oracle::judge(expect, answer), findings.is_empty()) {
            (Verdict::Wrong(kinds), _) => Verdict::Wrong([kinds, findings].concat()),
            (_, false) => Verdict::Wrong(findings),
            (right_or_refused, true) => right_or_refused,
        },
    }
}
