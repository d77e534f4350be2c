//! Mails to one registrable domain that no correct code has answered: `limits.domain.unverified`,
//! and within it the share of one peer, `limits.domain_peer.unverified`.
//!
//! ```text
//!   a mail to anything@….example.com ──▶ counted ── full ──▶ refused
//!   a correct code, or a refusal by the inbox ──▶ taken back
//! ```
//!
//! A catch-all domain is one inbox with unlimited names, so its owner needs a limit that no new
//! name resets. A campus on launch day has many people at one domain, but each correct code gives
//! its mail back within a minute. Known mailbox providers are not counted; `recipient` decides
//! whether a domain is one.
//!
//! The table is bounded. A full one evicts, among the next few places, the domain with the fewest
//! mails: made-up domains evict earlier made-up domains.

use super::index::Index;
use super::records::Records;
use crate::clock::{Moment, Span};
use crate::limits::{EVICTION_LOOKS, EVICTION_LOOKS_MAX};
use crate::request::{ChargeDomain, Charged, Policy, Quotas, RefundDomain, Refusal};
use crate::route::{DomainTag, PeerShare};
use crate::rules::Rules;
use crate::rules::limit::Windows;
use crate::rules::log::{Log, Stamped};

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
pub(crate) struct DomainTable {
    records: Records<DomainRecord>,
    by_tag: Index,
    /// Bytes of all logs.
    heap_bytes: usize,
    /// Where the next search for a place begins.
    hand: u32,
    due: Vec<u32>,
}

