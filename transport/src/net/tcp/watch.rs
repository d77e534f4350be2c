//! What one TCP connection is doing, and when it has done nothing for too long.
//!
//! ```text
//!   quiet ──first byte of a head──▶ arriving ──head whole──▶ under way ──answer taken──▶ quiet
//!     │                                │                        │
//!     └─ idle                          └─ deadline              └─ deadline: nobody takes the answers
//! ```
//!
//! hyper bounds only an HTTP/1.1 head, and not an idle connection. So the stream says which bytes pass,
//! the door which requests begin and end, and this says when the connection is overdue. Bytes that begin
//! no request (a PING, a header block in a thousand pieces) keep nothing alive. Besides: a socket that
//! takes nothing we write for a whole deadline is overdue, whatever else happens.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use authepy_http3::limits::{HOUSEKEEPING_BUDGET_FRAMES, HOUSEKEEPING_PER_REQUEST_FRAMES};
use tokio::time::Instant;

/// One connection's clockwork. Shared by its stream, its door and its requests, on one thread.
pub(super) struct Watch {
    idle: Duration,
    deadline: Duration,
    /// Requests from their head to the moment their answer is taken.
    under_way: Cell<usize>,
    /// Those of them that were answered.
    answers: Cell<usize>,
    /// When a request last began, was answered, or its answer was taken.
    moved: Cell<Instant>,
    /// Since when a head is arriving.
    arriving: Cell<Option<Instant>>,
    /// When the head that was just read began to arrive; none if it came at once.
    arrived: Cell<Option<Instant>>,
    /// Since when the socket takes nothing.
    blocked: Cell<Option<Instant>>,
    /// Answers given.
    answered: Cell<u64>,
    /// Frames without a request in them that the peer may still send (HTTP/2).
    housekeeping: Cell<u32>,
}

/// What a connection is overdue with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// No request for `connections.idle`: it is closed politely.
    Idle,
    /// A head that does not arrive, or answers that nobody takes, for `connections.deadline`.
    Stalled,
}

impl Watch {
    pub(super) fn new(idle: Duration, deadline: Duration) -> Rc<Self> {
        Rc::new(Self {
            idle,
            deadline,
            under_way: Cell::new(0),
            answers: Cell::new(0),
            moved: Cell::new(Instant::now()),
            arriving: Cell::new(None),
            arrived: Cell::new(None),
            blocked: Cell::new(None),
            answered: Cell::new(0),
            housekeeping: Cell::new(HOUSEKEEPING_BUDGET_FRAMES),
        })
    }

    /// The stream: whether what was read last ends inside a head.
    pub(super) fn head_arriving(&self, inside: bool) {
        if inside {
            self.arriving.set(Some(self.arriving.get().unwrap_or_else(Instant::now)));
        } else {
            self.arrived.set(self.arriving.take());
        }
    }

    /// The socket took something, or had nothing to take.
    pub(super) fn flows(&self) {
        self.blocked.set(None);
    }

    /// The socket took nothing.
    pub(super) fn blocks(&self) {
        if self.blocked.get().is_none() {
            self.blocked.set(Some(Instant::now()));
        }
    }

    /// One frame without a request in it. False once there were too many.
    pub(super) fn keeps_house(&self) -> bool {
        let left = self.housekeeping.get().checked_sub(1);
        self.housekeeping.set(left.unwrap_or(0));
        left.is_some()
    }

    /// A request's head is whole. Returns the request's share in the watch, and when it has to be there.
    pub(super) fn begin(self: &Rc<Self>) -> (UnderWay, Instant) {
        let now = Instant::now();
        self.under_way.set(self.under_way.get() + 1);
        self.moved.set(now);
        let earned = self.housekeeping.get() + HOUSEKEEPING_PER_REQUEST_FRAMES;
        self.housekeeping.set(earned.min(HOUSEKEEPING_BUDGET_FRAMES));
        let due = self.arrived.take().unwrap_or(now) + self.deadline;
        (UnderWay { watch: self.clone(), answered: false }, due)
    }

    /// Answers given so far.
    pub(super) fn answered(&self) -> u64 {
        self.answered.get()
    }

