//! The oracle's reading of domains: every mail that was counted, in a list.

use std::collections::HashMap;
use std::time::Duration;

use authepy_engine::clock::Moment;
use authepy_engine::request::{ChargeDomain, Outcome, Policy, Quotas, RefundDomain, Refusal};
use authepy_engine::route::{DomainTag, PeerShare};
use authepy_engine::shard::Settings;
use authepy_engine::testing::charged;

use super::oracle::{millis, wait_for_window};

struct Counted {
    domain: DomainTag,
    line: Option<String>,
    by: Option<PeerShare>,
    at: u64,
}

pub(crate) struct DomainOracle {
    rules: Settings,
    counted: Vec<Counted>,
}

impl DomainOracle {
    pub(crate) fn new(rules: Settings) -> Self {
        Self { rules, counted: Vec::new() }
    }

    pub(crate) fn charge(
        &mut self,
        at: u64,
        charge: &ChargeDomain,
        lines: &HashMap<PeerShare, String>,
    ) -> Outcome {
        let line = charge.peer.map(|peer| lines[&peer].clone());
        let here = || self.counted.iter().filter(|mail| mail.domain == charge.domain);
        let all: Vec<u64> = here().map(|mail| mail.at).collect();
        let own: Vec<u64> = here().filter(|mail| mail.line == line).map(|mail| mail.at).collect();
        let share = line.as_ref().and_then(|_| wait_for_window(&self.rules.domain_peer_unverified, &own, at));
        let wait = wait_for_window(&self.rules.domain_unverified, &all, at).max(share);
        if wait.is_none() {
            self.counted.push(Counted { domain: charge.domain, line, by: charge.peer, at });
        }
        let refusal = wait.map(|wait| Refusal::RateLimited {
            policy: Policy::Domain,
            retry_after: Duration::from_millis(wait),
        });
        Outcome::Charged(charged(refusal, Quotas::default(), Moment::from_millis(at)))
    }

    /// Takes the newest mail of the same peer back that is not newer than it says.
    pub(crate) fn refund(&mut self, refund: &RefundDomain, lines: &HashMap<PeerShare, String>) -> Outcome {
        let line = refund.charge.peer.map(|peer| lines[&peer].clone());
        let is_meant = |mail: &Counted| {
            mail.domain == refund.charge.domain && mail.line == line && mail.at <= refund.at.as_millis()
        };
        if let Some(found) = self.counted.iter().rposition(is_meant) {
            self.counted.remove(found);
        }
        Outcome::Noted
    }

    /// When a mail to this domain was counted last, and in whose share.
    pub(crate) fn last_charge(&self, domain: DomainTag) -> Option<(u64, Option<PeerShare>)> {
        self.counted.iter().rfind(|mail| mail.domain == domain).map(|mail| (mail.at, mail.by))
    }

    pub(crate) fn boundaries(&self) -> Vec<u64> {
        let limits = [&self.rules.domain_unverified, &self.rules.domain_peer_unverified];
        let spans = limits.into_iter().flatten().map(|limit| millis(limit.window));
        let recent = || self.counted.iter().rev().take(20);
        spans.flat_map(|span| recent().map(move |mail| mail.at + span).collect::<Vec<_>>()).collect()
    }
}
