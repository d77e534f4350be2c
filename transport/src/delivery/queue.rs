//! Bounded queue from the lanes to the delivery thread.
//!
//! ```text
//!   lane: reserve() ─▶ Permit ─▶ submit(job) ─▶ ring ─▶ pop() by delivery ─▶ settle: the place is released
//!              └─ Err: 503, nothing issued
//! ```
//!
//! A place is reserved before a code is issued, so [`Permit::submit`] can't fail. Lanes never wait
//! or lock, and wake the delivery thread only while it sleeps.
//!
//! No project can fill the queue: each holds at most as many places as are still free ([`Places`]),
//! resends included. Some places are kept for alerts, which matter most when the queue is full.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use authepy_engine::clock::Moment;
use authepy_engine::identity::ProjectId;
use authepy_engine::limits::DELIVERY_RETRY_AFTER;

use crossbeam_queue::ArrayQueue;
use futures_util::task::AtomicWaker;

use super::job::MailJob;
use super::pace::Pace;
use super::places::{Holder, Places};
use crate::delivery::events::MailOutcome;

/// Memory accounted for a waiting mail: the job with its address, names and allocator overhead.
pub(super) const MAIL_BYTES: u64 = 1_024;
/// 1/16 of the places is kept for alerts: 512 of 8,192, two dozen alerts to ten addresses each.
const ALERT_PART: usize = 16;

/// Counts of mails since the start. `accepted` equals the sum of all outcomes plus the mails still
/// held.
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
    /// Every outcome and its count.
    pub fn outcomes(&self) -> [(&'static str, u64); 4] {
        [
            ("sent", &self.sent),
            ("failed", &self.failed),
            ("expired", &self.expired),
            ("maybe_sent", &self.maybe_sent),
        ]
        .map(|(name, counter)| (name, counter.load(Ordering::Relaxed)))
    }

    /// Mails accepted into the queue.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// How often a provider's breaker opened.
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

/// The lanes' handle. Clones share one queue.
#[derive(Clone)]
pub struct MailQueue(Arc<Shared>);

/// A mail in the ring, and its places.
struct Waiting {
    /// Boxed, so that moves through the ring copy only a pointer and the job is wiped in place.
    job: Box<MailJob>,
    held: Held,
}

/// The two pools of places; one place stands for 1 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Mails,
    Alerts,
}

/// Places taken for a holder.
#[derive(Clone, Copy, Debug)]
struct Held {
    kind: Kind,
    holder: Holder,
    places: usize,
}

struct Shared {
    ring: ArrayQueue<Waiting>,
    /// Capacity of the ring = free places of both kinds + permits + queued jobs + jobs taken out,
    /// so a permit's push always succeeds.
    mails: Places,
    alerts: Places,
    /// Mails taken out of the ring that wait for a send, and the number of their projects.
    lined: AtomicUsize,
    lined_projects: AtomicUsize,
    pace: Pace,
    open: AtomicBool,
    /// No permits are given until then because no provider works: milliseconds of [`Moment`].
    suspended_until: AtomicU64,
    delivery: AtomicWaker,
    counters: MailCounters,
}

impl Shared {
    fn places(&self, kind: Kind) -> &Places {
        match kind {
            Kind::Mails => &self.mails,
            Kind::Alerts => &self.alerts,
        }
    }
}

impl MailQueue {
    pub(super) fn new(places: usize) -> Self {
        let places = places.max(1);
        let alerts = places / ALERT_PART;
        Self(Arc::new(Shared {
            ring: ArrayQueue::new(places),
            mails: Places::new(places - alerts),
            alerts: Places::new(alerts),
            lined: AtomicUsize::new(0),
            lined_projects: AtomicUsize::new(0),
            pace: Pace::default(),
            open: AtomicBool::new(true),
            suspended_until: AtomicU64::new(0),
            delivery: AtomicWaker::new(),
            counters: MailCounters::default(),
        }))
    }

    /// Reserves a place for one mail of a project. Fails if the project has its share, no provider
    /// works, or delivery has stopped; the caller must then refuse the request. The error says when
    /// to try again.
    pub fn reserve(&self, now: Moment, project: ProjectId) -> Result<Permit, Duration> {
        self.ready(now)?;
        let held = Held { kind: Kind::Mails, holder: Holder::Project(project), places: 1 };
        self.take(held, now).ok_or_else(|| self.wait(now))
    }

    /// Like [`MailQueue::reserve`], for an alert of a project (or of the service) that takes
    /// `bytes` of memory; each place stands for 1 KiB. Alerts use their own places first, then
    /// those of mails.
    pub fn reserve_alert(
        &self,
        now: Moment,
        project: Option<ProjectId>,
        bytes: usize,
    ) -> Result<Permit, Duration> {
        self.ready(now)?;
        let places = bytes.div_ceil(MAIL_BYTES as usize).max(1);
        let holder = project.map_or(Holder::Service, Holder::Project);
        let of = |kind| self.take(Held { kind, holder, places }, now);
        of(Kind::Alerts).or_else(|| of(Kind::Mails)).ok_or_else(|| self.wait(now))
    }