    /// Waits until the connection is overdue.
    pub(super) async fn overdue(&self) -> Overdue {
        // Whatever starts meanwhile is due no sooner than this after it started.
        let soonest = self.idle.min(self.deadline);
        loop {
            let now = Instant::now();
            let (due, what) = self.next().unwrap_or((now + soonest, Overdue::Idle));
            if due <= now {
                return what;
            }
            tokio::time::sleep_until(due.min(now + soonest)).await;
        }
    }

    /// Whether no request is under way.
    pub(super) fn is_quiet(&self) -> bool {
        self.under_way.get() == 0
    }

    fn next(&self) -> Option<(Instant, Overdue)> {
        let waiting = (self.answers.get() > 0).then(|| self.moved.get());
        let stalls = [self.arriving.get(), self.blocked.get(), waiting].into_iter().flatten().min();
        let stalls = stalls.map(|since| (since + self.deadline, Overdue::Stalled));
        let quiet = self.is_quiet() && self.arriving.get().is_none();
        let idles = quiet.then(|| (self.moved.get() + self.idle, Overdue::Idle));
        [stalls, idles].into_iter().flatten().min_by_key(|(due, _)| *due)
    }
}

/// One request's share in the watch, until its answer was taken or given up.
pub(super) struct UnderWay {
    watch: Rc<Watch>,
    answered: bool,
}

impl UnderWay {
    /// There is an answer; now it has to be taken.
    pub(super) fn answered(&mut self) {
        self.answered = true;
        let watch = &self.watch;
        watch.answers.set(watch.answers.get() + 1);
        watch.answered.set(watch.answered.get() + 1);
        watch.moved.set(Instant::now());
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let watch = &self.watch;
        watch.under_way.set(watch.under_way.get() - 1);
        watch.answers.set(watch.answers.get() - usize::from(self.answered));
        watch.moved.set(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(30);
    const DEADLINE: Duration = Duration::from_secs(10);

    fn due(watch: &Watch) -> Option<(Duration, Overdue)> {
        watch.next().map(|(due, what)| (due.duration_since(watch.moved.get()), what))
    }

    #[test]
    fn a_quiet_connection_is_due_after_idle_and_a_busy_one_is_not() {
        let watch = Watch::new(IDLE, DEADLINE);
        assert_eq!(due(&watch), Some((IDLE, Overdue::Idle)));
        let (mut request, _due) = watch.begin();
        assert_eq!(due(&watch), None, "its body has a deadline of its own");
        request.answered();
        assert_eq!(due(&watch), Some((DEADLINE, Overdue::Stalled)));
        drop(request);
        assert_eq!(due(&watch), Some((IDLE, Overdue::Idle)));
    }

    #[test]
    fn an_arriving_head_counts_from_its_first_byte() {
        let watch = Watch::new(IDLE, DEADLINE);
        watch.head_arriving(true);
        let first = watch.arriving.get().unwrap();
        watch.head_arriving(true);
        assert_eq!(watch.next(), Some((first + DEADLINE, Overdue::Stalled)));
        watch.head_arriving(false);
        let (_request, due) = watch.begin();
        assert_eq!(due, first + DEADLINE, "the body has what the head left");
    }

    #[test]
    fn a_blocked_socket_is_due_whatever_else_goes_on() {
        let watch = Watch::new(IDLE, DEADLINE);
        watch.blocks();
        let since = watch.blocked.get().unwrap();
        let _request = watch.begin();
        assert_eq!(watch.next(), Some((since + DEADLINE, Overdue::Stalled)));
        watch.flows();
        assert_eq!(watch.next(), None);
    }

    #[test]
    fn requests_earn_frames_and_everything_else_spends_them() {
        let watch = Watch::new(IDLE, DEADLINE);
        assert!((0..HOUSEKEEPING_BUDGET_FRAMES).all(|_| watch.keeps_house()));
        assert!(!watch.keeps_house());
        drop(watch.begin());
        assert!((0..HOUSEKEEPING_PER_REQUEST_FRAMES).all(|_| watch.keeps_house()));
        assert!(!watch.keeps_house());
    }
}
