//! Settings under which each rule gets to bite.

use std::time::Duration;

use authepy_engine::limits::{Capacity, Limit};
use authepy_engine::perimeter::blocks::Blocks;
use authepy_engine::shard::{PeerLimits, Settings};
use authepy_engine::testing::as_shipped;

use super::peers::EXEMPT;

/// A way to run the service, with the number of inboxes that makes its limits bite.
pub struct Variant {
    /// What is told of a run that fails.
    pub name: &'static str,
    /// How many inboxes are asked about.
    pub inboxes: u64,
    /// The settings of the shard and of the model.
    pub settings: Settings,
}

/// All of them.
pub fn variants() -> Vec<Variant> {
    let usual = Settings {
        capacity: Capacity {
            verifications: 1_000,
            idempotency: 1_000,
            receipts: 1_000,
            ..Capacity::UNBOUNDED
        },
        ..as_shipped()
    };
    let variant = |name, inboxes, change: fn(&mut Settings)| {
        let mut settings = usual.clone();
        change(&mut settings);
        Variant { name, inboxes, settings }
    };
    vec![
        variant("as shipped", 12, |_| {}),
        variant("no windows, no pause between mails, many sends", 4, |s| {
            (s.recipient_issue, s.resend_after, s.sends, s.attempts) = (Vec::new(), Duration::ZERO, 255, 3);
            (s.recipient_peer_issue, s.recipient_all_issue) = Default::default();
            s.recipient_guess = limits(&[(3, 40), (9, 400)]);
        }),
        variant("nobody may receive mail", 4, |s| s.recipient_issue = limits(&[(5, 600), (0, 60)])),
        variant("one of everything", 3, |s| {
            (s.attempts, s.sends, s.lifetime) = (1, 1, Duration::from_secs(60));
            s.recipient_issue = limits(&[(1, 5)]);
            s.recipient_guess = limits(&[(0, 60)]);
        }),
        variant("room for three", 5, |s| {
            s.capacity = Capacity { verifications: 3, idempotency: 2, receipts: 2, ..Capacity::UNBOUNDED };
            s.recipient_issue = limits(&[(2, 60)]);
        }),
        variant("room for one, no windows", 2, |s| {
            s.capacity = Capacity { verifications: 1, idempotency: 1, receipts: 1, ..Capacity::UNBOUNDED };
            (s.recipient_issue, s.recipient_peer_issue, s.recipient_guess) = Default::default();
            s.recipient_all_issue = Vec::new();
        }),
        variant("windows wider than an inbox", 1, |s| {
            (s.lifetime, s.resend_after, s.sends) = (Duration::from_secs(600), Duration::from_secs(1), 3);
            s.recipient_issue = limits(&[(25, 20), (90, 7_000)]);
            s.recipient_all_issue = limits(&[(60, 20), (200, 7_000)]);
            (s.recipient_peer_issue, s.recipient_guess) = (limits(&[(20, 600)]), limits(&[(6, 300)]));
        }),
        variant("many inboxes, a window of no time", 3_000, |s| {
            (s.resend_after, s.sends) = (Duration::from_secs(2), 20);
            s.recipient_issue = limits(&[(1, 0), (3, 45), (2, 7)]);
        }),
        variant("hasty peers", 6, |s| {
            s.peer = PeerLimits {
                issue: limits(&[(2, 3), (6, 60)]),
                check: limits(&[(1, 2), (1, 0)]),
                denied: limits(&[(3, 10)]),
                handshake: limits(&[(4, 5)]),
                any: limits(&[(2, 6)]),
            };
            s.bans.exempt = Blocks::parse(&EXEMPT).unwrap_or_default();
            s.bans.strikes = limits(&[(2, 15), (4, 900)]);
            (s.bans.first, s.bans.max) = (Duration::from_secs(20), Duration::from_secs(100));
            (s.key_issue, s.recipient_peer_issue) = (limits(&[(3, 60)]), limits(&[(2, 30), (3, 100)]));
            (s.project_issue, s.key_unverified) = (limits(&[(2, 20), (5, 200)]), limits(&[(2, 90)]));
            s.domain_unverified = limits(&[(4, 30), (9, 300)]);
            s.domain_peer_unverified = limits(&[(2, 40)]);
        }),
        variant("some peers may do nothing, and nobody is banned but by word", 6, |s| {
            s.peer = PeerLimits {
                issue: limits(&[(0, 5), (3, 10)]),
                check: Vec::new(),
                denied: limits(&[(1, 1)]),
                handshake: limits(&[(2, 30), (5, 300)]),
                any: limits(&[(3, 4)]),
            };
            (s.bans.strikes, s.bans.first, s.bans.max) =
                (Vec::new(), Duration::from_secs(60), Duration::from_secs(10));
            (s.key_issue, s.recipient_peer_issue) = (limits(&[(2, 9), (4, 90)]), limits(&[(0, 60)]));
            (s.domain_unverified, s.domain_peer_unverified) = (Vec::new(), limits(&[(1, 60), (3, 900)]));
        }),
        variant("room for a dozen", 6, |s| {
            s.capacity = Capacity { verifications: 12, idempotency: 3, receipts: 6, ..Capacity::UNBOUNDED };
            (s.recipient_peer_issue, s.peer.issue) = Default::default();
        }),
        variant("tenants share two inboxes", 2, |s| {
            s.recipient_issue = limits(&[(2, 40), (4, 300)]);
            s.recipient_all_issue = limits(&[(3, 30), (6, 400)]);
            s.recipient_peer_issue = limits(&[(1, 20), (3, 200)]);
            s.domain_unverified = limits(&[(0, 60)]);
        }),
        variant("room in an inbox is all there is", 1, |s| {
            (s.lifetime, s.resend_after) = (Duration::from_secs(7_200), Duration::ZERO);
            (s.recipient_issue, s.recipient_peer_issue, s.recipient_all_issue) = Default::default();
            s.recipient_guess = limits(&[(60, 600)]);
        }),
        variant("nothing but shares: a log that is full", 1, |s| {
            (s.lifetime, s.resend_after, s.sends) = (Duration::from_secs(60), Duration::ZERO, 9);
            (s.recipient_issue, s.recipient_all_issue) = Default::default();
            s.recipient_peer_issue = limits(&[(9, 900)]);
        }),
        variant("tenants' windows are longer than that of all", 1, |s| {
            (s.lifetime, s.resend_after, s.sends) = (Duration::from_secs(60), Duration::ZERO, 9);
            (s.recipient_issue, s.recipient_all_issue) = (limits(&[(33, 1_200)]), limits(&[(9, 10)]));
            s.recipient_peer_issue = limits(&[(16, 600)]);
        }),
    ]
}

fn limits(list: &[(u32, u64)]) -> Vec<Limit> {
    list.iter().map(|&(count, seconds)| Limit { count, window: Duration::from_secs(seconds) }).collect()
}