impl DomainTable {
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.heap_bytes
    }

    /// Counts a mail, if both windows permit.
    pub(crate) fn charge(&mut self, charge: &ChargeDomain, rules: &Rules, now: Moment) -> Charged {
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

    /// Takes back the newest mail of the same peer that is not newer than `refund.at`. The lanes'
    /// clocks agree, but the inbox may have recorded the mail a little later.
    pub(crate) fn refund(&mut self, refund: &RefundDomain) {
        let RefundDomain { charge, at } = *refund;
        if let Some(record) = self.find(charge.domain).and_then(|place| self.records.get_mut(place)) {
            let before = record.mails.heap_bytes();
            record.mails.remove_latest(|mail| mail.by == charge.peer && mail.at <= at);
            self.heap_bytes = self.heap_bytes + record.mails.heap_bytes() - before;
        }
    }

    /// Visits domains that are due. Returns how many, at most `visits`.
    pub(crate) fn sweep(&mut self, rules: &Rules, now: Moment, visits: usize) -> usize {
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

    /// Keeps the logs within their byte limit: evicts other domains first, then the older half of
    /// this domain's mails.
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

    /// Evicts the domain with the fewest mails among the next few places, except `but`. If `but` is
    /// given, bytes are short, and only domains with log memory are considered. False if there is
    /// none.
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

/// How long until the mails that `meant` selects leave room for one more; `None` if there is room
/// now.
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

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use super::*;
    use crate::identity::Mode;
    use crate::limits::{Capacity, Limit};
    use crate::peer::Peer;
    use crate::route::StartKeys;
    use crate::settings::Settings;
    use crate::testing::{Seeded, as_shipped};

    struct Story {
        table: DomainTable,
        rules: Rules,
        keys: StartKeys,
    }

    impl Story {
        fn with(change: impl FnOnce(&mut Settings)) -> Self {
            let mut settings = as_shipped();
            settings.capacity = Capacity { domains: 100, domain_log_bytes: 20_000, ..Capacity::UNBOUNDED };
            change(&mut settings);
            let keys = StartKeys::draw(&mut Seeded::new(6));
            Self { table: DomainTable::default(), rules: Rules::of(settings), keys }
        }

        fn charge_for(&self, domain: u32, peer: Option<u32>) -> ChargeDomain {
            let domain = format!("{domain}.example");
            let domain = self.keys.inbox("ada", Some(&domain), Mode::Live).domain().unwrap();
            let share = |n: u32| self.keys.peer_share(&Peer::from(IpAddr::from(n.to_be_bytes())));
            ChargeDomain { domain, peer: peer.map(share) }
        }

        /// How long the mail has to wait, in milliseconds.
        fn charge(&mut self, domain: u32, peer: Option<u32>, at: u64) -> Option<u64> {
            let charge = self.charge_for(domain, peer);
            match self.table.charge(&charge, &self.rules, Moment::from_millis(at)).refusal {
                Some(Refusal::RateLimited { policy: Policy::Domain, retry_after }) => {
                    Some(retry_after.as_millis() as u64)
                }
                None => None,
                other => panic!("{other:?}"),
            }
        }

        fn refund(&mut self, domain: u32, peer: Option<u32>, at: u64) {
            let charge = self.charge_for(domain, peer);
            self.table.refund(&RefundDomain { charge, at: Moment::from_millis(at) });
        }

        /// Bytes of all logs, recounted.
        fn log_bytes(&self) -> usize {
            let records = (0..self.table.records.places()).filter_map(|at| self.table.records.get(at));
            records.map(|record| record.mails.heap_bytes()).sum()
        }
    }

    fn limit(count: u32, seconds: u64) -> Vec<Limit> {
        vec![Limit { count, window: Duration::from_secs(seconds) }]
    }

    #[test]
    fn one_peer_uses_its_share_of_a_domain_and_a_campus_its_own() {
        let mut story = Story::with(|_| ());
        for n in 0..20 {
            assert_eq!(story.charge(1, Some(7), n), None);
        }
        assert_eq!(story.charge(1, Some(7), 20), Some(599_980));
        assert_eq!(story.charge(2, Some(7), 20), None, "another domain");
        // Any number of people may come whose correct code gives the mail back.
        for n in 0..5_000 {
            assert_eq!(story.charge(1, Some(1_000 + n), 30), None);
            story.refund(1, Some(1_000 + n), 31);
        }
        // Mails that nobody answers: 480 more.
        let unanswered = (0..1_000).filter(|n| story.charge(1, Some(2_000 + n), 40).is_none()).count();
        assert_eq!(unanswered, 480);
        assert_eq!(story.charge(1, None, 600_000), None, "the first one is ten minutes old");
        assert_eq!(story.charge(1, None, 600_000), Some(1));
    }

    #[test]
    fn what_is_taken_back_is_the_peers_newest_mail_that_is_not_newer() {
        let mut story = Story::with(|s| s.domain_peer_unverified = limit(2, 600));
        for (peer, at) in [(1, 0), (2, 5), (1, 10)] {
            assert_eq!(story.charge(1, Some(peer), at), None);
        }
        story.refund(1, Some(2), 4);
        story.refund(1, None, 100);
        story.refund(2, Some(1), 100);
        assert_eq!(story.charge(1, Some(1), 20), Some(599_980), "nothing of all that was its own");
        story.refund(1, Some(1), 9);
        assert_eq!(story.charge(1, Some(1), 20), None, "that of 0 was");
        assert_eq!(story.charge(1, Some(1), 20), Some(599_990), "and that of 10 was not");
    }

    #[test]
    fn a_full_table_forgets_the_domain_with_the_fewest_mails_nearby() {
        let mut story = Story::with(|_| ());
        for _ in 0..40 {
            story.charge(0, None, 0);
        }
        for domain in 1..10_000 {
            assert_eq!(story.charge(domain, None, 1), None);
            assert!(story.table.len() <= 100);
        }
        assert_eq!(story.table.len(), 100);
        let of_the_first = story.charge_for(0, None).domain;
        let kept = story.table.find(of_the_first).and_then(|at| story.table.records.get(at));
        assert_eq!(kept.map(|record| record.mails.len()), Some(40), "made up domains push out each other");
        assert_eq!(story.log_bytes(), story.table.heap_bytes());
    }

    #[test]
    fn logs_stay_within_their_bytes_and_keep_the_newest_mails() {
        let mut story = Story::with(|s| s.domain_unverified = Vec::new());
        let mut random = Seeded::new(9);
        for n in 0..30_000 {
            let (domain, peer) = (random.below(30) as u32, random.below(3_000) as u32);
            story.charge(domain, Some(peer), n);
            assert!(story.table.heap_bytes() <= 20_000);
            if n % 100 == 0 {
                assert_eq!(story.log_bytes(), story.table.heap_bytes());
            }
        }
        // Only this domain is left: it drops the older half of its mails.
        let mut story = Story::with(|s| {
            (s.domain_unverified, s.domain_peer_unverified) = (limit(9_999, 600), Vec::new())
        });
        for n in 0..5_000 {
            story.charge(1, None, n);
            assert!(story.table.heap_bytes() <= 20_000);
        }
        let record =
            story.table.find(story.charge_for(1, None).domain).and_then(|at| story.table.records.get(at));
        let mails: Vec<u64> = record.unwrap().mails.iter_back().map(|mail| mail.at.as_millis()).collect();
        assert!(mails.len() > 500);
        assert!(mails.iter().zip((0..5_000).rev()).all(|(at, newest)| *at == newest));
    }

    #[test]
    fn a_sweep_forgets_what_no_window_sees() {
        let mut story = Story::with(|_| ());
        for domain in 0..90 {
            story.charge(domain, Some(domain), u64::from(domain) * 1_000);
        }
        story.refund(3, Some(3), 3_000);
        let sweep = |story: &mut Story, at| {
            while story.table.sweep(&story.rules, Moment::from_millis(at), 7) == 7 {}
            story.table.len()
        };
        assert_eq!(sweep(&mut story, 599_999), 90);
        let left = sweep(&mut story, 641_000);
        assert!((48..=49).contains(&left), "{left}");
        assert_eq!(sweep(&mut story, 700_000), 0);
        assert_eq!((story.table.heap_bytes(), story.log_bytes()), (0, 0));
    }
}
