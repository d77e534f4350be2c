//! Circuit breaker: stops using a provider that fails repeatedly.
//!
//! ```text
//!             TROUBLES_TO_OPEN in a row                  until
//!   closed ────────────────────────────▶ open(until) ─── passes ──▶ half-open: one probe under way
//!      ▲                                     ▲                          │            │
//!      │                                     └── trouble: double the span            │
//!      └──────────────────────────── it works ───────────────────────────────────────┘
//! ```
//!
//! Without it, every mail would spend its timeout on an unreachable relay and delay the mails
//! behind it; and an overloaded provider recovers sooner when it gets fewer requests.

use std::time::Duration;

use authepy_engine::clock::Moment;

mod suspicion;
pub(super) use suspicion::Recipient;
use suspicion::Suspicion;

/// Consecutive failures that open the breaker. One lost connection may be the network's fault; five
/// in a row are the relay's.
pub(super) const TROUBLES_TO_OPEN: u32 = 5;
/// First open period: a relay that restarts is back after some seconds.
pub(super) const OPEN_FIRST: Duration = Duration::from_secs(2);
/// Longest open period: after a relay is repaired, mail flows again within half a minute.
pub(super) const OPEN_MAX: Duration = Duration::from_secs(30);

/// How long a probe may take before another is allowed: longer than any send.
pub(super) const PROBE_MAX: Duration = Duration::from_secs(60);

/// What the result of a hand-over says about the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It works.
    Works,
    /// It is failing.
    Trouble,
    /// It stalled after it was given the recipient. Strangers choose recipients, so that alone says
    /// nothing: see [`Suspicion`].
    Suspect,
    /// Nothing: the mail was at fault.
    Unclear,
}

/// A change that is reported to the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The provider is not used from now on.
    Opened,
    /// The provider works again.
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed { troubles: u32 },
    Open { until: Moment, span: Duration },
    HalfOpen { since: Moment, span: Duration },
}

/// One provider's breaker. Owned by the courier.
#[derive(Debug)]
pub(super) struct Breaker {
    state: State,
    suspicion: Suspicion,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { state: State::Closed { troubles: 0 }, suspicion: Suspicion::default() }
    }
}

impl Breaker {
    /// Whether a mail may be tried now. After `true` the caller must call [`Breaker::note`].
    pub(super) fn admit(&mut self, now: Moment) -> bool {
        match self.state {
            State::Closed { .. } => true,
            State::Open { until, span } if until <= now => {
                self.state = State::HalfOpen { since: now, span };
                true
            }
            // That probe's result never arrived.
            State::HalfOpen { since, span } if now.since(since) >= PROBE_MAX => {
                self.state = State::HalfOpen { since: now, span };
                true
            }
            State::Open { .. } | State::HalfOpen { .. } => false,
        }
    }

    /// When to ask again; `None` while closed.
    pub(super) fn blocked_until(&self, now: Moment) -> Option<Moment> {
        match self.state {
            State::Closed { .. } => None,
            State::Open { until, .. } => Some(until),
            // The end of a probe wakes no waiter, so waiters poll.
            State::HalfOpen { .. } => Some(now.after(OPEN_FIRST)),
        }
    }

    /// Records how an admitted mail to this recipient ended.
    pub(super) fn note(&mut self, now: Moment, verdict: Verdict, recipient: Recipient) -> Option<Change> {
        self.suspicion.met(now, recipient.project);
        if verdict == Verdict::Works {
            self.suspicion.clear();
        }
        match (verdict, self.suspicion.blames(now, verdict, recipient)) {
            // The stalls before it were the provider's fault, too.
            (Verdict::Suspect, suspects @ 1..) => {
                (0..suspects).filter_map(|_| self.judge(now, Verdict::Trouble)).last()
            }
            (verdict, _) => self.judge(now, verdict),
        }
    }

    fn judge(&mut self, now: Moment, verdict: Verdict) -> Option<Change> {
        let (next, change) = match (self.state, verdict) {
            (State::Closed { .. }, Verdict::Works) => (State::Closed { troubles: 0 }, None),
            (State::Closed { troubles }, Verdict::Trouble) if troubles + 1 >= TROUBLES_TO_OPEN => {
                (State::Open { until: now.after(OPEN_FIRST), span: OPEN_FIRST }, Some(Change::Opened))
            }
            (State::Closed { troubles }, Verdict::Trouble) => {
                (State::Closed { troubles: troubles + 1 }, None)
            }
            // A provider that refuses a mail is reachable.
            (State::HalfOpen { .. }, Verdict::Works | Verdict::Unclear)
            | (State::Open { .. }, Verdict::Works) => (State::Closed { troubles: 0 }, Some(Change::Closed)),
            (State::HalfOpen { span, .. }, Verdict::Trouble) => {
                let span = (span * 2).min(OPEN_MAX);
                (State::Open { until: now.after(span), span }, None)
            }
            // A probe that stalled on its recipient decides nothing; another is sent soon.
            (State::HalfOpen { span, .. }, Verdict::Suspect) => {
                (State::Open { until: now.after(OPEN_FIRST), span }, None)
            }
            // Results of mails that were in progress when the breaker opened.
            (state, _) => (state, None),
        };
        self.state = next;
        change
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: Recipient = Recipient { domain: 1, project: Some(1) };

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        let changes: Vec<_> =
            (0..TROUBLES_TO_OPEN).filter_map(|_| breaker.note(at(0), Verdict::Trouble, ADA)).collect();
        assert_eq!(changes, [Change::Opened], "told once");
        breaker
    }

