//! The settings in the form that records use: what a decision would otherwise compute from the
//! lists of limits each time.

use std::time::Duration;

use crate::clock::Span;
use crate::limits::ALERTS;
use crate::request::{Activity, KeyWindow};
use crate::rules::limit::Windows;
use crate::rules::mails::MailRules;
use crate::settings::Settings;

pub(crate) mod ban;
pub(crate) mod inbox;
pub(crate) mod ledger;
pub(crate) mod limit;
pub(crate) mod log;
pub(crate) mod mails;
pub(crate) mod peer;
pub(crate) mod strike;
pub(crate) mod verification;
pub(crate) mod window;

/// How late an ended record may be visited.
const A_SECOND: Duration = Duration::from_secs(1);

/// Built whenever a shard takes settings. Owned by it.
pub(crate) struct Rules {
    pub(crate) settings: Settings,
    pub(crate) mails: MailRules,
    pub(crate) guesses: Windows,
    pub(crate) strikes: Windows,
    pub(crate) domain: Windows,
    pub(crate) domain_peer: Windows,
    key_issue: Windows,
    key_unverified: Windows,
    project_issue: Windows,
    alerts: Windows,
    issue: Windows,
    check: Windows,
    denied: Windows,
    handshake: Windows,
    any: Windows,
}

impl Rules {
    pub(crate) fn of(settings: Settings) -> Self {
        let windows = |limits: &Vec<_>| Windows::from(&limits[..]);
        let peer = &settings.peer;
        Self {
            mails: MailRules::of(
                &settings.recipient_issue,
                &settings.recipient_peer_issue,
                &settings.recipient_all_issue,
            ),
            guesses: windows(&settings.recipient_guess),
            domain: windows(&settings.domain_unverified),
            domain_peer: windows(&settings.domain_peer_unverified),
            key_issue: windows(&settings.key_issue),
            key_unverified: windows(&settings.key_unverified),
            project_issue: windows(&settings.project_issue),
            alerts: ALERTS.into(),
            strikes: windows(&settings.bans.strikes),
            issue: windows(&peer.issue),
            check: windows(&peer.check),
            denied: windows(&peer.denied),
            handshake: windows(&peer.handshake),
            any: windows(&peer.any),
            settings,
        }
    }

    /// The windows of an API key or a project.
    pub(crate) fn key(&self, window: KeyWindow) -> &Windows {
        match window {
            KeyWindow::Issue => &self.key_issue,
            KeyWindow::Unverified => &self.key_unverified,
            KeyWindow::Project => &self.project_issue,
            KeyWindow::Alerts => &self.alerts,
        }
    }

    /// How long an inbox is remembered after its last mail or wrong code, including the delay of
    /// its last visit.
    pub(crate) fn longest_of_inboxes(&self) -> Duration {
        let longest = self.mails.longest().max(self.guesses.limits().longest());
        Duration::from(longest) + A_SECOND
    }

    /// How long a domain's mail is remembered.
    pub(crate) fn longest_of_domains(&self) -> Span {
        self.domain.limits().longest().max(self.domain_peer.limits().longest())
    }

    /// The windows of a peer.
    pub(crate) fn peer(&self, activity: Activity) -> &Windows {
        match activity {
            Activity::Issue => &self.issue,
            Activity::Check => &self.check,
            Activity::Denied => &self.denied,
            Activity::Handshake => &self.handshake,
            Activity::Any | Activity::Foreign => &self.any,
        }
    }
}
