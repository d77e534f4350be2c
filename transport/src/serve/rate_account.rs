//! What one request costs its peer.
//!
//! ```text
//!   restricted key, wrong key, no key ─▶ its peer
//!   secret key                        ─▶ the `client.ip` its body names, as a claim of its project; else nobody
//!
//!   charge(issue | check | any) ── full ──▶ 429, 403     at the limits step, whatever becomes of it later
//!   settle(reply) ── a denial ─▶ charge(denied) ── full ──▶ 429, 403 instead of the answer
//! ```
//!
//! What a foreign page made a browser send is counted in a window of its own instead of either, and strikes
//! nobody; nor does a denial of a key that has ended.
//!
//! Nothing is asked of a peer's shard where the limit is off. What it is asked is not counted as a message
//! to an inbox.

use std::cell::Cell;
use std::net::IpAddr;

use authepy_engine::identity::{Mode, Owner};
use authepy_engine::limits::OVERLOADED_RETRY_AFTER;
use authepy_engine::peer::Peer;
use authepy_engine::perimeter::Admitted;
use authepy_engine::request::{Activity, Charge, Charged, Command, Outcome, Paid, Quotas, Refusal, Source};
use authepy_engine::route::{PeerDigest, PeerShare, Route};

use super::operation::unexpected;
use crate::http::reply::{Problem, Rates, Reply};
use crate::serve::lane_context::LaneContext;

/// A page's request that nobody answers for. There is none: the address that sent it does.
const UNPAID: Problem = Problem::Refused(Refusal::NotReady { retry_after: OVERLOADED_RETRY_AFTER });

/// The account of one request, or of one item of a batch. Owned by whoever serves it.
#[derive(Default)]
pub(super) struct RateAccount {
    /// Who answers for it.
    peer: Cell<Option<Peer>>,
    /// Who says so.
    source: Cell<Source>,
    /// Whether a foreign page had it sent.
    is_foreign: Cell<bool>,
    /// Whether a breach of the peer's windows strikes nobody.
    is_excused: Cell<bool>,
    /// What its windows were like when they were last looked at.
    rates: Cell<Rates>,
}

impl RateAccount {
    /// From now on this address, which sent the request, answers for it.
    pub(super) fn charge_to(&self, address: IpAddr) {
        self.peer.set(Some(Peer::from(address)));
        self.source.set(Source::Proved);
    }

    /// From now on this address answers for the request to `owner`, whose secret key says that it asked.
    pub(super) fn claim(&self, owner: Owner, address: IpAddr) {
        self.peer.set(Some(Peer::from(address)));
        self.source.set(Source::Claimed(owner));
    }

    /// A foreign page had the peer's browser send it.
    pub(super) fn foreign_page(&self) {
        self.is_foreign.set(true);
    }

    /// It was a page that some key lists.
    pub(super) fn own_page(&self) {
        self.is_foreign.set(false);
    }

    /// A breach is no fault of the peer's.
    pub(super) fn excuse(&self) {
        self.is_excused.set(true);
    }

    /// From now on nobody does.
    pub(super) fn release(&self) {
        self.peer.set(None);
    }

    /// Whether it is this address that answers for the request, by what it sent itself.
    pub(super) fn is_of(&self, address: IpAddr) -> bool {
        self.source.get() == Source::Proved && self.peer.get().is_some_and(|peer| peer == Peer::from(address))
    }

    /// Whose share of a domain's budget the request uses.
    pub(super) fn share(&self, context: &LaneContext) -> Option<PeerShare> {
        self.peer.get().map(|peer| self.source.get().share(context.start_keys(), &peer))
    }

    /// Who answers for the request, by a digest; `None` if nobody does.
    pub(super) fn asker(&self, context: &LaneContext) -> Option<PeerDigest> {
        self.peer.get().map(|peer| context.start_keys().peer_digest(&peer))
    }

    pub(super) fn rates(&self) -> Rates {
        self.rates.get()
    }

