//! The windows of API keys and projects: `limits.key.issue`, `limits.key.unverified`, `limits.project.issue`, off by
//! default, and then nobody comes here; and of the alerts of projects. A table for each.
//!
//! Only accepted issues count, but whether one is accepted another shard decides: so a place in the window
//! is taken first and given back if the inbox refuses. In between it counts, so that parallel issues never
//! exceed the limit.

use ahash::HashMap;

use super::limit::Windows;
use super::rules::Rules;
use super::window::WindowLog;
use crate::clock::Moment;
use crate::limits::{KEY_SWEEP_EVERY, OVERLOADED_RETRY_AFTER};
use crate::request::{ChargeKey, Charged, KeyWindow, Policy, Quotas, RefundKey, Refusal};
use crate::route::Digest128;

/// The keys and projects whose digest routes to one shard. Owned by it.
#[derive(Default)]
pub(super) struct KeyTables {
    issue: KeyTable,
    unverified: KeyTable,
    project: KeyTable,
    alerts: KeyTable,
    sweep_at: Moment,
}

#[derive(Default)]
struct KeyTable {
    windows: HashMap<Digest128, WindowLog>,
}

impl KeyTables {
    /// Takes a place in a window, if its limits permit.
    pub(super) fn charge(&mut self, charge: &ChargeKey, rules: &Rules, now: Moment) -> Charged {
        let policy = match charge.window {
            KeyWindow::Project => Policy::Project,
            KeyWindow::Issue | KeyWindow::Unverified | KeyWindow::Alerts => Policy::Key,
        };
        let most = match charge.window {
            KeyWindow::Alerts => rules.settings.capacity.alerting,
            _ => rules.settings.capacity.keys,
        };
        self.table(charge.window).charge(charge.of, (rules.key(charge.window), policy), most, now)
    }

    /// Gives a place back.
    pub(super) fn refund(&mut self, refund: &RefundKey) {
        if let Some(window) = self.table(refund.charge.window).windows.get_mut(&refund.charge.of) {
            window.take_back(refund.at);
        }
    }

    /// Forgets keys that have been quiet for a whole window. Keys are few, so all are looked at.
    pub(super) fn sweep(&mut self, rules: &Rules, now: Moment) {
        if self.sweep_at > now {
            return;
        }
        self.sweep_at = now.after(KEY_SWEEP_EVERY);
        for window in [KeyWindow::Issue, KeyWindow::Unverified, KeyWindow::Project, KeyWindow::Alerts] {
            let limits = rules.key(window).limits();
            self.table(window).windows.retain(|_, window| !window.prune(limits, now));
        }
    }

    fn table(&mut self, window: KeyWindow) -> &mut KeyTable {
        match window {
            KeyWindow::Issue => &mut self.issue,
            KeyWindow::Unverified => &mut self.unverified,
            KeyWindow::Project => &mut self.project,
            KeyWindow::Alerts => &mut self.alerts,
        }
    }
}

impl KeyTable {
    /// `most` windows are kept: operators make keys and projects, callers can't.
    fn charge(
        &mut self,
        key: Digest128,
        (windows, policy): (&Windows, Policy),
        most: usize,
        now: Moment,
    ) -> Charged {
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
            Err(wait) => Some(Refusal::RateLimited { policy, retry_after: wait.into() }),
        };
        Charged { refusal, quotas: window.quotas(limits, now), at: now }
    }
}
