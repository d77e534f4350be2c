//! Tracks what one TCP connection is doing, and when it has been idle or stalled for too long.
//!
//! ```text
//!   quiet ──first byte of a head──▶ arriving ──head complete──▶ in progress ──answer sent──▶ quiet
//!     │                                │                            │
//!     └─ idle                          └─ deadline                  └─ deadline: the peer does not
//!                                                                      read the answers
//! ```
//!
//! hyper limits only the time of an HTTP/1.1 head, and does not close idle connections. So the
//! stream reports the bytes that pass, the connection reports which requests begin and end, and
//! this module computes when the connection is overdue. Bytes that begin no request (a PING, a
//! header block in a thousand pieces) don't keep it alive. Independently of that, a socket that
//! accepts none of our bytes for a whole deadline is overdue.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use authepy_http3::limits::{HOUSEKEEPING_BUDGET_FRAMES, HOUSEKEEPING_PER_REQUEST_FRAMES};
use tokio::time::Instant;

/// The timers of one connection. Shared by its stream, its `Door` and its requests, on one thread.
pub(super) struct Watch {
    idle: Duration,
    deadline: Duration,
    /// Requests in progress: from their complete head until their answer is sent.
    under_way: Cell<usize>,
    /// Those of them that are answered, but not sent completely.
    answers: Cell<usize>,
    /// When a request last began, was answered, or its answer was sent.
    moved: Cell<Instant>,
    /// When the head that is arriving began.
    arriving: Cell<Option<Instant>>,
    /// When the head that was just completed began to arrive; `None` if it came in one read.
    arrived: Cell<Option<Instant>>,
    /// Since when the socket accepts no bytes.
    blocked: Cell<Option<Instant>>,
    /// Answers given.
    answered: Cell<u64>,
    /// Frames without a request that the peer may still send (HTTP/2).
    housekeeping: Cell<u32>,
}

/// Why a connection is overdue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// No request for `connections.idle`: it is closed politely.
    Idle,
    /// A head that does not complete, or answers that the peer does not read, for
    /// `connections.deadline`.
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

    /// Called by the stream: whether the last read ends inside a head.
    pub(super) fn head_arriving(&self, inside: bool) {
        if inside {
            self.arriving.set(Some(self.arriving.get().unwrap_or_else(Instant::now)));
        } else {
            self.arrived.set(self.arriving.take());
        }
    }

    /// The socket accepted bytes, or there was nothing to write.
    pub(super) fn flows(&self) {
        self.blocked.set(None);
    }

    /// The socket accepted no bytes.
    pub(super) fn blocks(&self) {
        if self.blocked.get().is_none() {
            self.blocked.set(Some(Instant::now()));
        }
    }

    /// Counts a frame without a request. False once the budget is used up.
    pub(super) fn keeps_house(&self) -> bool {
        let left = self.housekeeping.get().checked_sub(1);
        self.housekeeping.set(left.unwrap_or(0));
        left.is_some()
    }

    /// A request's head is complete. Returns a guard for the request, and the deadline for its
    /// body.
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
        // Anything that starts while this sleeps becomes due no sooner than this.
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

    /// Whether no request is in progress.
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

/// The guard of one request, until its answer is sent or given up.
pub(super) struct UnderWay {
    watch: Rc<Watch>,
    answered: bool,
}

impl UnderWay {
    /// The request is answered; the answer must now be sent.
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
        assert_eq!(due, first + DEADLINE, "the body gets the rest of the head's time");
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
