//! The mails an inbox was sent, and by which peer: the budget of the inbox and each peer's share of it.
//!
//! One log serves both policies, so that a stranger's share (`limits.recipient_peer.issue`) is counted as
//! exactly as the inbox's budget (`limits.recipient.issue`). A mail that no peer asked for (a secret key
//! without `client.ip`) counts for the inbox alone. The share is the /32's or /64's.
//!
//! The log is bounded. Where the inbox has a window at least as long as the share's, it is by that
//! window's count; where it has none, or a shorter one, by [`MAILS_REMEMBERED`]: past that, no peer can
//! ask for a further mail until the oldest has left the share's window. So a full log costs strangers
//! their mails, and never lets one of them send more than a share. Mails that no peer asked for are not
//! held up by it, and are the first to be forgotten.

use std::time::Duration;

use super::Settings;
use super::log::{Log, Stamped};
use super::window::{Limit, Limits};
use crate::clock::Moment;
use crate::limits::MAILS_REMEMBERED;
use crate::route::PeerDigest;

#[derive(Clone, Copy, Debug)]
struct Mail {
    at: Moment,
    by: Option<PeerDigest>,
}

impl Stamped for Mail {
    fn at(&self) -> Moment {
        self.at
    }
}

/// Mails sent, over all aliases and verifications. Owned by the inbox's record; survives their purge.
#[derive(Debug, Default)]
pub(super) struct MailLog(Log<Mail>);

impl MailLog {
    /// How long until the inbox may receive another mail that `by` asks for; `None` for now.
    pub(super) fn wait(&self, by: Option<PeerDigest>, settings: &Settings, now: Moment) -> Option<Duration> {
        let budget = Limits::from(&settings.recipient_issue).iter().filter_map(|l| l.wait(&self.0, now));
        budget.max().max(by.and_then(|by| self.wait_for_share(by, settings, now)))
    }

    fn wait_for_share(&self, by: PeerDigest, settings: &Settings, now: Moment) -> Option<Duration> {
        let limits = Limits::from(&settings.recipient_peer_issue);
        let share = limits.iter().filter_map(|limit| {
            let mut own = self.0.iter_back().filter(|mail| mail.by == Some(by));
            match limit.count {
                0 => limit.wait(&self.0, now),
                count => limit.wait_after(own.nth(count as usize - 1)?.at, now),
            }
        });
        // An empty log is full only where no mail is allowed, which the share says as well.
        let may_be_full = !settings.recipient_peer_issue.is_empty() && !self.0.is_empty();
        let room = || Limit { count: room(settings), window: limits.longest() };
        let full = may_be_full.then(|| room().wait(&self.0, now)).flatten();
        share.max().max(full)
    }

    /// Counts a mail.
    pub(super) fn record(&mut self, by: Option<PeerDigest>, settings: &Settings, now: Moment) {
        let Some(longest) = longest(settings).filter(|longest| !longest.is_zero()) else { return };
        if by.is_none() && settings.recipient_issue.is_empty() {
            return;
        }
        self.0.drop_before(longest, now);
        if !self.0.is_empty() && self.0.len() >= room(settings) as usize {
            let unseen = self.0.len().saturating_sub(Limits::from(&settings.recipient_issue).deepest());
            if !self.0.remove_oldest(unseen, |mail| mail.by.is_none()) {
                self.0.drop_oldest(1);
            }
        }
        self.0.push(Mail { at: now, by });
    }

    pub(super) fn prune(&mut self, settings: &Settings, now: Moment) {
        self.0.drop_before(longest(settings).unwrap_or_default(), now);
    }

    /// When the latest mail will have left every window that sees it.
    pub(super) fn empty_at(&self, settings: &Settings) -> Option<Moment> {
        let (budget, share) = (
            Limits::from(&settings.recipient_issue).longest(),
            Limits::from(&settings.recipient_peer_issue).longest(),
        );
        let any = self.0.latest().map(|mail| mail.at.after(budget));
        let by_peers = self.0.iter_back().find(|mail| mail.by.is_some()).map(|mail| mail.at.after(share));
        any.max(by_peers)
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }
}

/// The longest window of either policy; `None` if both are off.
fn longest(settings: &Settings) -> Option<Duration> {
    settings.recipient_issue.iter().chain(&settings.recipient_peer_issue).map(|limit| limit.window).max()
}

/// How many mails the log has to hold, so that both policies see all they need.
fn room(settings: &Settings) -> u32 {
    let (budget, share) =
        (Limits::from(&settings.recipient_issue), Limits::from(&settings.recipient_peer_issue));
    let covers = |limit: &Limit| limit.window >= share.longest();
    let deepest = budget.deepest().max(share.deepest()) as u32;
    match budget.iter().filter(covers).map(|limit| limit.count).min() {
        // No more than that many mails fit into the share's windows anyway.
        Some(count) => deepest.max(count),
        None if settings.recipient_peer_issue.is_empty() => deepest,
        None => deepest.max(MAILS_REMEMBERED),
    }
}
