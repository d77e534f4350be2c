//! Places in the windows that count mails beside those of inbox and peer: an API key's, a project's, a domain's.
//!
//! ```text
//!   take ─▶ all shards are asked at once ─┬─ all permit ─▶ Places ─▶ inbox ─┬─ 202: they stay taken
//!                                         └─ one refuses ─▶ 429             └─ refused: give back
//!   a right code ─▶ the windows of unanswered mails give its mail back
//! ```
//!
//! Whether a mail is promised its inbox decides, on another shard: so a place is taken first and given back if
//! need be. Nothing is asked where a limit is off.

use authepy_engine::actor::Answer;
use authepy_engine::clock::Moment;
use authepy_engine::identity::{KeyTag, Mode, Owner};
use authepy_engine::request::{
    Answered, ChargeDomain, ChargeKey, Command, KeyWindow, Outcome, RefundDomain, RefundKey,
};
use authepy_engine::route::{AccountDigest, DomainTag, Route};

use super::operation::{Request, unexpected};
use crate::http::reply::Problem;
use crate::serve::desk::Desk;

/// What a mail is sent for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum MailFor {
    /// A new verification: counts for its key and its project.
    Issue,
    /// A further code.
    Resend,
}

/// A window that was asked.
#[derive(Clone, Copy)]
enum Window {
    Key(ChargeKey),
    Domain(ChargeDomain),
}

/// Places that were taken, each with the moment that names it. Empty, and without memory, where all limits are off.
#[derive(Default)]
pub(super) struct Places(Vec<(Window, Moment)>);

impl Places {
    /// Takes a place in every window that counts this mail.
    pub(super) async fn take(
        desk: &Desk,
        request: &Request<'_>,
        mail: MailFor,
        domain: Option<DomainTag>,
    ) -> Result<Self, Problem> {
        let windows = windows_of(desk, request, mail, domain);
        if windows.is_empty() {
            return Ok(Self::default());
        }
        // Boxed, as few requests come here: its room would be every request's.
        Box::pin(Self::take_in(desk, request, windows)).await
    }

    async fn take_in(desk: &Desk, request: &Request<'_>, windows: Vec<Window>) -> Result<Self, Problem> {
        let asked: Vec<(Window, Answer)> =
            windows.into_iter().map(|window| (window, window.charge(desk))).collect();
        let (mut taken, mut refused) = (Self::default(), None);
        for (window, answer) in asked {
            match answer.await {
                Outcome::Charged(charged) => {
                    if let Window::Key(ChargeKey { window: KeyWindow::Issue, .. }) = window {
                        request.tab.tell_key(charged.quotas);
                    }
                    match charged.refusal {
                        None => taken.0.push((window, charged.at)),
                        Some(refusal) => refused = refused.or(Some(Problem::from(refusal))),
                    }
                }
                other => refused = refused.or(Some(unexpected(other))),
            }
        }
        match refused {
            None => Ok(taken),
            Some(problem) => {
                taken.give_back(desk, request);
                Err(problem)
            }
        }
    }

    /// The mail was not promised: it does not count.
    pub(super) fn give_back(self, desk: &Desk, request: &Request<'_>) {
        for (window, at) in self.0 {
            if let Window::Key(ChargeKey { window: KeyWindow::Issue, .. }) = window {
                request.tab.take_back_key();
            }
            window.refund(desk, at);
        }
    }
}

impl Window {
    fn charge(self, desk: &Desk) -> Answer {
        match self {
            Self::Key(charge) => desk.ask(charge.of.route(), Command::ChargeKey(charge)),
            Self::Domain(charge) => desk.ask(charge.domain.route(), Command::ChargeDomain(charge)),
        }
    }

    fn refund(self, desk: &Desk, at: Moment) {
        let (route, command): (Route, Command) = match self {
            Self::Key(charge) => (charge.of.route(), Command::RefundKey(RefundKey { charge, at })),
            Self::Domain(charge) => {
                (charge.domain.route(), Command::RefundDomain(RefundDomain { charge, at }))
            }
        };
        // Noted, or the shard is gone with the window.
        let _noted = desk.ask(route, command);
    }
}

/// The windows that count this mail. Test keys send none, so those of unanswered mails are not for them.
fn windows_of(desk: &Desk, request: &Request<'_>, mail: MailFor, domain: Option<DomainTag>) -> Vec<Window> {
    let (owner, key, keys) = (request.owner(), request.admitted.key(), desk.start_keys());
    let policy = desk.policy();
    let settings = &policy.settings;
    let is_on = |window| !settings.key(window).is_empty();
    let (is_issue, is_live) = (mail == MailFor::Issue, owner.mode == Mode::Live);
    let mut windows = Vec::new();
    let mut add = |window, of: AccountDigest| windows.push(Window::Key(ChargeKey { window, of }));
    if is_issue && is_on(KeyWindow::Issue) {
        add(KeyWindow::Issue, keys.api_key(&key.digest));
    }
    if is_issue && is_on(KeyWindow::Project) {
        add(KeyWindow::Project, project(desk, owner));
    }
    if is_live && is_on(KeyWindow::Unverified) {
        add(KeyWindow::Unverified, unverified(desk, owner, KeyTag::from(&key.digest)));
    }
    if let Some(domain) = domain.filter(|_| is_live && settings.counts_domains()) {
        windows.push(Window::Domain(ChargeDomain { domain, peer: request.tab.share(desk) }));
    }
    windows
}

/// A right code has come: its mail counts no more as unanswered.
pub(super) fn answered(desk: &Desk, owner: Owner, mail: &Answered) {
    let policy = desk.policy();
    let Answered { at, key, peer, domain } = *mail;
    if !policy.settings.key(KeyWindow::Unverified).is_empty() {
        let charge = ChargeKey { window: KeyWindow::Unverified, of: unverified(desk, owner, key) };
        Window::Key(charge).refund(desk, at);
    }
    if let Some(domain) = domain.filter(|_| policy.settings.counts_domains()) {
        Window::Domain(ChargeDomain { domain, peer }).refund(desk, at);
    }
}

fn project(desk: &Desk, owner: Owner) -> AccountDigest {
    let mode = [u8::from(owner.mode == Mode::Test)];
    desk.start_keys().scoped("project", &[&owner.project.0.to_le_bytes(), &mode])
}

fn unverified(desk: &Desk, owner: Owner, key: KeyTag) -> AccountDigest {
    desk.start_keys().scoped("unverified", &[&owner.project.0.to_le_bytes(), &key.0.to_le_bytes()])
}