    /// Whether permits are given now.
    fn ready(&self, now: Moment) -> Result<(), Duration> {
        if !self.0.open.load(Ordering::Relaxed) {
            return Err(DELIVERY_RETRY_AFTER);
        }
        let suspended_until = Moment::from_millis(self.0.suspended_until.load(Ordering::Relaxed));
        if suspended_until > now { Err(suspended_until.since(now)) } else { Ok(()) }
    }

    fn take(&self, held: Held, now: Moment) -> Option<Permit> {
        if self.is_settled() {
            // Start to measure how long the next mail takes.
            self.0.pace.begin(now);
        }
        let taken = self.0.places(held.kind).take(held.holder, held.places);
        taken.then(|| Permit { place: QueueSlot { queue: self.clone(), held } })
    }

    fn wait(&self, now: Moment) -> Duration {
        self.0.pace.wait(now, self.0.lined_projects.load(Ordering::Relaxed))
    }

    /// Number of mails waiting to be sent.
    pub fn queued(&self) -> usize {
        self.0.ring.len() + self.0.lined.load(Ordering::Relaxed)
    }

    /// Memory accounted for all taken places, in bytes.
    pub fn bytes(&self) -> u64 {
        let taken = self.0.mails.taken() + self.0.alerts.taken();
        (taken as u64).saturating_mul(MAIL_BYTES)
    }

    /// Counts of mails.
    pub fn counters(&self) -> &MailCounters {
        &self.0.counters
    }

    /// Takes the oldest job out. It keeps its place until its outcome is known.
    pub(super) fn pop(&self) -> Option<Queued> {
        let Waiting { job, held } = self.0.ring.pop()?;
        Some(Queued { job, passes: 0, place: QueueSlot { queue: self.clone(), held }, is_settled: false })
    }

    /// Whether a mail waits in the ring.
    pub(super) fn has_news(&self) -> bool {
        !self.0.ring.is_empty()
    }

    /// Records how many mails, of how many projects, delivery has taken out of the ring but not
    /// begun to send.
    pub(super) fn note_lined(&self, mails: usize, projects: usize) {
        self.0.lined.store(mails, Ordering::Relaxed);
        self.0.lined_projects.store(projects, Ordering::Relaxed);
    }

    /// Gives no permits until then; `None` resumes now.
    pub(super) fn suspend_until(&self, until: Option<Moment>) {
        self.0.suspended_until.store(until.map_or(0, Moment::as_millis), Ordering::Relaxed);
    }

    /// Gives no more permits.
    pub(super) fn close(&self) {
        self.0.open.store(false, Ordering::Relaxed);
    }

    /// Whether no mail waits or is in progress and no permit is held.
    pub(super) fn is_settled(&self) -> bool {
        self.0.mails.taken() == 0 && self.0.alerts.taken() == 0
    }

