//! The settings as records read them: what a decision would work out from the lists of limits each time, worked
//! out once when they are taken.

use super::Settings;
use super::limit::Windows;
use super::mails::MailRules;
use crate::limits::ALERTS;
use crate::request::Activity;

/// Made whenever a shard takes settings. Owned by it.
pub(super) struct Rules {
    pub(super) settings: Settings,
    pub(super) mails: MailRules,
    pub(super) guesses: Windows,
    pub(super) key_issue: Windows,
    pub(super) alerts: Windows,
    pub(super) strikes: Windows,
    issue: Windows,
    check: Windows,
    denied: Windows,
    handshake: Windows,
    any: Windows,
}

impl Rules {
    pub(super) fn of(settings: Settings) -> Self {
        let windows = |limits: &Vec<_>| Windows::from(&limits[..]);
        let peer = &settings.peer;
        Self {
            mails: MailRules::of(&settings.recipient_issue, &settings.recipient_peer_issue),
            guesses: windows(&settings.recipient_guess),
            key_issue: windows(&settings.key_issue),
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

    /// The windows of a peer.
    pub(super) fn peer(&self, activity: Activity) -> &Windows {
        match activity {
            Activity::Issue => &self.issue,
            Activity::Check => &self.check,
            Activity::Denied => &self.denied,
            Activity::Handshake => &self.handshake,
            Activity::Any | Activity::Foreign => &self.any,
        }
    }
}
