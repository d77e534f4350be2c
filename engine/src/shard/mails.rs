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

use super::limit::{Limit, Windows};
use super::log::{Log, Stamped};
use crate::clock::{Moment, Span};
use crate::limits::MAILS_REMEMBERED;
use crate::route::PeerDigest;

/// Both policies of mails. Part of [`super::rules::Rules`].
pub(super) struct MailRules {
    budget: Windows,
    share: Windows,
    /// The longest window of either; zero if both are off.
    longest: Span,
    /// How many mails a log has to hold, so that both policies see all they need.
    room: u32,
    /// As many in the longest window of the share: one more could not be remembered.
    full: Windows,
}

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
    pub(super) fn wait(&self, by: Option<PeerDigest>, rules: &MailRules, now: Moment) -> Option<Span> {
        let budget = rules.budget.limits().iter().filter_map(|window| window.wait(&self.0, now));
        budget.max().max(by.and_then(|by| self.wait_for_share(by, rules, now)))
    }

    fn wait_for_share(&self, by: PeerDigest, rules: &MailRules, now: Moment) -> Option<Span> {
        let share = rules.share.limits().iter().filter_map(|window| {
            let mut own = self.0.iter_back().filter(|mail| mail.by == Some(by));
            match window.count {
                0 => window.wait(&self.0, now),
                count => window.wait_after(own.nth(count as usize - 1)?.at, now),
            }
        });
        // An empty log is full only where no mail is allowed, which the share says as well.
        let full = rules.full.limits().iter().filter(|_| !self.0.is_empty());
        share.max().max(full.filter_map(|window| window.wait(&self.0, now)).max())
    }

    /// Counts a mail.
    pub(super) fn record(&mut self, by: Option<PeerDigest>, rules: &MailRules, now: Moment) {
        if rules.longest == Span::default() || (by.is_none() && rules.budget.is_empty()) {
            return;
        }
        self.0.drop_before(rules.longest, now);
        if !self.0.is_empty() && self.0.len() >= rules.room as usize {
            let unseen = self.0.len().saturating_sub(rules.budget.limits().deepest());
            if !self.0.remove_oldest(unseen, |mail| mail.by.is_none()) {
                self.0.drop_oldest(1);
            }
        }
        self.0.push(Mail { at: now, by });
    }

    pub(super) fn prune(&mut self, rules: &MailRules, now: Moment) {
        self.0.drop_before(rules.longest, now);
    }

    /// When the latest mail will have left every window that sees it.
    pub(super) fn empty_at(&self, rules: &MailRules) -> Option<Moment> {
        let (budget, share) = (rules.budget.limits().longest(), rules.share.limits().longest());
        let any = self.0.latest().map(|mail| mail.at.plus(budget));
        let by_peers = self.0.iter_back().find(|mail| mail.by.is_some()).map(|mail| mail.at.plus(share));
        any.max(by_peers)
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }
}

impl MailRules {
    pub(super) fn of(budget: &[Limit], share: &[Limit]) -> Self {
        let longest_share = share.iter().map(|limit| limit.window).max();
        let covers = |limit: &&Limit| Some(limit.window) >= longest_share;
        let deepest = budget.iter().chain(share).map(|limit| limit.count).max().unwrap_or_default();
        let room = match budget.iter().filter(covers).map(|limit| limit.count).min() {
            // No more than that many mails fit into the share's windows anyway.
            Some(count) => deepest.max(count),
            None if share.is_empty() => deepest,
            None => deepest.max(MAILS_REMEMBERED),
        };
        let full: Vec<_> = longest_share.map(|window| Limit { count: room, window }).into_iter().collect();
        let [budget, share, full] = [budget, share, &full].map(Windows::from);
        let longest = budget.limits().longest().max(share.limits().longest());
        Self { budget, share, longest, room, full }
    }
}