    /// Waits until `ready` returns true; checks again whenever a permit is used or dropped.
    pub(super) async fn until(&self, ready: impl Fn(&Self) -> bool) {
        poll_fn(|context| {
            // Registered before the check, so that a job submitted in between still wakes it.
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

/// Taken places; dropping them releases them.
#[derive(Debug)]
struct QueueSlot {
    queue: MailQueue,
    held: Held,
}

impl Drop for QueueSlot {
    fn drop(&mut self) {
        let Held { kind, holder, places } = self.held;
        if places > 0 {
            self.queue.0.places(kind).give_back(holder, places);
            self.queue.0.delivery.wake();
        }
    }
}

/// A mail being delivered, with its place in the queue. If dropped before its outcome is known (at
/// process exit), it counts as failed.
#[must_use = "the outcome of a mail must be settled"]
pub(super) struct Queued {
    pub(super) job: Box<MailJob>,
    /// Number of passes over all providers.
    pub(super) passes: u8,
    place: QueueSlot,
    is_settled: bool,
}

impl Queued {
    /// The owner of its place.
    pub(super) fn holder(&self) -> Holder {
        self.place.held.holder
    }

    /// Counts the outcome, wipes code and address, releases the place.
    pub(super) fn settle(mut self, outcome: MailOutcome, now: Moment) {
        self.is_settled = true;
        self.place.queue.0.pace.left(now);
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

/// A reserved place in the queue. Dropping it unused releases the place.
#[derive(Debug)]
#[must_use = "dropping a permit releases its place"]
pub struct Permit {
    place: QueueSlot,
}

impl Permit {
    /// Queues `job` in this place.
    pub fn submit(self, job: MailJob) {
        let shared = &self.place.queue.0;
        shared.counters.accepted.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting { job: Box::new(job), held: self.place.held };
        // The permit holds a place, so the ring has room. If it did not, the mail would count as
        // failed and its code would expire unconfirmed.
        if shared.ring.push(waiting).is_err() {
            shared.counters.count(MailOutcome::Failed);
            return;
        }
        shared.delivery.wake();
        // The waiting mail owns the places from now on.
        let Self { mut place } = self;
        place.held.places = 0;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use authepy_engine::clock::Moment;
    use authepy_engine::code::Code;
    use authepy_engine::identity::Mode;
    use authepy_engine::request::MailForm;
    use authepy_engine::route::{IdDigest, StartKeys};
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
                awaited: Awaited { id: IdDigest::from_bytes(*id.as_bytes()), route: id.route(), send },
            }),
            expires: Moment::from_millis(1_000),
        }
    }

    const ACME: ProjectId = ProjectId(1);
    const SHOP: ProjectId = ProjectId(2);
    const BANK: ProjectId = ProjectId(3);

    /// `mails` mails of a project, out of a queue of their own.
    pub(in crate::delivery) fn queued(project: u32, mails: usize) -> Vec<Queued> {
        let queue = MailQueue::new(4 * mails);
        for _ in 0..mails {
            queue.reserve(NOW, ProjectId(project)).unwrap().submit(job(1));
        }
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn a_full_queue_promises_nothing() {
        let queue = MailQueue::new(2);
        let (first, second) = (queue.reserve(NOW, ACME).unwrap(), queue.reserve(NOW, SHOP).unwrap());
        assert!(queue.reserve(NOW, BANK).is_err());
        first.submit(job(1));
        assert!(queue.reserve(NOW, BANK).is_err(), "a queued mail keeps its place");
        drop(second);
        let again = queue.reserve(NOW, BANK).unwrap();
        assert_eq!(queue.pop().unwrap().job.awaited().unwrap().send, 1);
        assert!(!queue.is_settled());
        drop(again);
        assert!(queue.is_settled());
    }

    #[test]
    fn a_projects_wave_leaves_room_for_the_others_and_for_alerts() {
        let queue = MailQueue::new(512);
        let all = |project| std::iter::from_fn(|| queue.reserve(NOW, project).ok()).collect::<Vec<_>>();
        let (first, second) = (all(ACME), all(SHOP));
        assert_eq!((first.len(), second.len()), (240, 120), "of 480, and 32 are for alerts");
        let alert = |project, bytes| queue.reserve_alert(NOW, project, bytes);
        let told: Vec<_> = std::iter::from_fn(|| alert(Some(ACME), 1_024).ok()).collect();
        assert_eq!(
            told.len(),
            16,
            "half of those for alerts, and none of the mails', where it has its share"
        );
        assert!(alert(None, 4_096).is_ok() && alert(Some(BANK), 8_192).is_ok());
        let taken = (first.len() + second.len() + told.len()) as u64;
        assert_eq!(queue.bytes(), taken * MAIL_BYTES);
        drop((first, second, told));
        assert!(queue.is_settled());
    }

    #[test]
    fn whoever_finds_no_place_hears_when_one_will_be_free() {
        let queue = MailQueue::new(4);
        let at = |seconds: u64| Moment::from_millis(1_000_000 + seconds * 1_000);
        for _ in 0..2 {
            queue.reserve(at(0), ACME).unwrap().submit(job(1));
        }
        assert_eq!(queue.reserve(at(0), ACME).unwrap_err(), DELIVERY_RETRY_AFTER);
        assert_eq!(queue.reserve(at(7), ACME).unwrap_err(), Duration::from_secs(7), "nothing has left yet");
        queue.pop().unwrap().settle(MailOutcome::Sent, at(7));
        queue.reserve(at(7), ACME).unwrap().submit(job(1));
        queue.note_lined(2, 2);
        assert_eq!(queue.reserve(at(8), ACME).unwrap_err(), Duration::from_secs(14), "every second turn");
    }

    #[test]
    fn jobs_leave_in_order() {
        let queue = MailQueue::new(8);
        for send in 1..=4 {
            queue.reserve(NOW, ACME).unwrap().submit(job(send));
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
        assert!(queue.reserve(NOW, ACME).is_err() && queue.reserve_alert(NOW, None, 1).is_err());
    }

    #[test]
    fn permits_and_jobs_never_exceed_the_places() {
        let queue = MailQueue::new(8);
        let produce = || {
            for turn in 0..20_000u32 {
                if let Ok(permit) = queue.reserve(NOW, ProjectId(turn % 5))
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
