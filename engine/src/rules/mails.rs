//! The mails sent to an inbox: the budget of each project, the share of each peer in it, and the
//! budget of all projects together.
//!
//! ```text
//!   limits.recipient.issue        mails of one project               a project learns nothing of others
//!   limits.recipient_peer.issue   those of them by one peer          a stranger can't use up the project's
//!   limits.recipient_all.issue    mails of all projects              what the inbox's owner may receive
//! ```
//!
//! One log serves all three, so each is exact. A mail without a peer (a secret key without
//! `client.ip`) uses no peer's share. Shares are per customer line: an IPv4 address or an IPv6 /56.
//!
//! The log is bounded. If a window over all projects is at least as long as the other two, its
//! count is the bound. Otherwise an inbox receives no more than [`MAILS_REMEMBERED`] mails in the
//! longest window, half of them for peers. So strangers can't keep a back end from mailing, and
//! nothing that a window needs is forgotten.

use super::limit::{Window, Windows};
use super::log::{Log, Stamped};
use crate::clock::{Moment, Span};
use crate::identity::{KeyTag, Mode, Owner, ProjectId};
use crate::limits::{Limit, MAILS_REMEMBERED};
use crate::route::PeerShare;

/// The policies of mails. Part of [`crate::rules::Rules`].
pub(crate) struct MailRules {
    budget: Windows,
    share: Windows,
    all: Windows,
    /// The longest window of the three; zero if all are off.
    longest: Span,
    /// How many mails a log has to hold, so that each window sees all it needs.
    room: u32,
    /// The limits that the log's room imposes: on all mails, and on those by peers. `None` if a
    /// window of `all` bounds the log.
    full: Option<[Window; 2]>,
}

/// The sender of a mail.
#[derive(Clone, Copy)]
pub(crate) struct Sender {
    pub(crate) owner: Owner,
    pub(crate) key: KeyTag,
    /// `None` for a secret key that names no client.
    pub(crate) peer: Option<PeerShare>,
}

/// One mail in sixteen bytes: 40 bits of milliseconds (34 years), its mode, the tag of its API key,
/// its project, and its peer's share or zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mail {
    when_and_key: u64,
    project: u32,
    peer: u32,
}

/// Bits of `when_and_key` below the milliseconds: sixteen for the key's tag, one for the mode.
const KEY_BITS: u32 = 24;
const TEST: u64 = 1 << 16;
const MILLIS_MAX: u64 = (1 << (64 - KEY_BITS)) - 1;

impl Mail {
    pub(crate) fn new(at: Moment, sender: &Sender) -> Self {
        let mode = if sender.owner.mode == Mode::Test { TEST } else { 0 };
        let millis = at.as_millis().min(MILLIS_MAX);
        Self {
            when_and_key: millis << KEY_BITS | mode | u64::from(sender.key.0),
            project: sender.owner.project.0,
            peer: sender.peer.map_or(0, PeerShare::bits),
        }
    }

    /// The project and mode that sent it.
    pub(crate) fn owner(&self) -> Owner {
        let mode = if self.when_and_key & TEST == 0 { Mode::Live } else { Mode::Test };
        Owner { project: ProjectId(self.project), mode }
    }

    /// The project's key that sent it.
    pub(crate) fn key(&self) -> KeyTag {
        KeyTag(self.when_and_key as u16)
    }

    /// The share it used.
    pub(crate) fn peer(&self) -> Option<PeerShare> {
        PeerShare::from_bits(self.peer)
    }
}

impl Stamped for Mail {
    fn at(&self) -> Moment {
        Moment::from_millis(self.when_and_key >> KEY_BITS)
    }
}

/// Mails sent, over all sub-addresses and verifications. Owned by the inbox's record; survives
/// their purge.
#[derive(Debug, Default)]
pub(crate) struct MailLog(Log<Mail>);

impl MailLog {
    /// A log that holds one mail.
    pub(crate) fn of(mail: Mail) -> Self {
        Self(Log::One(mail))
    }

    /// The mail, if there is exactly one.
    pub(crate) fn only(&self) -> Option<Mail> {
        if let Log::One(mail) = self.0 { Some(mail) } else { None }
    }

    /// The newest mail.
    pub(crate) fn latest(&self) -> Option<&Mail> {
        self.0.latest()
    }

    /// The newest mail of this project.
    pub(crate) fn latest_of(&self, owner: Owner) -> Option<&Mail> {
        self.0.iter_back().find(|mail| mail.project == owner.project.0)
    }

