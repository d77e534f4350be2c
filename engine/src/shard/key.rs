//! The windows of API keys: `limits.key.issue`, off by default, and then nobody comes here; and of the alerts
//! of projects.
//!
//! Only accepted issues count, but whether one is accepted another shard decides: so a place in the window
//! is taken first and given back if the inbox refuses. In between it counts, so that parallel issues never
//! exceed the limit.

use ahash::HashMap;

use super::limit::Windows;
use super::window::WindowLog;
use crate::clock::Moment;
use crate::limits::{KEY_SWEEP_EVERY, OVERLOADED_RETRY_AFTER};
use crate::request::{Charged, Policy, Quotas, RefundKey, Refusal};
use crate::route::Digest128;

/// The keys whose digest routes to one shard. Owned by it.
#[derive(Default)]
pub(super) struct KeyTable {
    windows: HashMap<Digest128, WindowLog>,
    sweep_at: Moment,
}

impl KeyTable {
    /// Takes a place in the window of `key`, if `limits` permit. `most` windows are kept.
    pub(super) fn charge(&mut self, key: Digest128, windows: &Windows, most: usize, now: Moment) -> Charged {
        if windows.is_empty() {
            return Charged { refusal: None, quotas: Quotas::default(), at: now };
        }
        let limits = windows.limits();
        if self.windows.len() >= most && !self.windows.contains_key(&key) {
            let refusal = Some(Refusal::Overloaded { retry_after: OVERLOADED_RETRY_AFTER });
            return Charged { refusal, quotas: Quotas::default(), at: now };
        }
        let window = self.windows.entry(key).or_default();
        let refusal = match window.permits(limits, now) {
            Ok(()) => {
                window.record(limits, now);
                None
            }
            Err(wait) => Some(Refusal::RateLimited { policy: Policy::Key, retry_after: wait.into() }),
        };
        Charged { refusal, quotas: window.quotas(limits, now), at: now }
    }

    pub(super) fn refund(&mut self, refund: &RefundKey) {
        if let Some(window) = self.windows.get_mut(&refund.key) {
            window.take_back(refund.at);
        }
    }

    /// Forgets keys that have been quiet for a whole window. Keys are few, so all are looked at.
    pub(super) fn sweep(&mut self, windows: &Windows, now: Moment) {
        if self.windows.is_empty() || self.sweep_at > now {
            return;
        }
        self.sweep_at = now.after(KEY_SWEEP_EVERY);
        self.windows.retain(|_, window| !window.prune(windows.limits(), now));
    }
}
