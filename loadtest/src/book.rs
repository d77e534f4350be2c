//! What is known from outside of one sliding window.
//!
//! The server decides somewhere between a request's departure and its answer's arrival, so of two requests
//! under way together nobody outside can say which one was first. A book keeps both moments of every request
//! that may have been counted, and says of another one what it *must* have met:
//!
//! ```text
//!   time ──▶      ├─ a ─┤            certainly before x, and certainly still in the window
//!                     ├─── b ───┤    perhaps: it overlaps
//!                        ├── x ──┤
//!   COUNT certain ones ⇒ x must be refused; fewer than COUNT possible ones ⇒ x must not be
//! ```
use std::collections::VecDeque;
use std::time::Instant;

use crate::limits::Limit;

/// What a window must say to a request.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) enum Ruling {
    MustAccept,
    Either,
    MustRefuse,
}

/// Whether a request has taken a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Counted {
    No,
    Perhaps,
    Yes,
}

/// One window's log as seen from outside. Requests that took no place are forgotten.
#[derive(Default)]
pub(crate) struct Book {
    entries: VecDeque<Entry>,
    last: u64,
}

struct Entry {
    ticket: u64,
    sent: Instant,
    /// `None`: under way.
    answered: Option<Instant>,
    certain: bool,
}

impl Book {
    /// A request leaves; the ticket closes it.
    pub(crate) fn open(&mut self, sent: Instant) -> u64 {
        self.last += 1;
        self.entries.push_back(Entry { ticket: self.last, sent, answered: None, certain: false });
        self.last
    }

    /// Its answer is there.
    pub(crate) fn close(&mut self, ticket: u64, answered: Instant, counted: Counted) {
        let Some(at) = self.entries.iter().rposition(|entry| entry.ticket == ticket) else { return };
        match counted {
            Counted::No => drop(self.entries.remove(at)),
            counted => {
                let entry = &mut self.entries[at];
                (entry.answered, entry.certain) = (Some(answered), counted == Counted::Yes);
            }
        }
    }

    /// What these limits must say to the request `ticket`, sent and answered at these moments.
    pub(crate) fn ruling(&self, limits: &[Limit], ticket: u64, sent: Instant, answered: Instant) -> Ruling {
        let of = |limit: &Limit| {
            let (certain, possible) = self.count(limit, ticket, sent, answered);
            match () {
                () if certain >= limit.count => Ruling::MustRefuse,
                () if possible < limit.count => Ruling::MustAccept,
                () => Ruling::Either,
            }
        };
        let rulings: Vec<_> = limits.iter().map(of).collect();
        match () {
            () if rulings.contains(&Ruling::MustRefuse) => Ruling::MustRefuse,
            () if rulings.contains(&Ruling::Either) => Ruling::Either,
            () => Ruling::MustAccept,
        }
    }

    /// Whether those that were certainly counted before `sent` alone still fill a limit's window at `after`.
    pub(crate) fn is_full_after(&self, limits: &[Limit], sent: Instant, after: Instant) -> bool {
        let before = self
            .entries
            .iter()
            .filter(|entry| entry.certain && entry.answered.is_some_and(|end| end <= sent));
        let left = |limit: &Limit| {
            before.clone().filter(|entry| after.saturating_duration_since(entry.sent) < limit.window).count()
        };
        limits.iter().any(|limit| left(limit) as u64 >= limit.count)
    }

    /// How many others are in the limit's window: certainly, and at the most.
    fn count(&self, limit: &Limit, ticket: u64, sent: Instant, answered: Instant) -> (u64, u64) {
        let (mut certain, mut possible) = (0, 0);
        for entry in self.entries.iter().filter(|entry| entry.ticket != ticket && entry.sent <= answered) {
            let end = entry.answered.unwrap_or(answered);
            let before = entry.answered.is_some_and(|end| end <= sent);
            let inside = answered.saturating_duration_since(entry.sent) < limit.window;
            certain += u64::from(entry.certain && before && inside);
            possible += u64::from(sent.saturating_duration_since(end) < limit.window);
        }
        (certain, possible)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;

    const TWO_A_MINUTE: [Limit; 1] = [Limit { count: 2, window: Duration::from_secs(60) }];

    /// A request from one second to another, counted so.
    fn ask(book: &mut Book, begin: Instant, seconds: (u64, u64), counted: Counted) -> Ruling {
        let [sent, answered] = [seconds.0, seconds.1].map(|second| begin + Duration::from_secs(second));
        let ticket = book.open(sent);
        let ruling = book.ruling(&TWO_A_MINUTE, ticket, sent, answered);
        book.close(ticket, answered, counted);
        ruling
    }

    #[test]
    fn one_after_the_other_a_window_is_exact() {
        let (mut book, begin) = (Book::default(), clock::now());
        assert_eq!(ask(&mut book, begin, (0, 1), Counted::Yes), Ruling::MustAccept);
        assert_eq!(ask(&mut book, begin, (2, 3), Counted::Yes), Ruling::MustAccept);
        assert_eq!(ask(&mut book, begin, (4, 5), Counted::No), Ruling::MustRefuse);
        assert_eq!(ask(&mut book, begin, (60, 61), Counted::No), Ruling::Either, "the first may be gone");
        assert_eq!(ask(&mut book, begin, (61, 62), Counted::Yes), Ruling::MustAccept, "it is");
    }

    #[test]
    fn of_requests_under_way_together_nobody_knows_which_was_first() {
        let (mut book, begin) = (Book::default(), clock::now());
        let at = |second| begin + Duration::from_secs(second);
        let tickets = [0, 0, 0].map(|second| book.open(at(second)));
        assert_eq!(book.ruling(&TWO_A_MINUTE, tickets[0], at(0), at(1)), Ruling::Either);
        book.close(tickets[0], at(1), Counted::Yes);
        book.close(tickets[1], at(1), Counted::No);
        assert_eq!(book.ruling(&TWO_A_MINUTE, tickets[2], at(0), at(2)), Ruling::MustAccept);
        book.close(tickets[2], at(2), Counted::Perhaps);
        assert_eq!(ask(&mut book, begin, (3, 4), Counted::No), Ruling::Either, "one is uncertain");
    }

    #[test]
    fn a_limit_that_is_off_accepts_and_a_count_of_zero_refuses() {
        let (mut book, now) = (Book::default(), clock::now());
        let ticket = book.open(now);
        assert_eq!(book.ruling(&[], ticket, now, now), Ruling::MustAccept);
        let none = [Limit { count: 0, window: Duration::from_secs(1) }];
        assert_eq!(book.ruling(&none, ticket, now, now), Ruling::MustRefuse);
    }
}
