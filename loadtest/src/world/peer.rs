//! One peer as the server must see it: its windows, its strikes, its ban.
//!
//! ```text
//!   a window refuses ─▶ its latch open? ─▶ strike, latch closes for WINDOW ─▶ strikes full? ─▶ no answer ever
//! ```
use std::time::{Duration, Instant};

use super::{Span, close};
use crate::book::{Book, Counted, Ruling};
use crate::limits::{Limit, Rules};
use crate::wire::Seen;

/// How long a ban may take to reach every lane: an answer sent before it may still arrive.
const GRACE: Duration = Duration::from_secs(1);

/// A peer's windows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Policy {
    Issue,
    Check,
    Denied,
}

impl Policy {
    fn limits(self, rules: &Rules) -> &[Limit] {
        match self {
            Self::Issue => &rules.peer_issue,
            Self::Check => &rules.peer_check,
            Self::Denied => &rules.peer_denied,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Issue => "limits.peer.issue",
            Self::Check => "limits.peer.check",
            Self::Denied => "limits.peer.denied",
        }
    }
}

/// One source address.
#[derive(Default)]
pub(super) struct PeerModel {
    books: [Book; 3],
    latches: Vec<Latch>,
    strikes: Book,
    /// Since when it hears nothing.
    silent: Option<Instant>,
    /// From when on it must hear nothing: its strikes were certainly enough.
    out: Option<Instant>,
}

/// A limit that has struck, and when: it does not again for its window.
struct Latch {
    policy: Policy,
    limit: usize,
    closed: Span,
}

impl PeerModel {
    pub(super) fn book(&mut self, policy: Policy) -> &mut Book {
        &mut self.books[policy as usize]
    }

    pub(super) fn is_banned(&self) -> bool {
        self.silent.is_some()
    }

    /// Judges what this peer heard, and remembers it.
    pub(super) fn hear(
        &mut self,
        rules: &Rules,
        policy: Option<Policy>,
        (activity, denied): (Option<u64>, Option<u64>),
        span: Span,
        seen: &Seen,
    ) -> Vec<String> {
        let ruling = |policy: Policy, ticket: Option<u64>| {
            let book = &self.books[policy as usize];
            ticket.map_or(Ruling::MustAccept, |t| book.ruling(policy.limits(rules), t, span.0, span.1))
        };
        let asked = policy.map_or(Ruling::MustAccept, |policy| ruling(policy, activity));
        let refused = ruling(Policy::Denied, denied);
        let mut findings = self.findings(rules, policy, (asked, refused), span, seen);
        let full = policy.filter(|_| asked != Ruling::MustAccept).unwrap_or(Policy::Denied);
        findings.extend(self.too_short_a_wait(rules, full, span, seen));
        self.note_strike(rules, policy, (activity, denied), (asked, refused), span, seen);
        let (asked, refused) = counted((asked, refused), seen);
        if let Some(policy) = policy {
            close(self.book(policy), activity, span.1, asked);
        }
        close(self.book(Policy::Denied), denied, span.1, refused);
        findings
    }

    fn findings(
        &mut self,
        rules: &Rules,
        policy: Option<Policy>,
        (asked, refused): (Ruling, Ruling),
        span: Span,
        seen: &Seen,
    ) -> Vec<String> {
        let answer = match seen {
            Seen::Answer(answer) if !answer.is_ban() => answer,
            // A request that was being decided when the ban began may still hear so; any other hears nothing.
            Seen::Answer(_) if self.is_out(span.0) => return vec!["an answer to a banned peer".to_owned()],
            _ => return self.ban(rules, (asked, refused), span, seen),
        };
        let past = |policy: Policy| format!("{} for one past {}", answer.status, policy.name());
        let mut findings = Vec::new();
        if self.is_out(span.0) {
            findings.push("an answer to a banned peer".to_owned());
        }
        if answer.is_limited_by("peer") {
            if [asked, refused] == [Ruling::MustAccept; 2] {
                findings.push("429 peer while its windows had room".to_owned());
            }
        } else if !answer.is_shed() {
            if let Some(policy) = policy.filter(|_| asked == Ruling::MustRefuse) {
                findings.push(past(policy));
            }
            if answer.is_denial() && refused == Ruling::MustRefuse {
                findings.push(past(Policy::Denied));
            }
        }
        findings
    }