    /// How long until the inbox may receive another mail from `sender`; `None` if it may now.
    pub(crate) fn wait(&self, sender: &Sender, rules: &MailRules, now: Moment) -> Option<Span> {
        let project = sender.owner.project.0;
        let budget = self.wait_among(&rules.budget, |mail| mail.project == project, now);
        let share = sender.peer.and_then(|peer| {
            self.wait_among(&rules.share, |mail| mail.project == project && mail.peer == peer.bits(), now)
        });
        let all = rules.all.limits().iter().filter_map(|window| window.wait(&self.0, now)).max();
        let full = rules.full_for(sender).and_then(|window| window.wait(&self.0, now));
        budget.max(share).max(all).max(full)
    }

    /// How long until the mails that `meant` selects leave room for one more.
    fn wait_among(&self, windows: &Windows, meant: impl Fn(&Mail) -> bool, now: Moment) -> Option<Span> {
        let waits = windows.limits().iter().filter_map(|window| match window.count {
            0 => window.wait(&self.0, now),
            count => {
                let mut own = self.0.iter_back().filter(|mail| meant(mail));
                window.wait_after(own.nth(count as usize - 1)?.at(), now)
            }
        });
        waits.max()
    }

    /// Counts a mail.
    pub(crate) fn record(&mut self, sender: &Sender, rules: &MailRules, now: Moment) {
        if !rules.sees(sender) {
            return;
        }
        self.0.drop_before(rules.longest, now);
        self.0.drop_oldest((self.0.len() + 1).saturating_sub(rules.room as usize));
        self.0.push(Mail::new(now, sender));
    }

    pub(crate) fn prune(&mut self, rules: &MailRules, now: Moment) {
        self.0.drop_before(rules.longest, now);
    }

    /// When the latest mail will have left every window that counts it.
    pub(crate) fn empty_at(&self, rules: &MailRules) -> Option<Moment> {
        let of_all = rules.budget.limits().longest().max(rules.all.limits().longest());
        let any = self.0.latest().map(|mail| mail.at().plus(of_all));
        let by_peers = self.0.iter_back().find(|mail| mail.peer > 0);
        any.max(by_peers.map(|mail| mail.at().plus(rules.share.limits().longest())))
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }
}

impl MailRules {
    pub(crate) fn of(budget: &[Limit], share: &[Limit], all: &[Limit]) -> Self {
        let own = || budget.iter().chain(share);
        let longest_own = own().map(|limit| limit.window).max();
        let deepest = own().chain(all).map(|limit| limit.count).max().unwrap_or_default();
        let covering = all.iter().filter(|limit| Some(limit.window) >= longest_own);
        let covered = covering.map(|limit| limit.count).min();
        let room =
            covered.map_or(deepest.saturating_mul(2).max(MAILS_REMEMBERED), |count| deepest.max(count));
        let [budget, share, all] = [budget, share, all].map(Windows::from);
        let longest = [&budget, &share, &all].map(|windows| windows.limits().longest()).into_iter().max();
        let longest = longest.unwrap_or_default();
        let window = |count| Window { count, span: longest, seconds: longest.whole_seconds() };
        let full = covered.is_none().then(|| [window(room), window(room / 2)]);
        Self { budget, share, all, longest, room, full }
    }

    /// The longest time a mail is remembered.
    pub(crate) fn longest(&self) -> Span {
        self.longest
    }

    /// When a mail is forgotten, if the longest window counts it.
    pub(crate) fn end_of(&self, mail: &Mail) -> Moment {
        mail.at().plus(self.longest)
    }

    /// Whether a mail that `peer` requests now will be remembered for `span`.
    pub(crate) fn remember(&self, peer: Option<PeerShare>, span: Span) -> bool {
        let share = peer.map(|_| self.share.limits().longest());
        let seen =
            self.budget.limits().longest().max(self.all.limits().longest()).max(share.unwrap_or_default());
        seen >= span
    }

    /// Whether any window counts the mails of `sender`.
    fn sees(&self, sender: &Sender) -> bool {
        let of_peer = sender.peer.is_some() && !self.share.is_empty();
        of_peer || !self.budget.is_empty() || !self.all.is_empty()
    }

    fn full_for(&self, sender: &Sender) -> Option<Window> {
        let [of_all, of_peers] = self.full?;
        self.sees(sender).then_some(if sender.peer.is_some() { of_peers } else { of_all })
    }
}
