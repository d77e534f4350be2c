//! State shared by the lanes and the control plane.

use std::sync::Arc;

use authepy_engine::actor::Readiness;
use authepy_engine::perimeter::KeyBook;

use super::ControlHealth;
use super::policy::Policy;
use crate::delivery::MailQueue;
use crate::delivery::events::Events;
use crate::ground::drain::Drain;
use crate::ground::published::Published;

/// Immutable values, counters, and values that the control plane replaces as a whole. Clones share
/// them.
#[derive(Clone)]
pub struct Shared {
    /// The API keys.
    pub keys: Published<KeyBook>,
    /// Settings that may change while serving.
    pub policy: Published<Policy>,
    /// The mail queue.
    pub mail: MailQueue,
    /// Records events for the operator's endpoint.
    pub events: Events,
    /// `memory.ceiling`, as it was at the start.
    pub ceiling_bytes: u64,
    /// Whether the process is ending.
    pub drain: Drain,
    /// Whether every shard answers.
    pub readiness: Readiness,
    /// Which parts of the control plane run.
    pub(crate) control: Arc<ControlHealth>,
}

impl Shared {
    /// Whether new work should be sent here: every shard answers, changes of keys take effect, and
    /// the process is not draining.
    pub(crate) fn is_ready(&self) -> bool {
        self.readiness.is_ready() && self.control.heeds_changes() && !self.drain.has_begun()
    }
}
