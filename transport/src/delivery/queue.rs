//! The bounded way from the lanes to the delivery thread.
//!
//! ```text
//!   lane: reserve() ─▶ Permit ─▶ submit(job) ─▶ ring ─▶ pop() :delivery ─▶ settle: the place is free again
//!              └─ Err: 503, nothing promised
//! ```
//!
//! A place is reserved before a code exists, so a promise made can be kept: [`Permit::submit`] can't
//! fail. Lanes never wait, never lock, and wake the delivery thread only while it sleeps.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use authepy_engine::clock::Moment;
use authepy_engine::limits::DELIVERY_RETRY_AFTER;

use crossbeam_queue::ArrayQueue;
use futures_util::task::AtomicWaker;

use super::job::MailJob;
use crate::events::MailOutcome;

/// What a waiting mail counts for: the job with its address, names and allocator overhead.
pub(super) const MAIL_BYTES: u64 = 1_024;

/// What became of mails since the start. Those accepted are those of all outcomes and those still held.
#[derive(Debug, Default)]
pub struct MailCounters {
    accepted: AtomicU64,
    sent: AtomicU64,
    failed: AtomicU64,
    expired: AtomicU64,
    maybe_sent: AtomicU64,
    failovers: AtomicU64,
}

impl MailCounters {
    /// Every outcome and how many mails had it.
    pub fn outcomes(&self) -> [(&'static str, u64); 4] {
        [
            ("sent", &self.sent),
            ("failed", &self.failed),
            ("expired", &self.expired),
            ("maybe_sent", &self.maybe_sent),
        ]
        .map(|(name, counter)| (name, counter.load(Ordering::Relaxed)))
    }

    /// Mails that were promised.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// How often a provider was given up for a while.
    pub fn failovers(&self) -> u64 {
        self.failovers.load(Ordering::Relaxed)
    }

    pub(super) fn count_failover(&self) {
        self.failovers.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self, outcome: MailOutcome) {
        let counter = match outcome {
            MailOutcome::Sent => &self.sent,
            MailOutcome::MaybeSent => &self.maybe_sent,
            MailOutcome::Failed => &self.failed,
            MailOutcome::Expired => &self.expired,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// The lanes' end of the ring. Cloning gives the same queue.
#[derive(Clone)]
pub struct MailQueue(Arc<Shared>);

/// A mail in the ring, and the places it takes.
struct Waiting {
    /// Boxed: moving it through the ring leaves only pointers behind, the job itself is wiped.
    job: Box<MailJob>,
    places: usize,
}

struct Shared {
    ring: ArrayQueue<Waiting>,
    /// Neither reserved nor held. Places in the ring = this + permits + queued jobs + taken ones, so a
    /// permit's push always finds room.
    free: AtomicUsize,
    open: AtomicBool,
    /// Until when nothing is promised, as no provider works: milliseconds of [`Moment`].
    suspended_until: AtomicU64,
    delivery: AtomicWaker,
    counters: MailCounters,
}

impl MailQueue {
    pub(super) fn new(places: usize) -> Self {
        let places = places.max(1);
        Self(Arc::new(Shared {
            ring: ArrayQueue::new(places),
            free: AtomicUsize::new(places),
            open: AtomicBool::new(true),
            suspended_until: AtomicU64::new(0),
            delivery: AtomicWaker::new(),
            counters: MailCounters::default(),
        }))
    }

    /// Takes a place for one mail. If there is none, no provider works, or the delivery stopped, the caller
    /// must refuse before it promises anything; told is when another try is worth it.
    pub fn reserve(&self, now: Moment) -> Result<Permit, Duration> {
        self.reserve_bytes(now, MAIL_BYTES as usize)
    }

    /// As [`MailQueue::reserve`], for a mail that takes so much memory: each place stands for 1 KiB.
    pub fn reserve_bytes(&self, now: Moment, bytes: usize) -> Result<Permit, Duration> {
        let places = bytes.div_ceil(MAIL_BYTES as usize).max(1);
        if !self.0.open.load(Ordering::Relaxed) {
            return Err(DELIVERY_RETRY_AFTER);
        }
        let suspended_until = Moment::from_millis(self.0.suspended_until.load(Ordering::Relaxed));
        if suspended_until > now {
            return Err(suspended_until.since(now));
        }
        let fewer = |free: usize| free.checked_sub(places);
        let taken = self.0.free.fetch_update(Ordering::Acquire, Ordering::Relaxed, fewer);
        taken.map_err(|_| DELIVERY_RETRY_AFTER)?;
        Ok(Permit { place: Place { queue: self.clone(), places } })
    }

    /// Mails waiting for their turn.
    pub fn queued(&self) -> usize {
        self.0.ring.len()
    }

    /// What all places that are taken count for, in bytes.
    pub fn bytes(&self) -> u64 {
        let held = self.0.ring.capacity().saturating_sub(self.0.free.load(Ordering::Relaxed));
        (held as u64).saturating_mul(MAIL_BYTES)
    }

    /// What became of the mails.
    pub fn counters(&self) -> &MailCounters {
        &self.0.counters
    }

    /// The oldest job. It keeps its place until its fate is known.
    pub(super) fn pop(&self) -> Option<Queued> {
        let Waiting { job, places } = self.0.ring.pop()?;
        Some(Queued { job, passes: 0, place: Place { queue: self.clone(), places }, is_settled: false })
    }

    /// Promises nothing until then; `None` for from now on.
    pub(super) fn suspend_until(&self, until: Option<Moment>) {
        self.0.suspended_until.store(until.map_or(0, Moment::as_millis), Ordering::Relaxed);
    }

    /// Gives no more permits.
    pub(super) fn close(&self) {
        self.0.open.store(false, Ordering::Relaxed);
    }

    /// Whether no mail waits or is under way and no permit is out.
    pub(super) fn is_settled(&self) -> bool {
        self.0.free.load(Ordering::Acquire) == self.0.ring.capacity()
    }

    /// Sleeps until `ready` says so; looks again whenever a permit is used or dropped.
    pub(super) async fn until(&self, ready: impl Fn(&Self) -> bool) {
        poll_fn(|context| {
            // Registered before the look, so that a job submitted in between still wakes.
            self.0.delivery.register(context.waker());
            if ready(self) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

impl fmt::Debug for MailQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailQueue").field("queued", &self.queued()).finish_non_exhaustive()
    }
}

/// Some of the places; they are free again when it is dropped.
#[derive(Debug)]
struct Place {
    queue: MailQueue,
    places: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.queue.0.free.fetch_add(self.places, Ordering::Release);
        self.queue.0.delivery.wake();
    }
}

/// A mail on its way, with its place in the queue. Dropped before its fate is known (the process ends), it
/// counts as failed.
#[must_use = "a mail owes somebody word of its fate"]
pub(super) struct Queued {
    pub(super) job: Box<MailJob>,
    /// How often all providers were tried.
    pub(super) passes: u8,
    place: Place,
    is_settled: bool,
}

impl Queued {
    /// Counts its fate; code and address are wiped, the place is free.
    pub(super) fn settle(mut self, outcome: MailOutcome) {
        self.is_settled = true;
        self.place.queue.counters().count(outcome);
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        if !self.is_settled {
            self.place.queue.counters().count(MailOutcome::Failed);
        }
    }
}

/// A place in the queue. Dropped unused, it goes back.
#[derive(Debug)]
#[must_use = "a dropped permit gives its place back"]
pub struct Permit {
    place: Place,
}

impl Permit {
    /// Queues `job` in this place.
    pub fn submit(self, job: MailJob) {
        let shared = &self.place.queue.0;
        shared.counters.accepted.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting { job: Box::new(job), places: self.place.places };
        // The place is this permit's, so the ring has room. If that were ever wrong, the mail is counted as
        // failed and its code dies unconfirmed.
        if shared.ring.push(waiting).is_err() {
            shared.counters.count(MailOutcome::Failed);
            return;
        }
        shared.delivery.wake();
        // The places are the waiting mail's from now on.
        let Self { mut place } = self;
        place.places = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use authepy_engine::clock::Moment;
    use authepy_engine::code::Code;
    use authepy_engine::perimeter::api_key::Mode;
    use authepy_engine::request::MailForm;
    use authepy_engine::route::StartKeys;
    use authepy_engine::testing::Seeded;

    use super::*;
    use crate::delivery::{Awaited, CodeMail, Content, Templates};

    const NOW: Moment = Moment::from_millis(1_000);

    fn job(send: u8) -> MailJob {
        let id = StartKeys::draw(&mut Seeded::new(1)).fingerprint("ada", Mode::Live);
        MailJob {
            to: "ada@example.org".into(),
            content: Content::Code(CodeMail {
                code: Code::read("482913").unwrap(),
                project: "Acme".into(),
                wording: Templates::load(None, None).unwrap().wording("Acme", MailForm::default()),
                domain: None,
                lifetime: Duration::from_secs(300),
                awaited: Awaited { id, route: id.route(), send },
            }),
            expires: Moment::from_millis(1_000),
        }
    }

    #[test]
    fn a_full_queue_promises_nothing() {
        let queue = MailQueue::new(2);
        let (first, second) = (queue.reserve(NOW).unwrap(), queue.reserve(NOW).unwrap());
        assert!(queue.reserve(NOW).is_err());
        first.submit(job(1));
        assert!(queue.reserve(NOW).is_err(), "a queued mail keeps its place");
        drop(second);
        let again = queue.reserve(NOW).unwrap();
        assert_eq!(queue.pop().unwrap().job.awaited().unwrap().send, 1);
        assert!(!queue.is_settled());
        drop(again);
        assert!(queue.is_settled());
    }

    #[test]
    fn jobs_leave_in_order() {
        let queue = MailQueue::new(4);
        for send in 1..=4 {
            queue.reserve(NOW).unwrap().submit(job(send));
        }
        assert_eq!(queue.queued(), 4);
        let sends: Vec<u8> =
            std::iter::from_fn(|| queue.pop()).map(|mail| mail.job.awaited().unwrap().send).collect();
        assert_eq!(sends, [1, 2, 3, 4]);
    }

    #[test]
    fn a_stopped_queue_gives_no_permits() {
        let queue = MailQueue::new(2);
        queue.close();
        assert!(queue.reserve(NOW).is_err());
    }

    #[test]
    fn permits_and_jobs_never_exceed_the_places() {
        let queue = MailQueue::new(8);
        let produce = || {
            for turn in 0..20_000u32 {
                if let Ok(permit) = queue.reserve(NOW)
                    && turn % 3 > 0
                {
                    permit.submit(job(1));
                }
            }
        };
        std::thread::scope(|scope| {
            let lanes = [(); 4].map(|()| scope.spawn(produce));
            while lanes.iter().any(|lane| !lane.is_finished()) {
                let _taken = queue.pop();
            }
        });
        while queue.pop().is_some() {}
        assert!(queue.is_settled());
        let [sent, failed, ..] = queue.counters().outcomes().map(|(_, count)| count);
        assert_eq!((sent, failed), (0, queue.counters().accepted()), "no push was lost");
    }

    #[test]
    fn debug_shows_neither_address_nor_code() {
        let shown = format!("{:?}", job(1));
        assert!(!shown.contains("ada") && !shown.contains("482913"), "{shown}");
    }
}
