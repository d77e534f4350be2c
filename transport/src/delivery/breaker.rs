//! Leaves a provider alone that fails again and again.
//!
//! ```text
//!             TROUBLES_TO_OPEN in a row                  until
//!   closed ────────────────────────────▶ open(until) ─── passes ──▶ half-open: one probe under way
//!      ▲                                     ▲                          │            │
//!      │                                     └── trouble: twice as long ┘            │
//!      └──────────────────────────── it works ───────────────────────────────────────┘
//! ```
//!
//! Why: a relay that is gone would else cost each mail its timeout and each of the others their turn; and
//! a provider that struggles recovers sooner when it is not asked all the time.

use std::time::Duration;

use authepy_engine::clock::Moment;

/// Troubles in a row that open it: one lost connection is the net's, five are the relay's.
pub(super) const TROUBLES_TO_OPEN: u32 = 5;
/// How long it is open at first: a relay that restarts is back after some seconds.
pub(super) const OPEN_FIRST: Duration = Duration::from_secs(2);
/// How long at most: whoever repaired a relay sees mail within half a minute.
pub(super) const OPEN_MAX: Duration = Duration::from_secs(30);

/// How long a probe may be under way before another is let through: longer than any send.
pub(super) const PROBE_MAX: Duration = Duration::from_secs(60);

/// What a hand-over said about the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It works.
    Works,
    /// It does not.
    Trouble,
    /// Nothing: the fault was the mail's.
    Unclear,
}

/// What the operator should hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It is left alone from now on.
    Opened,
    /// It works again.
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
pub(super) struct Breaker(State);

impl Default for Breaker {
    fn default() -> Self {
        Self(State::Closed { troubles: 0 })
    }
}

impl Breaker {
    /// Whether a mail may be tried now. Whoever hears yes owes a [`Breaker::note`].
    pub(super) fn admit(&mut self, now: Moment) -> bool {
        match self.0 {
            State::Closed { .. } => true,
            State::Open { until, span } if until <= now => {
                self.0 = State::HalfOpen { since: now, span };
                true
            }
            // Nobody will ever tell how that probe ended.
            State::HalfOpen { since, span } if now.since(since) >= PROBE_MAX => {
                self.0 = State::HalfOpen { since: now, span };
                true
            }
            State::Open { .. } | State::HalfOpen { .. } => false,
        }
    }

    /// When it is worth asking again; `None` while it is closed.
    pub(super) fn blocked_until(&self, now: Moment) -> Option<Moment> {
        match self.0 {
            State::Closed { .. } => None,
            State::Open { until, .. } => Some(until),
            // The probe's own end wakes nobody, so whoever waits looks again now and then.
            State::HalfOpen { .. } => Some(now.after(OPEN_FIRST)),
        }
    }

    /// Takes in how an admitted mail ended.
    pub(super) fn note(&mut self, now: Moment, verdict: Verdict) -> Option<Change> {
        let (next, change) = match (self.0, verdict) {
            (State::Closed { .. }, Verdict::Works) => (State::Closed { troubles: 0 }, None),
            (State::Closed { troubles }, Verdict::Trouble) if troubles + 1 >= TROUBLES_TO_OPEN => {
                (State::Open { until: now.after(OPEN_FIRST), span: OPEN_FIRST }, Some(Change::Opened))
            }
            (State::Closed { troubles }, Verdict::Trouble) => {
                (State::Closed { troubles: troubles + 1 }, None)
            }
            // A provider that refuses a mail has spoken: it is there.
            (State::HalfOpen { .. }, Verdict::Works | Verdict::Unclear)
            | (State::Open { .. }, Verdict::Works) => (State::Closed { troubles: 0 }, Some(Change::Closed)),
            (State::HalfOpen { span, .. }, Verdict::Trouble) => {
                let span = (span * 2).min(OPEN_MAX);
                (State::Open { until: now.after(span), span }, None)
            }
            // Mails that were under way when it opened.
            (state, _) => (state, None),
        };
        self.0 = next;
        change
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        let changes: Vec<_> =
            (0..TROUBLES_TO_OPEN).filter_map(|_| breaker.note(at(0), Verdict::Trouble)).collect();
        assert_eq!(changes, [Change::Opened], "told once");
        breaker
    }

    #[test]
    fn troubles_in_a_row_open_it_and_only_those() {
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            for _ in 1..TROUBLES_TO_OPEN {
                assert_eq!(breaker.note(at(0), Verdict::Trouble), None);
                assert_eq!(breaker.note(at(0), Verdict::Unclear), None);
            }
            assert_eq!(breaker.note(at(0), Verdict::Works), None);
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
            assert_eq!(breaker.note(now, Verdict::Trouble), None);
        }
        assert_eq!(spans, [2, 4, 8, 16, 30, 30]);
        now = breaker.blocked_until(now).unwrap();
        assert!(breaker.admit(now));
        assert_eq!(breaker.note(now, Verdict::Works), Some(Change::Closed));
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
        assert_eq!(breaker.note(at(2_000), Verdict::Unclear), Some(Change::Closed));
    }

    #[test]
    fn mails_that_were_under_way_do_not_prolong_it() {
        let mut breaker = opened();
        for _ in 0..20 {
            breaker.note(at(1_000), Verdict::Trouble);
        }
        assert!(breaker.admit(at(2_000)));
        let mut breaker = opened();
        assert_eq!(breaker.note(at(1_000), Verdict::Works), Some(Change::Closed));
    }
}
