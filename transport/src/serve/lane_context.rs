//! What requests need on one lane: its shard, the API keys, the mail queue, the receipt keys.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::Guard;
use authepy_engine::actor::{Answer, Lane};
use authepy_engine::clock::{Moment, Now};
use authepy_engine::entropy::Entropy;
use authepy_engine::id::IdSecret;
use authepy_engine::identity::{KeyDigest, Mode};
use authepy_engine::perimeter::{KeyBook, KeyRecord};
use authepy_engine::recipient::{Realm, Recipient};
use authepy_engine::request::{Command, Expired};
use authepy_engine::route::{IdDigest, Route, StartKeys};
use authepy_http3::wiped::Wiped;

use crate::control::exposure::Exposed;
use crate::control::lookup::{KeyLookups, Verdict};
use crate::control::policy::Policy;
use crate::delivery::MailQueue;
use crate::delivery::events::{End, What};
use crate::ground::drain::Drain;
use crate::http::reply::{Problem, RequestId};
use crate::metrics::Counters;
use crate::overload::admission_queue::AdmissionQueue;
use crate::overload::shedding::Shedding;
use crate::serve::exposure::Exposures;
use crate::serve::lanes::LanesShared;
use crate::serve::receipt::ReceiptKeys;

/// One lane's context. Lives on its thread.
#[derive(Clone)]
pub struct LaneContext(Rc<Inner>);

struct Inner {
    lane: Lane,
    lanes: LanesShared,
    counters: Arc<Counters>,
    lookups: KeyLookups,
    /// Queues requests by the class of their key.
    admission_queue: Rc<AdmissionQueue>,
    /// Decides whose datagrams this lane reads.
    shedding: Rc<Shedding>,
    /// The value of the `Date` field and the second that it is for.
    date: RefCell<String>,
    date_second: Cell<u64>,
    /// Exposed keys that this lane has reported.
    exposures: Exposures,
    /// Buffer for decoding field sections, used by one request at a time; wiped after each.
    scratch: RefCell<Wiped>,
}

impl LaneContext {
    /// The context of `lane`.
    pub fn new(lane: Lane, lanes: LanesShared, counters: Arc<Counters>) -> Self {
        Self(Rc::new(Inner {
            lane,
            lookups: KeyLookups::new(lanes.keeper.clone()),
            lanes,
            counters,
            admission_queue: Rc::new(AdmissionQueue::new()),
            shedding: Rc::default(),
            date: RefCell::default(),
            date_second: Cell::new(0),
            exposures: Exposures::default(),
            scratch: RefCell::default(),
        }))
    }

    pub(crate) fn ask(&self, route: Route, command: Command) -> Answer {
        self.0.lane.ask(route, command)
    }

    /// The recipient that `raw` names, if a key of this mode may use it.
    ///
    /// A test key may use anything with the syntax of an address, including names reserved for
    /// tests and documentation, because nothing is mailed. The catalog of disposable domains
    /// applies to it as to a live key, so that callers can test that refusal too.
    pub(crate) fn recipient(&self, raw: &str, mode: Mode) -> Result<Recipient, Problem> {
        let lanes = &self.0.lanes;
        let realm = match mode {
            Mode::Test => Realm::Dev,
            Mode::Live => lanes.realm,
        };
        let recipient =
            Recipient::parse(raw, realm, &lanes.providers).map_err(|_| Problem::InvalidRecipient)?;
        let policy = lanes.shared.policy.read();
        if policy.refuses(policy.catalog.class(recipient.domain())) {
            return Err(Problem::DisposableDomain);
        }
        Ok(recipient)
    }

    pub(crate) fn draw_secret(&self) -> IdSecret {
        self.0.lane.with_entropy(IdSecret::draw)
    }

    /// 128 random bits.
    pub(crate) fn draw_token(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.0.lane.with_entropy(|entropy| entropy.fill(&mut bytes));
        bytes
    }

    pub(crate) fn request_id(&self) -> RequestId {
        let mut bytes = [0; 8];
        self.0.lane.with_entropy(|entropy| entropy.fill(&mut bytes));
        RequestId::of(u64::from_le_bytes(bytes))
    }

    /// Calls `with` with the value of the `Date` field (RFC 9110, 5.6.7).
    pub(crate) fn with_date<T>(&self, with: impl FnOnce(&str) -> T) -> T {
        let second = self.now().unix_ms / 1_000;
        if self.0.date_second.replace(second) != second {
            let time =
                std::time::UNIX_EPOCH + std::time::Duration::from_secs(second.min(u64::from(u32::MAX)));
            *self.0.date.borrow_mut() = httpdate::fmt_http_date(time);
        }
        with(&self.0.date.borrow())
    }

