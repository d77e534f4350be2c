//! The record of one network: its counted requests and its strikes.
//!
//! A plain value with rules, like the inbox's. Requests are counted when they arrive, whatever
//! their outcome, except those that the same policy of the same network refused.

use std::hash::{Hash, Hasher};

use super::limit::Limits;
use super::log::BLOCK_BYTES;
use super::strike::Strikes;
use super::window::WindowLog;
use crate::clock::{Moment, Span};
use crate::identity::Mode;
use crate::peer::Prefix;
use crate::request::{Activity, Quotas, Source};
use crate::rules::Rules;
use crate::rules::strike::Kept;

/// The name of a record: a network, and who reported it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PeerName {
    pub(crate) prefix: Prefix,
    pub(crate) source: Source,
}

/// Not derived: nearly all names are proved, and those then hash as one word.
impl Hash for PeerName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.prefix.hash(state);
        if let Source::Claimed(owner) = self.source {
            owner.hash(state);
        }
    }
}

/// Policies that apply to most peers: their logs are part of the record.
const USUAL: usize = 5;
/// Policies that apply to few peers: the windows of test keys, and that of foreign pages.
const RARE: usize = 3;

type RareLogs = [WindowLog; RARE];

/// All that is known about one network from one source. Owned by the shard that the widest network
/// around it routes to.
#[derive(Debug)]
pub(crate) struct PeerRecord {
    pub(crate) name: PeerName,
    logs: [WindowLog; USUAL],
    rare: Option<Box<RareLogs>>,
    strikes: Option<Box<Strikes>>,
}

/// Whether a record has strikes, and how many requests it remembers. The least weight is evicted
/// first.
pub(crate) type Weight = (bool, usize);

/// A request to be counted.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    pub(crate) activity: Activity,
    pub(crate) mode: Mode,
    /// Whether a breached window costs a strike.
    pub(crate) strikes: bool,
    /// Whether the record may allocate for it. If not, the request replaces an older one.
    pub(crate) may_grow: bool,
}

/// The result of a charge for one network.
pub(crate) struct RecordCharge {
    /// Whether a window refused the request.
    pub(crate) is_refused: bool,
    /// Whether the request led to the strike that bans.
    pub(crate) is_out: bool,
    pub(crate) quotas: Quotas,
}

impl PeerRecord {
    /// A new record; `strikes` are those of the network's evicted record.
    pub(crate) fn new(name: PeerName, strikes: Option<Kept>, rule: Limits<'_>) -> Self {
        let strikes = strikes.map(|kept| Box::new(Strikes::restored(&kept, rule)));
        Self { name, logs: Default::default(), rare: None, strikes }
    }

    /// Counts a request, or refuses it, which may cost a strike.
    pub(crate) fn charge(&mut self, request: Request, rules: &Rules, now: Moment) -> RecordCharge {
        let policy = policy(request.activity, request.mode);
        let limits = self.limits(request.activity, rules);
        let Self { name, logs, rare, strikes } = self;
        let mut unkept = WindowLog::default();
        let log = log_of(logs, rare, policy, request.may_grow).unwrap_or(&mut unkept);
        let is_refused = log.permits(limits, now).is_err();
        match (is_refused, request.may_grow) {
            (true, _) => {}
            (false, true) => log.record(limits, now),
            (false, false) => log.record_in_place(limits, now),
        }
        let may_strike = is_refused && request.strikes && !rules.strikes.is_empty();
        // The list of exempt blocks may be long, and a network that has a strike already is not
        // exempt.
        let is_out = may_strike
            && (strikes.is_some() || !rules.settings.bans.exempts(name.prefix))
            && breach(strikes.get_or_insert_default(), (log, policy), limits, rules, now);
        RecordCharge { is_refused, is_out, quotas: log.quotas(limits, now) }
    }

    /// How long the next request will have to wait; `None` if it need not.
    pub(crate) fn wait(&self, activity: Activity, mode: Mode, rules: &Rules, now: Moment) -> Option<Span> {
        let limits = self.limits(activity, rules);
        let unkept = WindowLog::default();
        self.log(policy(activity, mode)).unwrap_or(&unkept).permits(limits, now).err()
    }

