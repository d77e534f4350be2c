//! The bounded way from the lanes to the delivery thread.
//!
//! ```text
//!   lane: reserve() ─▶ Permit ─▶ submit(job) ─▶ ring ─▶ pop() :delivery
//!              └─ None: 503, nothing promised      └─ the place is free again
//! ```
//!
//! A place is reserved before a code exists, so a promise made can be kept: [`Permit::submit`] can't
//! fail. Lanes never wait, never lock, and wake the delivery thread only while it sleeps.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;

use crossbeam_queue::ArrayQueue;
use futures_util::task::AtomicWaker;

use super::job::MailJob;

/// What a waiting mail counts for: the job with its address, names and allocator overhead.
const MAIL_BYTES: u64 = 1_024;

/// What became of mails since the start.
#[derive(Debug, Default)]
pub struct MailCounters {
    pub(super) sent: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) expired: AtomicU64,
    pub(super) maybe_sent: AtomicU64,
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
}

/// The lanes' end of the ring. Cloning gives the same queue.
#[derive(Clone)]
pub struct MailQueue(Arc<Shared>);

struct Shared {
    /// Boxed: moving a job through the ring leaves only pointers behind, the job itself is wiped.
    ring: ArrayQueue<Box<MailJob>>,
    /// Neither reserved nor taken. Places in the ring = this + permits + queued jobs, so a permit's
    /// push always finds room.
    free: AtomicUsize,
    open: AtomicBool,
    delivery: AtomicWaker,
    counters: Arc<MailCounters>,
}

impl MailQueue {
    pub(super) fn new(places: usize) -> Self {
        let places = places.max(1);
        Self(Arc::new(Shared {
            ring: ArrayQueue::new(places),
            free: AtomicUsize::new(places),
            open: AtomicBool::new(true),
            delivery: AtomicWaker::new(),
            counters: Arc::default(),
        }))
    }

    /// Takes a place for one mail. `None` if there is none, or if the delivery stopped: the caller must
    /// refuse before it promises anything.
    pub fn reserve(&self) -> Option<Permit> {
        if !self.0.open.load(Ordering::Relaxed) {
            return None;
        }
        let one_less = |free: usize| free.checked_sub(1);
        self.0.free.fetch_update(Ordering::Acquire, Ordering::Relaxed, one_less).ok()?;
        Some(Permit { queue: self.clone(), used: false })
    }

    /// Mails waiting for their turn.
    pub fn queued(&self) -> usize {
        self.0.ring.len()
    }

    /// What waiting mails count for, in bytes.
    pub fn bytes(&self) -> u64 {
        (self.queued() as u64).saturating_mul(MAIL_BYTES)
    }

    /// What became of the mails.
    pub fn counters(&self) -> Arc<MailCounters> {
        self.0.counters.clone()
    }

    pub(super) fn count(&self) -> &MailCounters {
        &self.0.counters
    }

    /// The oldest job; its place is free again.
    pub(super) fn pop(&self) -> Option<Box<MailJob>> {
        let job = self.0.ring.pop()?;
        self.0.free.fetch_add(1, Ordering::Release);
        Some(job)
    }

    /// Gives no more permits.
    pub(super) fn close(&self) {
        self.0.open.store(false, Ordering::Relaxed);
    }

    /// Whether no job waits and no permit is out.
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

/// A place in the queue. Dropped unused, it goes back.
#[derive(Debug)]
#[must_use = "a dropped permit gives its place back"]
pub struct Permit {
    queue: MailQueue,
    used: bool,
}

impl Permit {
    /// Queues `job` in this place.
    pub fn submit(mut self, job: MailJob) {
        // The place is this permit's, so the ring has room. If that were ever wrong, the mail is
        // counted as failed and its code dies unconfirmed.
        self.used = self.queue.0.ring.push(Box::new(job)).is_ok();
        if !self.used {
            self.queue.0.counters.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.used {
            self.queue.0.free.fetch_add(1, Ordering::Release);
        }
        self.queue.0.delivery.wake();
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
        let (first, second) = (queue.reserve().unwrap(), queue.reserve().unwrap());
        assert!(queue.reserve().is_none());
        first.submit(job(1));
        assert!(queue.reserve().is_none(), "a queued mail keeps its place");
        drop(second);
        let again = queue.reserve().unwrap();
        assert_eq!(queue.pop().unwrap().awaited().unwrap().send, 1);
        assert!(!queue.is_settled());
        drop(again);
        assert!(queue.is_settled());
    }

    #[test]
    fn jobs_leave_in_order() {
        let queue = MailQueue::new(4);
        for send in 1..=4 {
            queue.reserve().unwrap().submit(job(send));
        }
        assert_eq!(queue.queued(), 4);
        let sends: Vec<u8> =
            std::iter::from_fn(|| queue.pop()).map(|job| job.awaited().unwrap().send).collect();
        assert_eq!(sends, [1, 2, 3, 4]);
    }

    #[test]
    fn a_stopped_queue_gives_no_permits() {
        let queue = MailQueue::new(2);
        queue.close();
        assert!(queue.reserve().is_none());
    }

    #[test]
    fn permits_and_jobs_never_exceed_the_places() {
        let queue = MailQueue::new(8);
        let produce = || {
            for turn in 0..20_000u32 {
                if let Some(permit) = queue.reserve()
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
        assert_eq!(queue.count().failed.load(Ordering::Relaxed), 0, "no push failed");
    }

    #[test]
    fn debug_shows_neither_address_nor_code() {
        let shown = format!("{:?}", job(1));
        assert!(!shown.contains("ada") && !shown.contains("482913"), "{shown}");
    }
}