    /// Counts what an admitted request asks for, and proves it to the command that asks for it.
    pub(super) async fn pay(
        &self,
        context: &LaneContext,
        admitted: &Admitted,
        activity: Activity,
    ) -> Result<Paid, Problem> {
        match self.charge(context, activity, admitted.key().mode).await? {
            Some(paid) => Ok(paid),
            None => Paid::by_nobody(admitted, activity).ok_or(UNPAID),
        }
    }

    /// Counts what the request asks for in its peer's windows. `None` if nobody answers for it.
    pub(super) async fn charge(
        &self,
        context: &LaneContext,
        activity: Activity,
        mode: Mode,
    ) -> Result<Option<Paid>, Problem> {
        let Some(charge) = self.charge_of(activity, mode) else { return Ok(None) };
        if let Some(paid) = Paid::uncounted(&charge, &context.policy().settings) {
            return Ok(Some(paid));
        }
        let route = context.start_keys().peer_route(&charge.peer);
        let charged = ask(context, route, Command::Charge(charge)).await?;
        let mut rates = self.rates.get();
        match activity {
            Activity::Denied => rates.denied = charged.quotas,
            Activity::Issue | Activity::Check => rates.peer = charged.quotas,
            Activity::Handshake | Activity::Any | Activity::Foreign => {}
        }
        self.rates.set(rates);
        Ok(Some(Paid::of(&charge, &charged)?))
    }

    /// Counts a visit of an open page.
    pub(super) async fn charge_visit(&self, context: &LaneContext) -> Result<(), Problem> {
        let activity = if self.is_foreign.get() { Activity::Foreign } else { Activity::Any };
        self.charge(context, activity, Mode::Live).await.map(drop)
    }

    /// Counts a denial where nobody can wait for what its window says.
    pub(super) fn note_denial(&self, context: &LaneContext) {
        let charge = self.charge_of(Activity::Denied, Mode::Live);
        if let Some(charge) = charge.filter(|charge| charge.is_counted(&context.policy().settings)) {
            let _unheard =
                context.ask(context.start_keys().peer_route(&charge.peer), Command::Charge(charge));
        }
    }

    /// What is charged to whom; `None` if nobody answers for the request.
    fn charge_of(&self, activity: Activity, mode: Mode) -> Option<Charge> {
        let strikes = !self.is_excused.get() && !self.is_foreign.get();
        Some(Charge { peer: self.peer.get()?, source: self.source.get(), activity, mode, strikes })
    }

    /// What the key's window was like after this request.
    pub(super) fn tell_key(&self, quotas: Quotas) {
        self.rates.set(Rates { key: quotas, ..self.rates.get() });
    }

    /// The key's window has been given its place back.
    pub(super) fn take_back_key(&self) {
        let rates = self.rates.get();
        self.rates.set(Rates { key: rates.key.given_back(), ..rates });
    }

    /// What is answered in the end: a denial counts, and the window of denials may have the last word.
    pub(super) async fn settle(&self, context: &LaneContext, reply: Reply) -> Reply {
        let Some(problem) = reply.problem else { return reply };
        let settled = Box::pin(self.settle_problem(context, problem)).await;
        if settled == problem { reply } else { reply.refused_by(settled) }
    }

    /// See [`Self::settle`].
    pub(super) async fn settle_problem(&self, context: &LaneContext, problem: Problem) -> Problem {
        if !problem.is_denial() {
            return problem;
        }
        let activity = if self.is_foreign.get() { Activity::Foreign } else { Activity::Denied };
        match self.charge(context, activity, Mode::Live).await {
            Err(refused) if refused.is_of_peer() => refused,
            // Where it can't be counted, the first refusal stands.
            _ => problem,
        }
    }
}

async fn ask(context: &LaneContext, route: Route, command: Command) -> Result<Charged, Problem> {
    match context.ask(route, command).await {
        Outcome::Charged(charged) => Ok(charged),
        other => Err(unexpected(other)),
    }
}