    fn limits<'a>(&self, activity: Activity, rules: &'a Rules) -> Limits<'a> {
        rules.peer(activity).limits().times(self.name.prefix.level().factor())
    }

    fn log(&self, policy: usize) -> Option<&WindowLog> {
        match policy.checked_sub(USUAL) {
            None => self.logs.get(policy),
            Some(rare) => self.rare.as_ref()?.get(rare),
        }
    }

    fn all_logs(&self) -> impl Iterator<Item = &WindowLog> {
        self.logs.iter().chain(self.rare.iter().flat_map(|rare| rare.iter()))
    }

    /// Back to strike 0, when a ban begins or an operator lifts one.
    pub(crate) fn clear_strikes(&mut self) {
        self.strikes.iter_mut().for_each(|strikes| strikes.clear());
    }

    /// Drops what is outside every window. Returns when the record will be empty, or `None` if it
    /// is.
    pub(crate) fn prune(&mut self, rules: &Rules, now: Moment) -> Option<Moment> {
        let rule = rules.strikes.limits();
        let mut end = None;
        for (activity, mode) in EVERY_POLICY {
            let limits = self.limits(activity, rules);
            let Self { logs, rare, .. } = self;
            let Some(log) = log_of(logs, rare, policy(activity, mode), false) else { continue };
            if log.is_empty() {
                continue;
            }
            log.prune(limits, now);
            end = end.max(log.empty_at(limits));
        }
        self.rare.take_if(|rare| rare.iter().all(WindowLog::is_empty));
        self.strikes.take_if(|strikes| strikes.prune(rule, now));
        end.max(self.strikes.as_ref().and_then(|strikes| strikes.empty_at(rule)))
    }

    /// Whether evicting the record would forgive strikes.
    pub(crate) fn has_strikes(&self) -> bool {
        self.strikes.is_some()
    }

    /// The strikes that count at `now`.
    pub(crate) fn strikes(&self, rules: &Rules, now: Moment) -> Option<Kept> {
        self.strikes.as_ref()?.kept(rules.strikes.limits(), now)
    }

    /// Prefetches all of the record, which is longer than a cache line; see
    /// [`crate::shard::touch`].
    pub(crate) fn touch(&self) -> u64 {
        self.logs.iter().fold(u64::from(self.has_strikes()), |sum, log| sum ^ log.touch())
    }

    /// How much the peer would gain from eviction.
    pub(crate) fn weight(&self) -> Weight {
        (self.has_strikes(), self.all_logs().map(WindowLog::len).sum())
    }

    /// Bytes besides the record itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.all_logs().map(WindowLog::heap_bytes).sum::<usize>() + self.boxes_bytes()
    }

    /// Those of them that a charge can change.
    pub(crate) fn heap_bytes_of(&self, activity: Activity, mode: Mode) -> usize {
        self.log(policy(activity, mode)).map_or(0, WindowLog::heap_bytes) + self.boxes_bytes()
    }

    fn boxes_bytes(&self) -> usize {
        let strikes = |strikes: &Strikes| size_of::<Strikes>() + strikes.heap_bytes() + 2 * BLOCK_BYTES;
        let rare = self.rare.as_ref().map_or(0, |_| size_of::<RareLogs>() + BLOCK_BYTES);
        self.strikes.as_deref().map_or(0, strikes) + rare
    }
}

/// The log of a policy. The log of a rare policy may be missing; it is created if `may_grow`.
fn log_of<'a>(
    logs: &'a mut [WindowLog; USUAL],
    rare: &'a mut Option<Box<RareLogs>>,
    policy: usize,
    may_grow: bool,
) -> Option<&'a mut WindowLog> {
    match policy.checked_sub(USUAL) {
        None => logs.get_mut(policy),
        Some(at) if may_grow => rare.get_or_insert_default().get_mut(at),
        Some(at) => rare.as_mut()?.get_mut(at),
    }
}

/// Counts a strike for a refusing policy, unless all limits that refused have struck already. True
/// if this strike bans.
fn breach(
    strikes: &mut Strikes,
    (log, policy): (&WindowLog, usize),
    limits: Limits<'_>,
    rules: &Rules,
    now: Moment,
) -> bool {
    let mut is_first = false;
    for (nth, window) in limits.iter().enumerate() {
        if log.wait(&window, now).is_some() {
            is_first |= strikes.latch((policy as u8, nth as u8), window.span, now);
        }
    }
    is_first && strikes.strike(rules.strikes.limits(), now)
}

const EVERY_POLICY: [(Activity, Mode); USUAL + RARE] = [
    (Activity::Issue, Mode::Live),
    (Activity::Check, Mode::Live),
    (Activity::Denied, Mode::Live),
    (Activity::Handshake, Mode::Live),
    (Activity::Any, Mode::Live),
    (Activity::Issue, Mode::Test),
    (Activity::Check, Mode::Test),
    (Activity::Foreign, Mode::Live),
];

/// Test keys have their own issue and check windows.
fn policy(activity: Activity, mode: Mode) -> usize {
    match (activity, mode) {
        (Activity::Issue, Mode::Live) => 0,
        (Activity::Check, Mode::Live) => 1,
        (Activity::Denied, _) => 2,
        (Activity::Handshake, _) => 3,
        (Activity::Any, _) => 4,
        (Activity::Issue, Mode::Test) => 5,
        (Activity::Check, Mode::Test) => 6,
        (Activity::Foreign, _) => 7,
    }
}