    /// Whoever waits as long as told must find room.
    fn too_short_a_wait(&self, rules: &Rules, full: Policy, span: Span, seen: &Seen) -> Option<String> {
        let Seen::Answer(answer) = seen else { return None };
        let wait = answer.retry_after().filter(|_| answer.is_limited_by("peer"))?;
        let book = &self.books[full as usize];
        let still_full = book.is_full_after(full.limits(rules), span.0, span.1 + wait);
        still_full.then(|| "retry-after that is not enough".to_owned())
    }

    /// No answer is right from the strike on that bans, and only then.
    fn ban(&mut self, rules: &Rules, rulings: (Ruling, Ruling), span: Span, seen: &Seen) -> Vec<String> {
        // The request itself may have been the last strike, and its refusal the last thing not heard.
        let itself = u64::from(rulings != (Ruling::MustAccept, Ruling::MustAccept));
        let less = |limit: &Limit| Limit { count: limit.count.saturating_sub(itself), ..*limit };
        let limits: Vec<_> = rules.strikes.iter().map(less).collect();
        let ban = self.strikes.ruling(&limits, 0, span.0, span.1);
        let known = self.silent.is_some() || self.out.is_some();
        match seen {
            _ if !known && (ban == Ruling::MustAccept || limits.is_empty()) => {
                return vec!["a ban before its last strike".to_owned()];
            }
            Seen::Answer(_) => self.out.get_or_insert(span.1 + GRACE),
            Seen::Nothing(_) => self.silent.get_or_insert(span.1),
        };
        Vec::new()
    }

    /// Whether it must hear nothing any more.
    fn is_out(&self, sent: Instant) -> bool {
        self.silent.is_some_and(|since| since <= sent) || self.out.is_some_and(|since| since <= sent)
    }

    /// A refusal by a window may have been a strike.
    fn note_strike(
        &mut self,
        rules: &Rules,
        policy: Option<Policy>,
        tickets: (Option<u64>, Option<u64>),
        (asked, _): (Ruling, Ruling),
        span: Span,
        seen: &Seen,
    ) {
        if !matches!(seen, Seen::Answer(answer) if answer.is_limited_by("peer")) {
            return;
        }
        let (policy, ticket) = match policy {
            Some(policy) if asked != Ruling::MustAccept => (policy, tickets.0),
            _ => (Policy::Denied, tickets.1),
        };
        let Some(ticket) = ticket else { return };
        let mut struck = Counted::No;
        for (nth, limit) in policy.limits(rules).iter().enumerate() {
            let full = self.books[policy as usize].ruling(&[*limit], ticket, span.0, span.1);
            if full == Ruling::MustAccept {
                continue;
            }
            match (self.latch(policy, nth, limit, span), full) {
                (Counted::Yes, Ruling::MustRefuse) => struck = Counted::Yes,
                (Counted::No, _) => {}
                _ if struck == Counted::No => struck = Counted::Perhaps,
                _ => {}
            }
        }
        let line = self.strikes.open(span.0);
        self.strikes.close(line, span.1, struck);
        let enough = self.strikes.ruling(&rules.strikes, 0, span.1, span.1) == Ruling::MustRefuse;
        if enough && !rules.strikes.is_empty() {
            self.out.get_or_insert(span.1 + GRACE);
        }
    }

    /// Closes a latch; whether it was open.
    fn latch(&mut self, policy: Policy, nth: usize, limit: &Limit, span: Span) -> Counted {
        let ours = |latch: &&mut Latch| latch.policy == policy && latch.limit == nth;
        let Some(latch) = self.latches.iter_mut().find(ours) else {
            self.latches.push(Latch { policy, limit: nth, closed: span });
            return Counted::Yes;
        };
        let was_open = match () {
            () if span.0 >= latch.closed.1 + limit.window => Counted::Yes,
            () if span.1 <= latch.closed.0 + limit.window => return Counted::No,
            () => Counted::Perhaps,
        };
        latch.closed = span;
        was_open
    }
}

/// Whether the request has taken a place among what was asked, and among what was denied.
fn counted((asked, _): (Ruling, Ruling), seen: &Seen) -> (Counted, Counted) {
    let Seen::Answer(answer) = seen else { return (Counted::Perhaps, Counted::Perhaps) };
    match () {
        () if answer.is_limited_by("peer") => match asked {
            Ruling::MustRefuse => (Counted::No, Counted::No),
            Ruling::Either => (Counted::Perhaps, Counted::No),
            // The other window has refused it: counted in this one all the same.
            Ruling::MustAccept => (Counted::Yes, Counted::No),
        },
        () if answer.is_shed() => (Counted::Perhaps, Counted::No),
        () if answer.is_denial() => (Counted::Yes, Counted::Yes),
        () => (Counted::Yes, Counted::No),
    }
}