    #[test]
    fn troubles_in_a_row_open_it_and_only_those() {
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            for _ in 1..TROUBLES_TO_OPEN {
                assert_eq!(breaker.note(at(0), Verdict::Trouble, ADA), None);
                assert_eq!(breaker.note(at(0), Verdict::Unclear, ADA), None);
            }
            assert_eq!(breaker.note(at(0), Verdict::Works, ADA), None);
        }
        assert!(breaker.admit(at(0)));
        assert!(!opened().admit(at(1_999)));
    }

    #[test]
    fn one_probe_decides_and_failures_make_it_wait_longer() {
        let mut breaker = opened();
        let (mut now, mut spans) = (at(0), Vec::new());
        for _ in 0..6 {
            let until = breaker.blocked_until(now).unwrap();
            spans.push(until.since(now).as_secs());
            assert!(!breaker.admit(at(until.as_millis() - 1)), "not before its time");
            now = until;
            assert!(breaker.admit(now));
            assert!(!breaker.admit(now), "one probe at a time");
            assert_eq!(breaker.note(now, Verdict::Trouble, ADA), None);
        }
        assert_eq!(spans, [2, 4, 8, 16, 30, 30]);
        now = breaker.blocked_until(now).unwrap();
        assert!(breaker.admit(now));
        assert_eq!(breaker.note(now, Verdict::Works, ADA), Some(Change::Closed));
        assert!(breaker.admit(now) && breaker.blocked_until(now).is_none());
    }

    #[test]
    fn a_probe_that_was_lost_does_not_close_the_way_for_ever() {
        let mut breaker = opened();
        assert!(breaker.admit(at(2_000)));
        assert!(!breaker.admit(at(61_999)) && breaker.admit(at(62_000)) && !breaker.admit(at(62_001)));
    }

    #[test]
    fn a_refused_mail_proves_that_somebody_is_there() {
        let mut breaker = opened();
        assert!(breaker.admit(at(2_000)));
        assert_eq!(breaker.note(at(2_000), Verdict::Unclear, ADA), Some(Change::Closed));
    }

    #[test]
    fn mails_that_were_under_way_do_not_prolong_it() {
        let mut breaker = opened();
        for _ in 0..20 {
            breaker.note(at(1_000), Verdict::Trouble, ADA);
        }
        assert!(breaker.admit(at(2_000)));
        let mut breaker = opened();
        assert_eq!(breaker.note(at(1_000), Verdict::Works, ADA), Some(Change::Closed));
    }

    fn stalled(domain: u64, project: u64) -> Recipient {
        Recipient { domain, project: Some(project) }
    }

    #[test]
    fn stalls_of_one_project_of_two_open_nothing() {
        let mut breaker = Breaker::default();
        breaker.note(at(0), Verdict::Works, stalled(9, 9));
        for n in 0..1_000 {
            assert_eq!(breaker.note(at(n), Verdict::Suspect, stalled(n, 1)), None);
        }
        assert!(breaker.admit(at(1_000)));
    }

    #[test]
    fn stalls_of_two_domains_open_nothing_and_of_three_they_do() {
        let mut breaker = Breaker::default();
        for n in 0..100 {
            assert_eq!(breaker.note(at(n), Verdict::Suspect, stalled(n % 2, n % 3)), None);
        }
        assert_eq!(breaker.note(at(100), Verdict::Suspect, stalled(2, 1)), Some(Change::Opened));
    }

    #[test]
    fn one_projects_stalls_hide_nobody_elses() {
        let mut breaker = Breaker::default();
        breaker.note(at(0), Verdict::Works, stalled(9, 9));
        for n in 0..1_000 {
            assert_eq!(breaker.note(at(n), Verdict::Suspect, stalled(n, 1)), None);
        }
        assert_eq!(breaker.note(at(1_000), Verdict::Suspect, stalled(9, 9)), Some(Change::Opened));
    }

    #[test]
    fn one_project_alone_needs_no_second() {
        let mut breaker = Breaker::default();
        let opened = (0..5).find_map(|n| breaker.note(at(n), Verdict::Suspect, stalled(n, 1)));
        assert_eq!(opened, Some(Change::Opened));
    }

    #[test]
    fn a_mail_that_is_taken_in_between_clears_the_provider() {
        let mut breaker = Breaker::default();
        for n in 0..100 {
            for domain in 0..4 {
                assert_eq!(breaker.note(at(n), Verdict::Suspect, stalled(domain, domain)), None);
            }
            assert_eq!(breaker.note(at(n), Verdict::Works, stalled(7, 7)), None);
        }
    }

    #[test]
    fn a_probe_that_stalls_on_its_recipient_decides_nothing() {
        let mut breaker = opened();
        assert!(breaker.admit(at(2_000)));
        breaker.note(at(2_000), Verdict::Suspect, ADA);
        assert!(!breaker.admit(at(3_999)) && breaker.admit(at(4_000)));
        assert_eq!(breaker.note(at(4_000), Verdict::Works, ADA), Some(Change::Closed));
    }
}
