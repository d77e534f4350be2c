//! What one request costs, and whom: the windows of a peer, and of an API key.
//!
//! ```text
//!   restricted key, wrong key, no key ─▶ its peer
//!   secret key                        ─▶ the `client.ip` its body names, else nobody
//!
//!   charge(issue | check) ── full ──▶ 429, 403     at the limits step, whatever becomes of it later
//!   settle(reply) ── a denial ─▶ charge(denied) ── full ──▶ 429, 403 instead of the answer
//! ```
//!
//! Nothing is asked of a peer's shard where the limit is off. What it is asked is not counted as a message
//! to an inbox.

use std::cell::Cell;
use std::net::IpAddr;

use authepy_engine::perimeter::api_key::{KeyDigest, Mode};
use authepy_engine::perimeter::peer::Peer;
use authepy_engine::request::{Activity, Charge, Charged, Command, Outcome, RefundKey, Refusal};
use authepy_engine::route::{PeerDigest, Route};

use super::operation::unexpected;
use crate::desk::Desk;
use crate::reply::{Problem, Rates, Reply};

/// The account of one request, or of one item of a batch. Owned by whoever serves it.
#[derive(Default)]
pub(super) struct Tab {
    /// Who answers for it.
    peer: Cell<Option<Peer>>,
    /// What its windows were like when they were last looked at.
    rates: Cell<Rates>,
}

/// A place taken in the window of an API key.
pub(super) struct KeyPlace(RefundKey);

impl Tab {
    /// From now on this address answers for the request.
    pub(super) fn charge_to(&self, address: IpAddr) {
        self.peer.set(Some(Peer::from(address)));
    }

    /// From now on nobody does.
    pub(super) fn release(&self) {
        self.peer.set(None);
    }

    /// Whether it is this address that answers for the request.
    pub(super) fn is_of(&self, address: IpAddr) -> bool {
        self.peer.get().is_some_and(|peer| peer == Peer::from(address))
    }

    /// Whose share of an inbox's budget the request uses.
    pub(super) fn share(&self, desk: &Desk) -> Option<PeerDigest> {
        self.peer.get().map(|peer| desk.start_keys().peer_digest(&peer))
    }

    /// Who answers for the request, by a digest; `None` if nobody does.
    pub(super) fn asker(&self, desk: &Desk) -> Option<PeerDigest> {
        self.peer.get().map(|peer| desk.start_keys().peer_digest(&peer))
    }

    pub(super) fn rates(&self) -> Rates {
        self.rates.get()
    }

    /// Counts what the request asks for in its peer's windows.
    pub(super) async fn charge(&self, desk: &Desk, activity: Activity, mode: Mode) -> Result<(), Problem> {
        let Some((route, command)) = self.question(desk, activity, mode) else { return Ok(()) };
        let charged = ask(desk, route, command).await?;
        let mut rates = self.rates.get();
        match activity {
            Activity::Denied => rates.denied = charged.quotas,
            _ => rates.peer = charged.quotas,
        }
        self.rates.set(rates);
        charged.refusal.map_or(Ok(()), |refusal| Err(refusal.into()))
    }

    /// Counts a denial where nobody can wait for what its window says.
    pub(super) fn note_denial(&self, desk: &Desk) {
        if let Some((route, command)) = self.question(desk, Activity::Denied, Mode::Live) {
            let _unheard = desk.ask(route, command);
        }
    }

    /// What to ask of whom; `None` if nobody answers for the request, or the limit is off.
    fn question(&self, desk: &Desk, activity: Activity, mode: Mode) -> Option<(Route, Command)> {
        let peer = self.peer.get()?;
        let is_on = !desk.policy().settings.peer.of(activity).is_empty();
        is_on.then(|| (desk.start_keys().peer_route(&peer), Command::Charge(Charge { peer, activity, mode })))
    }

    /// Takes a place in the key's window, where it has one; [`KeyPlace::give_back`] if it is not used.
    pub(super) async fn charge_key(&self, desk: &Desk, key: &KeyDigest) -> Result<Option<KeyPlace>, Problem> {
        if desk.policy().settings.key_issue.is_empty() {
            return Ok(None);
        }
        let key = desk.start_keys().api_key(key);
        let charged = ask(desk, key.route(), Command::ChargeKey(key)).await?;
        self.rates.set(Rates { key: charged.quotas, ..self.rates.get() });
        match charged.refusal {
            None => Ok(Some(KeyPlace(RefundKey { key, at: charged.at }))),
            Some(refusal) => Err(refusal.into()),
        }
    }

    /// What is answered in the end: a denial counts, and the window of denials may have the last word.
    pub(super) async fn settle(&self, desk: &Desk, reply: Reply) -> Reply {
        let Some(problem) = reply.problem else { return reply };
        let settled = Box::pin(self.settle_problem(desk, problem)).await;
        if settled == problem { reply } else { reply.refused_by(settled) }
    }

    /// See [`Self::settle`].
    pub(super) async fn settle_problem(&self, desk: &Desk, problem: Problem) -> Problem {
        if !problem.is_denial() {
            return problem;
        }
        match self.charge(desk, Activity::Denied, Mode::Live).await {
            Err(refused @ Problem::Refused(Refusal::RateLimited { .. } | Refusal::Banned { .. })) => refused,
            // Where it can't be counted, the first refusal stands.
            _ => problem,
        }
    }
}

impl KeyPlace {
    /// The issue was not accepted: it does not count.
    pub(super) async fn give_back(self, desk: &Desk, tab: &Tab) {
        let rates = tab.rates.get();
        tab.rates.set(Rates { key: rates.key.given_back(), ..rates });
        let route = self.0.key.route();
        // Noted, or the shard is gone with the window.
        let _noted = desk.ask(route, Command::RefundKey(self.0)).await;
    }
}

async fn ask(desk: &Desk, route: Route, command: Command) -> Result<Charged, Problem> {
    match desk.ask(route, command).await {
        Outcome::Charged(charged) => Ok(charged),
        other => Err(unexpected(other)),
    }
}
