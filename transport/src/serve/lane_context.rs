//! What serving needs, gathered for one lane: its shard, the keys, the mail queue, the receipt keys.

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
    /// Where requests wait for their turn, by the class of their key.
    admission_queue: Rc<AdmissionQueue>,
    /// Whom this lane hears.
    shedding: Rc<Shedding>,
    /// The `Date` field and the second it was made for.
    date: RefCell<String>,
    date_second: Cell<u64>,
    /// Exposed keys that this lane has told of.
    exposures: Exposures,
    /// Where field sections are decoded, one request at a time; wiped after each.
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

    /// The recipient that `raw` names, if a key of this mode may name it.
    ///
    /// To a test key that is whatever has the syntax of an address, the names reserved for tests and
    /// documentation among them: nothing is mailed. The catalog answers it like a live key, so that its
    /// caller can test that refusal too.
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

    /// Runs `with` with the `Date` field's value (RFC 9110, 5.6.7).
    pub(crate) fn with_date<T>(&self, with: impl FnOnce(&str) -> T) -> T {
        let second = self.now().unix_ms / 1_000;
        if self.0.date_second.replace(second) != second {
            let time =
                std::time::UNIX_EPOCH + std::time::Duration::from_secs(second.min(u64::from(u32::MAX)));
            *self.0.date.borrow_mut() = httpdate::fmt_http_date(time);
        }
        with(&self.0.date.borrow())
    }

    /// Runs `with` with this lane's decoding buffer.
    pub(crate) fn with_scratch<T>(&self, with: impl FnOnce(&mut Wiped) -> T) -> T {
        with(&mut self.0.scratch.borrow_mut())
    }

    pub(crate) fn now(&self) -> Now {
        self.0.lane.now()
    }

    /// When the ban of this address ends, as far as this lane has heard of one.
    pub(crate) fn banned_until(&self, address: IpAddr) -> Option<Moment> {
        self.0.lane.banned_until(address)
    }

    pub(crate) fn start_keys(&self) -> &StartKeys {
        self.0.lane.keys()
    }

    /// The keys as they are now; a request that began keeps the book it began with.
    pub(crate) fn keys(&self) -> Guard<Arc<KeyBook>> {
        self.0.lanes.shared.keys.read()
    }

    /// Asks about a key that the book does not hold. After [`Verdict::Listed`] it does.
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

    /// A secret key came from what looks like a browser: counted each time, told once in a while, since whoever
    /// found the key decides how often. Lanes can't change keys: that one is to be revoked is the control plane's
    /// to decide and do.
    pub(crate) fn key_exposed(&self, key: &KeyRecord) {
        self.0.counters.key_exposed();
        let (now, shared) = (self.now(), &self.0.lanes.shared);
        if shared.policy.read().revoke_exposed && self.0.exposures.is_to_be_reported(&key.id, now.at) {
            let report = Exposed { id: key.id.clone(), key: key.digest.clone() };
            // Without room it is reported by one of its next requests.
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

    /// A verification of a live key ended.
    pub(crate) fn ended(&self, key: &KeyRecord, verification: IdDigest, end: End) {
        if key.mode == Mode::Live {
            let project = || key.project_name.clone();
            let what = || What::Verification { verification, project: project(), end };
            self.0.lanes.shared.events.tell(self.now().unix_ms, what);
        }
    }

    /// Tells the log, and the operator's endpoint if there is one, of what this lane's shard decides by itself.
    pub(crate) fn watch_shard(&self) {
        let (lane, shared) = (self.0.lane.clone(), self.0.lanes.shared.clone());
        self.0.lane.on_ban(move |prefix| {
            let (now, keys) = (lane.now(), lane.keys());
            if let Some(ban) = lane.own_ban(&prefix) {
                let seconds = ban.until.since(now.at).as_secs();
                let peer = keys.prefix_digest(&prefix);
                shared.events.tell(now.unix_ms, || What::Banned { peer, seconds });
                // Not at a level that is on: attackers decide how many there are.
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
                // A project without keys has nobody who would miss it.
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

    /// The operator's word as it is now.
    pub(crate) fn policy(&self) -> Guard<Arc<Policy>> {
        self.0.lanes.shared.policy.read()
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.0.lanes.shared.is_ready()
    }
}
