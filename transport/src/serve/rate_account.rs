//! What one request costs its peer.
//!
//! ```text
//!   restricted key, wrong key, no key ─▶ its peer
//!   secret key                        ─▶ the `client.ip` in its body, claimed by its project; else no one
//!
//!   charge(issue | check | any) ── window full ──▶ 429, 403     at the limits step
//!   settle(reply) ── a denial ─▶ charge(denied) ── window full ──▶ 429, 403 instead of the answer
//! ```
//!
//! A request that another site's page made a browser send counts in a separate window instead, and
//! causes no strike. Neither does a denial of a key that has been revoked or has expired.
//!
//! If a limit is off, no message is sent to the peer's shard. Messages to it don't count as
//! messages to an inbox.

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

/// A request of a page without a peer to charge. This does not occur: the sending address is
/// charged.
const UNPAID: Problem = Problem::Refused(Refusal::NotReady { retry_after: OVERLOADED_RETRY_AFTER });

/// The rate account of one request, or of one item of a batch.
#[derive(Default)]
pub(super) struct RateAccount {
    /// The peer that is charged; `None`: no one.
    peer: Cell<Option<Peer>>,
    /// Whether that address was observed or claimed by a project.
    source: Cell<Source>,
    /// Whether a page of another site caused it.
    is_foreign: Cell<bool>,
    /// Whether exceeding the windows causes no strike.
    is_excused: Cell<bool>,
    /// The state of its windows when they were last charged.
    rates: Cell<Rates>,
}

impl RateAccount {
    /// Charges the request to this address, which sent it.
    pub(super) fn charge_to(&self, address: IpAddr) {
        self.peer.set(Some(Peer::from(address)));
        self.source.set(Source::Proved);
    }

    /// Charges the request to this address, which a secret key of `owner` names as the requesting
    /// client.
    pub(super) fn claim(&self, owner: Owner, address: IpAddr) {
        self.peer.set(Some(Peer::from(address)));
        self.source.set(Source::Claimed(owner));
    }

    /// A page of another site made the peer's browser send it.
    pub(super) fn foreign_page(&self) {
        self.is_foreign.set(true);
    }

    /// The page is one that some key lists.
    pub(super) fn own_page(&self) {
        self.is_foreign.set(false);
    }

    /// Exceeding a window causes no strike.
    pub(super) fn excuse(&self) {
        self.is_excused.set(true);
    }

    /// Charges the request to no one.
    pub(super) fn release(&self) {
        self.peer.set(None);
    }

    /// Whether the request is charged to this address because it sent the request.
    pub(super) fn is_of(&self, address: IpAddr) -> bool {
        self.source.get() == Source::Proved && self.peer.get().is_some_and(|peer| peer == Peer::from(address))
    }

    /// The peer whose share of a domain's budget the request uses.
    pub(super) fn share(&self, context: &LaneContext) -> Option<PeerShare> {
        self.peer.get().map(|peer| self.source.get().share(context.start_keys(), &peer))
    }

    /// The digest of the peer that is charged; `None` if no one is.
    pub(super) fn asker(&self, context: &LaneContext) -> Option<PeerDigest> {
        self.peer.get().map(|peer| context.start_keys().peer_digest(&peer))
    }

    pub(super) fn rates(&self) -> Rates {
        self.rates.get()
    }

    /// Charges an admitted request. The result proves the charge to the command that needs it.
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

    /// Counts the activity in the peer's windows. `None` if no one is charged.
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

    /// Counts a request of an open page.
    pub(super) async fn charge_visit(&self, context: &LaneContext) -> Result<(), Problem> {
        let activity = if self.is_foreign.get() { Activity::Foreign } else { Activity::Any };
        self.charge(context, activity, Mode::Live).await.map(drop)
    }

    /// Counts a denial without waiting for the verdict of its window.
    pub(super) fn note_denial(&self, context: &LaneContext) {
        let charge = self.charge_of(Activity::Denied, Mode::Live);
        if let Some(charge) = charge.filter(|charge| charge.is_counted(&context.policy().settings)) {
            let _unheard =
                context.ask(context.start_keys().peer_route(&charge.peer), Command::Charge(charge));
        }
    }

    /// The charge for this activity; `None` if no one is charged.
    fn charge_of(&self, activity: Activity, mode: Mode) -> Option<Charge> {
        let strikes = !self.is_excused.get() && !self.is_foreign.get();
        Some(Charge { peer: self.peer.get()?, source: self.source.get(), activity, mode, strikes })
    }

    /// Notes the state of the key's window after this request.
    pub(super) fn tell_key(&self, quotas: Quotas) {
        self.rates.set(Rates { key: quotas, ..self.rates.get() });
    }

    /// Notes that the place in the key's window was given back.
    pub(super) fn take_back_key(&self) {
        let rates = self.rates.get();
        self.rates.set(Rates { key: rates.key.given_back(), ..rates });
    }

    /// Charges a denial, and returns the final answer: if the window of denials is full, its
    /// refusal instead of `reply`.
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
            // If the charge itself fails, the original refusal stands.
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
