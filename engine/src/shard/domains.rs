//! Mails to one registrable domain that no right code has answered: `limits.domain.unverified`, and in it one
//! peer's share, `limits.domain_peer.unverified`.
//!
//! ```text
//!   a mail to anything@….example.com ──▶ counted ── full ──▶ refused
//!   a right code, or a refusal by the inbox ──▶ taken back
//! ```
//!
//! A catch-all domain is one inbox with endless names, so its owner needs a limit that no new name resets. A
//! campus on launch day has many people at one domain: each of them gives his mail back within a minute. Known
//! mailbox providers are not counted; whether a domain is one, `recipient` says.
//!
//! The table is bounded. A full one forgets, of the next few places, the domain with the fewest mails: whoever
//! makes up domains pushes out those that were made up before.

use super::index::Index;
use super::limit::Windows;
use super::log::{Log, Stamped};
use super::records::Records;
use super::rules::Rules;
use crate::clock::{Moment, Span};
use crate::limits::{EVICTION_LOOKS, EVICTION_LOOKS_MAX};
use crate::request::{ChargeDomain, Charged, Policy, Quotas, RefundDomain, Refusal};
use crate::route::{DomainTag, PeerShare};

#[derive(Clone, Copy, Debug)]
struct Mail {
    at: Moment,
    by: Option<PeerShare>,
}

impl Stamped for Mail {
    fn at(&self) -> Moment {
        self.at
    }
}

struct DomainRecord {
    domain: DomainTag,
    mails: Log<Mail>,
}

/// The domains whose tag routes to one shard. Owned by it.
#[derive(Default)]
pub(super) struct DomainTable {
    records: Records<DomainRecord>,
    by_tag: Index,
    /// Bytes of all logs.
    heap_bytes: usize,
    /// Where the next walk for a place begins.
    hand: u32,
    due: Vec<u32>,
}

impl DomainTable {
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.heap_bytes
    }

    /// Counts a mail, if both windows permit.
    pub(super) fn charge(&mut self, charge: &ChargeDomain, rules: &Rules, now: Moment) -> Charged {
        let at = match self.find(charge.domain) {
            Some(at) => at,
            None => self.insert(charge.domain, rules),
        };
        let Some(record) = self.records.get_mut(at) else {
            return Charged { refusal: None, quotas: Quotas::default(), at: now };
        };
        let before = record.mails.heap_bytes();
        let longest = rules.longest_of_domains();
        record.mails.drop_before(longest, now);
        let wait = wait(&record.mails, &rules.domain, |_| true, now).max(
            charge.peer.and_then(|peer| wait(&record.mails, &rules.domain_peer, |by| by == Some(peer), now)),
        );
        if wait.is_none() {
            record.mails.push(Mail { at: now, by: charge.peer });
        }
        self.heap_bytes = self.heap_bytes + record.mails.heap_bytes() - before;
        self.records.schedule_once(at, now.plus(longest));
        self.hold_bytes(at, rules);
        let refusal =
            wait.map(|wait| Refusal::RateLimited { policy: Policy::Domain, retry_after: wait.into() });
        Charged { refusal, quotas: Quotas::default(), at: now }
    }

    /// Takes back the newest mail of the same peer that is not newer than the one named: clocks of lanes agree, but
    /// its inbox may have noted the mail a little later.
    pub(super) fn refund(&mut self, refund: &RefundDomain) {
        let RefundDomain { charge, at } = *refund;
        if let Some(record) = self.find(charge.domain).and_then(|place| self.records.get_mut(place)) {
            let before = record.mails.heap_bytes();
            record.mails.remove_latest(|mail| mail.by == charge.peer && mail.at <= at);
            self.heap_bytes = self.heap_bytes + record.mails.heap_bytes() - before;
        }
    }

    /// Visits domains whose time has come. Returns how many, at most `visits`.
    pub(super) fn sweep(&mut self, rules: &Rules, now: Moment, visits: usize) -> usize {
        let mut due = std::mem::take(&mut self.due);
        self.records.take_due(now, visits, &mut due);
        let visited = due.len();
        for at in due.drain(..) {
            let Some(record) = self.records.get_mut(at) else { continue };
            let before = record.mails.heap_bytes();
            record.mails.drop_before(rules.longest_of_domains(), now);
            let (after, latest) = (record.mails.heap_bytes(), record.mails.latest().map(|mail| mail.at));
            self.heap_bytes = self.heap_bytes + after - before;
            match latest {
                Some(latest) => self.records.schedule(at, latest.plus(rules.longest_of_domains())),
                None => self.remove(at),
            }
        }
        self.due = due;
        visited
    }

    /// Keeps the logs within their bytes: others are forgotten first, else half of what this domain remembers.
    fn hold_bytes(&mut self, at: u32, rules: &Rules) {
        while self.heap_bytes > rules.settings.capacity.domain_log_bytes {
            if self.forget_lightest(Some(at)) {
                continue;
            }
            let Some(record) = self.records.get_mut(at) else { return };
            let before = record.mails.heap_bytes();
            let mails = record.mails.iter_back().copied().take(record.mails.len() / 2);
            let mut newer = Log::default();
            mails.collect::<Vec<_>>().into_iter().rev().for_each(|mail| newer.push(mail));
            record.mails = newer;
            self.heap_bytes = self.heap_bytes + record.mails.heap_bytes() - before;
            if before == 0 {
                return;
            }
        }
    }

    fn find(&self, domain: DomainTag) -> Option<u32> {
        let is_meant = |at| self.records.get(at).is_some_and(|record| record.domain == domain);
        self.by_tag.find(domain.table_bits(), is_meant)
    }

    fn insert(&mut self, domain: DomainTag, rules: &Rules) -> u32 {
        if self.records.len() >= rules.settings.capacity.domains {
            self.forget_lightest(None);
        }
        let at = self.records.insert(DomainRecord { domain, mails: Log::default() });
        self.by_tag.insert(domain.table_bits(), at);
        at
    }

    /// Forgets the domain with the fewest mails among the next few places, but for one. Where bytes are short, one
    /// that has any. False if there is none.
    fn forget_lightest(&mut self, but: Option<u32>) -> bool {
        let (mut lightest, mut looks) = (None, 0);
        for _ in 0..EVICTION_LOOKS_MAX {
            let at = self.hand % self.records.places().max(1);
            self.hand = at + 1;
            let Some(record) = self.records.get(at).filter(|_| Some(at) != but) else { continue };
            if but.is_some() && record.mails.heap_bytes() == 0 {
                continue;
            }
            let candidate = (record.mails.len(), at);
            lightest = Some(lightest.map_or(candidate, |best: (usize, u32)| best.min(candidate)));
            looks += 1;
            if looks == EVICTION_LOOKS {
                break;
            }
        }
        lightest.is_some_and(|(_, at)| {
            self.remove(at);
            true
        })
    }

    fn remove(&mut self, at: u32) {
        let Some(record) = self.records.remove(at) else { return };
        self.heap_bytes -= record.mails.heap_bytes();
        self.by_tag.remove(record.domain.table_bits(), at);
    }
}

/// How long until the mails that are `meant` leave room for one more; `None` for now.
fn wait(
    mails: &Log<Mail>,
    windows: &Windows,
    meant: impl Fn(Option<PeerShare>) -> bool,
    now: Moment,
) -> Option<Span> {
    let waits = windows.limits().iter().filter_map(|window| match window.count {
        0 => window.wait(mails, now),
        count => {
            let mut own = mails.iter_back().filter(|mail| meant(mail.by));
            window.wait_after(own.nth(count as usize - 1)?.at, now)
        }
    });
    waits.max()
}
