//! The record of one network: what was asked from it, and how often that was too much.
//!
//! A plain value with rules, like the inbox's. Requests are counted when they arrive, whatever becomes of
//! them later, except those that the same policy of the same network refused.

use super::limit::{Limit, Limits};
use super::log::BLOCK_BYTES;
use super::rules::Rules;
use super::strike::Strikes;
use super::window::WindowLog;
use crate::clock::{Moment, Span};
use crate::perimeter::api_key::Mode;
use crate::perimeter::peer::Prefix;
use crate::request::{Activity, Quotas};

/// The policies of a peer; test keys have issue and check windows of their own.
const POLICIES: usize = 6;

/// Limits of what one peer may do. Empty means off.
#[derive(Clone, Debug, Default)]
pub struct PeerLimits {
    /// Issues and resends.
    pub issue: Vec<Limit>,
    /// Checks.
    pub check: Vec<Limit>,
    /// Refused requests.
    pub denied: Vec<Limit>,
    /// Completed handshakes.
    pub handshake: Vec<Limit>,
}

impl PeerLimits {
    /// The limits of one activity.
    pub fn of(&self, activity: Activity) -> &Vec<Limit> {
        match activity {
            Activity::Issue => &self.issue,
            Activity::Check => &self.check,
            Activity::Denied => &self.denied,
            Activity::Handshake => &self.handshake,
        }
    }
}

/// All that is known of one network. Owned by the shard that the widest network around it routes to.
#[derive(Debug)]
pub(super) struct PeerRecord {
    pub(super) prefix: Prefix,
    logs: [WindowLog; POLICIES],
    strikes: Option<Box<Strikes>>,
}

/// How a charge ended for one network.
pub(super) struct RecordCharge {
    /// Whether a window refused the request.
    pub(super) is_refused: bool,
    /// Whether the request brought the strike that bans.
    pub(super) is_out: bool,
    pub(super) quotas: Quotas,
}

impl PeerRecord {
    pub(super) fn new(prefix: Prefix) -> Self {
        Self { prefix, logs: Default::default(), strikes: None }
    }

    /// Counts a request, or refuses it and perhaps strikes.
    pub(super) fn charge(
        &mut self,
        activity: Activity,
        mode: Mode,
        rules: &Rules,
        now: Moment,
    ) -> RecordCharge {
        let policy = policy(activity, mode);
        let limits = rules.peer(activity).limits().times(self.prefix.level().factor());
        let is_refused = self.logs[policy].permits(limits, now).is_err();
        if !is_refused {
            self.logs[policy].record(limits, now);
        }
        let is_out = is_refused && self.breach(policy, limits, rules, now);
        RecordCharge { is_refused, is_out, quotas: self.logs[policy].quotas(limits, now) }
    }

    /// How long the next request will have to wait; `None` if it need not.
    pub(super) fn wait(&self, activity: Activity, mode: Mode, rules: &Rules, now: Moment) -> Option<Span> {
        let limits = rules.peer(activity).limits().times(self.prefix.level().factor());
        self.logs[policy(activity, mode)].permits(limits, now).err()
    }

    /// A window of `policy` has refused: strikes, unless all that refused have struck already.
    fn breach(&mut self, policy: usize, limits: Limits<'_>, rules: &Rules, now: Moment) -> bool {
        if rules.strikes.is_empty() {
            return false;
        }
        let strikes = self.strikes.get_or_insert_default();
        let mut is_first = false;
        for (nth, window) in limits.iter().enumerate() {
            if self.logs[policy].wait(&window, now).is_some() {
                is_first |= strikes.latch((policy as u8, nth as u8), window.span, now);
            }
        }
        is_first && strikes.strike(rules.strikes.limits(), now)
    }

    /// A ban begins, or ended by the operator's word: from strike 0.
    pub(super) fn clear_strikes(&mut self) {
        self.strikes.iter_mut().for_each(|strikes| strikes.clear());
    }

    /// Forgets what no window sees any more. Then: when nothing will be left, or `None` if nothing is.
    pub(super) fn prune(&mut self, rules: &Rules, now: Moment) -> Option<Moment> {
        let factor = self.prefix.level().factor();
        let rule = rules.strikes.limits();
        let mut end = None;
        for (activity, mode) in EVERY_POLICY {
            let log = &mut self.logs[policy(activity, mode)];
            if log.is_empty() {
                continue;
            }
            let limits = rules.peer(activity).limits().times(factor);
            log.prune(limits, now);
            end = end.max(log.empty_at(limits));
        }
        self.strikes.take_if(|strikes| strikes.prune(rule, now));
        end.max(self.strikes.as_ref().and_then(|strikes| strikes.empty_at(rule)))
    }

    /// Whether forgetting it would forgive something.
    pub(super) fn has_strikes(&self) -> bool {
        self.strikes.is_some()
    }

    /// Looks at all of it, since it is longer than a line of the cache; see [`super::touch`].
    pub(super) fn touch(&self) -> u64 {
        self.logs.iter().fold(u64::from(self.has_strikes()), |sum, log| sum ^ log.touch())
    }

    /// Requests remembered: how much forgetting it would give back to the peer.
    pub(super) fn weight(&self) -> usize {
        self.logs.iter().map(WindowLog::len).sum()
    }

    /// Bytes beside the record itself.
    pub(super) fn heap_bytes(&self) -> usize {
        self.logs.iter().map(WindowLog::heap_bytes).sum::<usize>() + self.strikes_bytes()
    }

    /// Those of them that a charge can change.
    pub(super) fn heap_bytes_of(&self, activity: Activity, mode: Mode) -> usize {
        self.logs[policy(activity, mode)].heap_bytes() + self.strikes_bytes()
    }

    fn strikes_bytes(&self) -> usize {
        let bytes = |strikes: &Strikes| size_of::<Strikes>() + strikes.heap_bytes() + 2 * BLOCK_BYTES;
        self.strikes.as_deref().map_or(0, bytes)
    }
}

const EVERY_POLICY: [(Activity, Mode); POLICIES] = [
    (Activity::Issue, Mode::Live),
    (Activity::Check, Mode::Live),
    (Activity::Issue, Mode::Test),
    (Activity::Check, Mode::Test),
    (Activity::Denied, Mode::Live),
    (Activity::Handshake, Mode::Live),
];

fn policy(activity: Activity, mode: Mode) -> usize {
    match (activity, mode) {
        (Activity::Issue, Mode::Live) => 0,
        (Activity::Check, Mode::Live) => 1,
        (Activity::Issue, Mode::Test) => 2,
        (Activity::Check, Mode::Test) => 3,
        (Activity::Denied, _) => 4,
        (Activity::Handshake, _) => 5,
    }
}
