//! Places in the windows that count mails besides those of inbox and peer: of an API key, a
//! project, a domain.
//!
//! ```text
//!   take ─▶ all shards are asked at once ─┬─ all permit ─▶ Places ─▶ inbox ─┬─ 202: they stay taken
//!                                         └─ one refuses ─▶ 429             └─ refused: give back
//!   a right code ─▶ its mail's place in the windows of unanswered mails is given back
//! ```
//!
//! The inbox, on another shard, decides whether a mail is sent. So a place is taken first and given
//! back if the inbox refuses. No shard is asked where a limit is off.

use authepy_engine::actor::Answer;
use authepy_engine::clock::Moment;
use authepy_engine::identity::{KeyTag, Mode, Owner};
use authepy_engine::request::{
    Answered, ChargeDomain, ChargeKey, Command, KeyWindow, Outcome, RefundDomain, RefundKey,
};
use authepy_engine::route::{AccountDigest, DomainTag, Route};

use super::operation::{Request, unexpected};
use crate::http::reply::Problem;
use crate::serve::lane_context::LaneContext;

/// The reason for a mail.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum MailFor {
    /// A new verification: counts for its key and its project.
    Issue,
    /// A further code.
    Resend,
}

/// A window to take a place in.
#[derive(Clone, Copy)]
enum Window {
    Key(ChargeKey),
    Domain(ChargeDomain),
}

/// Places that were taken, each with the moment that identifies it. Empty, without an allocation,
/// where all limits are off.
#[derive(Default)]
pub(super) struct Places(Vec<(Window, Moment)>);

impl Places {
    /// Takes a place in every window that counts this mail.
    pub(super) async fn take(
        context: &LaneContext,
        request: &Request<'_>,
        mail: MailFor,
        domain: Option<DomainTag>,
    ) -> Result<Self, Problem> {
        let windows = windows_of(context, request, mail, domain);
        if windows.is_empty() {
            return Ok(Self::default());
        }
        // Rare paths are boxed so that they don't enlarge every request's future.
        Box::pin(Self::take_in(context, request, windows)).await
    }

    async fn take_in(
        context: &LaneContext,
        request: &Request<'_>,
        windows: Vec<Window>,
    ) -> Result<Self, Problem> {
        let asked: Vec<(Window, Answer)> =
            windows.into_iter().map(|window| (window, window.charge(context))).collect();
        let (mut taken, mut refused) = (Self::default(), None);
        for (window, answer) in asked {
            match answer.await {
                Outcome::Charged(charged) => {
                    if let Window::Key(ChargeKey { window: KeyWindow::Issue, .. }) = window {
                        request.account.tell_key(charged.quotas);
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
                taken.give_back(context, request);
                Err(problem)
            }
        }
    }

    /// Gives the places back: the mail will not be sent.
    pub(super) fn give_back(self, context: &LaneContext, request: &Request<'_>) {
        for (window, at) in self.0 {
            if let Window::Key(ChargeKey { window: KeyWindow::Issue, .. }) = window {
                request.account.take_back_key();
            }
            window.refund(context, at);
        }
    }
}

impl Window {
    fn charge(self, context: &LaneContext) -> Answer {
        match self {
            Self::Key(charge) => context.ask(charge.of.route(), Command::ChargeKey(charge)),
            Self::Domain(charge) => context.ask(charge.domain.route(), Command::ChargeDomain(charge)),
        }
    }

    fn refund(self, context: &LaneContext, at: Moment) {
        let (route, command): (Route, Command) = match self {
            Self::Key(charge) => (charge.of.route(), Command::RefundKey(RefundKey { charge, at })),
            Self::Domain(charge) => {
                (charge.domain.route(), Command::RefundDomain(RefundDomain { charge, at }))
            }
        };
        // Not awaited: if the shard is gone, so is the window.
        let _noted = context.ask(route, command);
    }
}

/// The windows that count this mail. Test keys send none, so windows of unanswered mails don't
/// apply to them.
fn windows_of(
    context: &LaneContext,
    request: &Request<'_>,
    mail: MailFor,
    domain: Option<DomainTag>,
) -> Vec<Window> {
    let (owner, key, keys) = (request.owner(), request.admitted.key(), context.start_keys());
    let policy = context.policy();
    let settings = &policy.settings;
    let is_on = |window| !settings.key(window).is_empty();
    let (is_issue, is_live) = (mail == MailFor::Issue, owner.mode == Mode::Live);
    let mut windows = Vec::new();
    let mut add = |window, of: AccountDigest| windows.push(Window::Key(ChargeKey { window, of }));
    if is_issue && is_on(KeyWindow::Issue) {
        add(KeyWindow::Issue, keys.api_key(&key.digest));
    }
    if is_issue && is_on(KeyWindow::Project) {
        add(KeyWindow::Project, project(context, owner));
    }
    if is_live && is_on(KeyWindow::Unverified) {
        add(KeyWindow::Unverified, unverified(context, owner, KeyTag::from(&key.digest)));
    }
    if let Some(domain) = domain.filter(|_| is_live && settings.counts_domains()) {
        windows.push(Window::Domain(ChargeDomain { domain, peer: request.account.share(context) }));
    }
    windows
}

/// A right code was checked: gives back the place that its mail took as unanswered.
pub(super) fn answered(context: &LaneContext, owner: Owner, mail: &Answered) {
    let policy = context.policy();
    let Answered { at, key, peer, domain } = *mail;
    if !policy.settings.key(KeyWindow::Unverified).is_empty() {
        let charge = ChargeKey { window: KeyWindow::Unverified, of: unverified(context, owner, key) };
        Window::Key(charge).refund(context, at);
    }
    if let Some(domain) = domain.filter(|_| policy.settings.counts_domains()) {
        Window::Domain(ChargeDomain { domain, peer }).refund(context, at);
    }
}

fn project(context: &LaneContext, owner: Owner) -> AccountDigest {
    let mode = [u8::from(owner.mode == Mode::Test)];
    context.start_keys().scoped("project", &[&owner.project.0.to_le_bytes(), &mode])
}

fn unverified(context: &LaneContext, owner: Owner, key: KeyTag) -> AccountDigest {
    context.start_keys().scoped("unverified", &[&owner.project.0.to_le_bytes(), &key.0.to_le_bytes()])
}
