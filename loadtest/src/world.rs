//! What the server must remember, kept beside it: peers' windows, strikes and bans, inboxes' budgets, mails.
//!
//! ```text
//!   begin(peer, expect) ─▶ a line in every book the request may count in     [before it leaves]
//!                                      │
//!   end(answer) ─▶ what must the books have said? ─▶ findings ─▶ close the lines     [once it is answered]
//! ```
//!
//! The oracle reads an answer for itself ([`crate::oracle`]); this is what it can't know from one answer
//! alone. Where requests overlap, a book says "either", and either is right.
use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::book::{Book, Counted};
use crate::limits::Rules;
use crate::oracle::Expect;
use crate::wire::{Answer, Seen};

mod inbox;
mod peer;
use inbox::InboxModel;
use peer::{PeerModel, Policy};

/// All that happened so far, as the server must see it. Shared by all workers; bounded by the schedule.
pub(crate) struct World {
    rules: Rules,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    peers: HashMap<Ipv4Addr, PeerModel>,
    inboxes: HashMap<String, InboxModel>,
    /// Mails that must be there in the end, by the address as typed.
    accepted: BTreeMap<String, u64>,
}

/// The lines of one request in the books.
#[derive(Default)]
pub(crate) struct Lines {
    sent: Option<Instant>,
    activity: Option<u64>,
    denied: Option<u64>,
    mails: Option<u64>,
    share: Option<u64>,
    guess: Option<u64>,
}

impl World {
    pub(crate) fn new(rules: Rules) -> Self {
        Self { rules, state: Mutex::default() }
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// A request leaves. `peer`: whose windows it counts in; nobody's with a secret key.
    pub(crate) fn begin(&self, peer: Option<Ipv4Addr>, expect: &Expect<'_>, sent: Instant) -> Lines {
        let mut lines = Lines { sent: Some(sent), ..Lines::default() };
        let state = &mut *self.locked();
        if let Some(peer) = peer {
            let model = state.peers.entry(peer).or_default();
            lines.activity = policy(expect).map(|policy| model.book(policy).open(sent));
            lines.denied = Some(model.book(Policy::Denied).open(sent));
        }
        if let Some(name) = expect.inbox() {
            let inbox = state.inboxes.entry(name.to_owned()).or_default();
            if matches!(expect, Expect::Issued { .. }) {
                lines.mails = Some(inbox.mails.open(sent));
                lines.share = peer.map(|peer| inbox.shares.entry(peer).or_default().open(sent));
            } else {
                lines.guess = Some(inbox.guesses.open(sent));
            }
        }
        lines
    }

    /// Its answer, or that there is none. Returns what is wrong about it, in view of all others.
    pub(crate) fn end(
        &self,
        peer: Option<Ipv4Addr>,
        expect: &Expect<'_>,
        lines: &Lines,
        seen: &Seen,
        answered: Instant,
    ) -> Vec<String> {
        let Some(sent) = lines.sent else { return Vec::new() };
        let span = (sent, answered);
        let state = &mut *self.locked();
        let mut findings = Vec::new();
        if let Some(model) = peer.and_then(|peer| state.peers.get_mut(&peer)) {
            let tickets = (lines.activity, lines.denied);
            findings.extend(model.hear(&self.rules, policy(expect), tickets, span, seen));
        }
        if peer.is_none() && matches!(seen, Seen::Answer(answer) if answer.is_ban()) {
            findings.push("403 banned for a caller without a peer".to_owned());
        }
        if let Some(inbox) = expect.inbox().and_then(|name| state.inboxes.get_mut(name)) {
            findings.extend(inbox.hear(&self.rules, peer, lines, span, seen));
        }
        if let (Expect::Issued { recipient, .. }, Seen::Answer(Answer { status: 202, .. })) = (expect, seen) {
            *state.accepted.entry((*recipient).to_owned()).or_default() += 1;
        }
        findings
    }

    /// How often each address was promised a mail.
    pub(crate) fn accepted(&self) -> BTreeMap<String, u64> {
        self.locked().accepted.clone()
    }

    /// Peers from whom the server has begun to hear nothing.
    pub(crate) fn banned(&self) -> u64 {
        self.locked().peers.values().filter(|peer| peer.is_banned()).count() as u64
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which window a request counts in, whatever becomes of it; refusals that come before it count in none.
fn policy(expect: &Expect<'_>) -> Option<Policy> {
    match expect {
        Expect::Issued { .. } => Some(Policy::Issue),
        Expect::Denied { .. } => None,
        _ => Some(Policy::Check),
    }
}

type Span = (Instant, Instant);

fn close(book: &mut Book, ticket: Option<u64>, answered: Instant, counted: Counted) {
    if let Some(ticket) = ticket {
        book.close(ticket, answered, counted);
    }
}

#[cfg(test)]
#[path = "world_tests.rs"]
mod tests;
