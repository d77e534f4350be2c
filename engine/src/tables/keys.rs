//! The windows of API keys and projects: `limits.key.issue`, `limits.key.unverified` and
//! `limits.project.issue`, which are off by default and then unused; and the windows of projects'
//! alerts. One table for each.
//!
//! Only accepted issues count, but another shard decides whether an issue is accepted. So it is
//! counted first, and refunded if the inbox refuses. In between it counts, so that parallel issues
//! never exceed the limit.

use ahash::HashMap;

use crate::clock::Moment;
use crate::limits::{KEY_SWEEP_EVERY, OVERLOADED_RETRY_AFTER};
use crate::request::{ChargeKey, Charged, KeyWindow, Policy, Quotas, RefundKey, Refusal};
use crate::route::AccountDigest;
use crate::rules::Rules;
use crate::rules::limit::Windows;
use crate::rules::window::WindowLog;

/// The windows of the keys and projects whose digest routes to one shard. Owned by it.
#[derive(Default)]
pub(crate) struct KeyTables {
    issue: KeyTable,
    unverified: KeyTable,
    project: KeyTable,
    alerts: KeyTable,
    sweep_at: Moment,
}

#[derive(Default)]
struct KeyTable {
    windows: HashMap<AccountDigest, WindowLog>,
}

impl KeyTables {
    /// Counts an event in a window, if its limits permit.
    pub(crate) fn charge(&mut self, charge: &ChargeKey, rules: &Rules, now: Moment) -> Charged {
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

    /// Takes an event back.
    pub(crate) fn refund(&mut self, refund: &RefundKey) {
        if let Some(window) = self.table(refund.charge.window).windows.get_mut(&refund.charge.of) {
            window.take_back(refund.at);
        }
    }

    /// Drops keys that have been idle for a whole window. Keys are few, so all are examined.
    pub(crate) fn sweep(&mut self, rules: &Rules, now: Moment) {
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
    /// `most` windows are kept: operators create keys and projects, callers can't.
    fn charge(
        &mut self,
        key: AccountDigest,
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::limits::{Capacity, Limit};
    use crate::settings::Settings;
    use crate::testing::as_shipped;

    const ALL: [KeyWindow; 4] =
        [KeyWindow::Issue, KeyWindow::Unverified, KeyWindow::Project, KeyWindow::Alerts];

    fn rules() -> Rules {
        let limit = |count| vec![Limit { count, window: Duration::from_secs(60) }];
        Rules::of(Settings {
            key_issue: limit(1),
            key_unverified: limit(2),
            project_issue: limit(3),
            capacity: Capacity { keys: 2, alerting: 1, ..Capacity::UNBOUNDED },
            ..as_shipped()
        })
    }

    fn of(n: u8) -> AccountDigest {
        AccountDigest::from_bytes([n; 16])
    }

    #[test]
    fn each_window_counts_for_itself_and_says_whose_it_is() {
        let (mut tables, rules) = (KeyTables::default(), rules());
        for (window, count) in ALL.into_iter().zip([1, 2, 3, 10]) {
            let charge = ChargeKey { window, of: of(1) };
            for n in 0..count {
                assert_eq!(tables.charge(&charge, &rules, Moment::from_millis(n)).refusal, None);
            }
            let refused = tables.charge(&charge, &rules, Moment::from_millis(count)).refusal;
            let policy = if window == KeyWindow::Project { Policy::Project } else { Policy::Key };
            let told = matches!(refused, Some(Refusal::RateLimited { policy: of, .. }) if of == policy);
            assert!(told, "{window:?}: {refused:?}");
        }
    }

    #[test]
    fn a_refund_takes_back_the_newest_charge_that_is_not_newer_of_that_window_alone() {
        let (mut tables, rules) = (KeyTables::default(), rules());
        let charge = ChargeKey { window: KeyWindow::Unverified, of: of(1) };
        let ask =
            |tables: &mut KeyTables, at| tables.charge(&charge, &rules, Moment::from_millis(at)).refusal;
        assert_eq!((ask(&mut tables, 0), ask(&mut tables, 10)), (None, None));
        let refund = |tables: &mut KeyTables, charge, at| {
            tables.refund(&RefundKey { charge, at: Moment::from_millis(at) });
        };
        refund(&mut tables, ChargeKey { window: KeyWindow::Project, ..charge }, 99);
        refund(&mut tables, ChargeKey { of: of(2), ..charge }, 99);
        assert!(ask(&mut tables, 20).is_some());
        refund(&mut tables, charge, 9);
        assert_eq!(ask(&mut tables, 20), None);
        let wait = Duration::from_millis(59_990);
        let limited = Refusal::RateLimited { policy: Policy::Key, retry_after: wait };
        assert_eq!(ask(&mut tables, 20), Some(limited), "that of 10 still counts");
    }

    #[test]
    fn a_full_table_refuses_who_is_new_until_a_sweep_finds_somebody_quiet() {
        let (mut tables, rules) = (KeyTables::default(), rules());
        for (window, most) in ALL.into_iter().zip([2, 2, 2, 1]) {
            let ask = |tables: &mut KeyTables, n, at| {
                tables.charge(&ChargeKey { window, of: of(n) }, &rules, Moment::from_millis(at)).refusal
            };
            for n in 0..most {
                assert_eq!(ask(&mut tables, n, 0), None);
            }
            assert!(matches!(ask(&mut tables, 9, 0), Some(Refusal::Overloaded { .. })), "{window:?}");
        }
        tables.sweep(&rules, Moment::from_millis(86_400_000));
        assert!(ALL.iter().all(|window| tables.table(*window).windows.is_empty()));
    }
}