    /// Calls `with` with this lane's decoding buffer.
    pub(crate) fn with_scratch<T>(&self, with: impl FnOnce(&mut Wiped) -> T) -> T {
        with(&mut self.0.scratch.borrow_mut())
    }

    pub(crate) fn now(&self) -> Now {
        self.0.lane.now()
    }

    /// When the ban of this address ends; `None` if this lane knows of none.
    pub(crate) fn banned_until(&self, address: IpAddr) -> Option<Moment> {
        self.0.lane.banned_until(address)
    }

    pub(crate) fn start_keys(&self) -> &StartKeys {
        self.0.lane.keys()
    }

    /// The present key book; a request in progress keeps the book that it began with.
    pub(crate) fn keys(&self) -> Guard<Arc<KeyBook>> {
        self.0.lanes.shared.keys.read()
    }

    /// Looks up a key that is not in the key book. After [`Verdict::Listed`] it is.
    pub(crate) async fn look_up(&self, key: KeyDigest) -> Verdict {
        self.0.lookups.find(key, || self.now().at).await
    }

    pub(crate) fn receipts(&self) -> &ReceiptKeys {
        &self.0.lanes.receipts
    }

    pub(crate) fn mail(&self) -> &MailQueue {
        &self.0.lanes.shared.mail
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    pub(crate) fn admission_queue(&self) -> &Rc<AdmissionQueue> {
        &self.0.admission_queue
    }

    pub(crate) fn shedding(&self) -> &Rc<Shedding> {
        &self.0.shedding
    }

    /// Reports a secret key that was sent by what looks like a browser. It is counted every time
    /// but told only once in a while, because the finder of the key decides how often it is used.
    /// Lanes can't change keys, so revoking it is up to the control plane.
    pub(crate) fn key_exposed(&self, key: &KeyRecord) {
        self.0.counters.key_exposed();
        let (now, shared) = (self.now(), &self.0.lanes.shared);
        if shared.policy.read().revoke_exposed && self.0.exposures.is_to_be_reported(&key.id, now.at) {
            let report = Exposed { id: key.id.clone(), key: key.digest.clone() };
            // If the queue is full, one of the next requests reports it.
            let _full = self.0.lanes.exposed.try_send(report);
        }
        if self.0.exposures.is_to_be_told(&key.id, now.at) {
            shared.events.tell(now.unix_ms, || What::KeyExposed {
                key: key.id.clone(),
                project: key.project_name.clone(),
            });
            tracing::warn!(
                event = "key.exposed",
                key = &*key.id,
                "a secret key came from a browser: rotate it"
            );
        }
    }

    /// Sends an event: a verification of a live key ended.
    pub(crate) fn ended(&self, key: &KeyRecord, verification: IdDigest, end: End) {
        if key.mode == Mode::Live {
            let project = || key.project_name.clone();
            let what = || What::Verification { verification, project: project(), end };
            self.0.lanes.shared.events.tell(self.now().unix_ms, what);
        }
    }

    /// Logs what this lane's shard decides by itself, and sends events of it to the operator's
    /// endpoint if there is one.
    pub(crate) fn watch_shard(&self) {
        let (lane, shared) = (self.0.lane.clone(), self.0.lanes.shared.clone());
        self.0.lane.on_ban(move |prefix| {
            let (now, keys) = (lane.now(), lane.keys());
            if let Some(ban) = lane.own_ban(&prefix) {
                let seconds = ban.until.since(now.at).as_secs();
                let peer = keys.prefix_digest(&prefix);
                shared.events.tell(now.unix_ms, || What::Banned { peer, seconds });
                // At level debug, because attackers decide how many there are.
                tracing::debug!(event = "peer.banned", %peer, seconds, "banned");
            }
        });
        if !self.0.lanes.shared.events.are_on() {
            return;
        }
        let (lane, shared) = (self.0.lane.clone(), self.0.lanes.shared.clone());
        self.0.lane.on_expired(move |ended| {
            let (now, book) = (lane.now(), shared.keys.read());
            for Expired { id, project } in ended {
                // A project without keys has no one who needs the event.
                let Some(project) = book.project_name(*project) else { continue };
                let (verification, project) = (*id, project.clone());
                let what = || What::Verification { verification, project, end: End::Expired };
                shared.events.tell(now.unix_ms, what);
            }
        });
    }

    pub(crate) fn drain(&self) -> &Drain {
        &self.0.lanes.shared.drain
    }

    /// The present policy of the operator.
    pub(crate) fn policy(&self) -> Guard<Arc<Policy>> {
        self.0.lanes.shared.policy.read()
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.0.lanes.shared.is_ready()
    }
}
