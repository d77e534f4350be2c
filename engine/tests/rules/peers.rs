//! Peers, strikes and bans, told as stories on one shard (A20, A21b, A21e, A58). Every story starts at
//! 12:00:00 with the limits as shipped and says what time it is.

use std::net::IpAddr;
use std::time::Duration;

use authepy_engine::clock::{Moment, Now};
use authepy_engine::identity::{KeyDigest, Mode, Owner, ProjectId};
use authepy_engine::limits::Limit;
use authepy_engine::peer::{Peer, Prefix};
use authepy_engine::perimeter::blocks::Blocks;
use authepy_engine::request::{
    Activity, Ban, Charge, ChargeKey, Charged, Command, KeyWindow, Outcome, Policy, RefundKey, Refusal,
};
use authepy_engine::route::{AccountDigest, StartKeys};
use authepy_engine::shard::{Settings, Shard};
use authepy_engine::testing::{Seeded, as_shipped};

const EVE: &str = "203.0.113.7";
const HOUR: f64 = 3_600.0;

struct Story {
    shard: Shard,
    entropy: Seeded,
    seconds: f64,
    mode: Mode,
}

#[test]
fn the_31st_refused_request_of_a_minute_is_too_many() {
    let mut story = Story::new();
    for _ in 0..30 {
        assert_eq!(story.charge(EVE, Activity::Denied), "ok");
    }
    story.seconds = 20.0;
    assert_eq!(story.charge(EVE, Activity::Denied), "peer limit, 40s");
    assert_eq!(story.charge(EVE, Activity::Issue), "ok", "other windows are other windows");
    assert_eq!(story.charge("203.0.113.8", Activity::Denied), "ok", "and other peers are others");
    story.seconds = 59.999;
    assert_eq!(story.charge(EVE, Activity::Denied), "peer limit, 1ms");
    story.seconds = 60.0;
    assert_eq!(story.charge(EVE, Activity::Denied), "ok");
}

#[test]
fn hammering_a_window_strikes_once_in_its_span() {
    let mut story = Story::new();
    // Ten requests a second: a strike at 3.0 s, at 63.0 s and so on; the fifth bans.
    let mut banned_at = None;
    for tenth in 0..4_000 {
        story.seconds = f64::from(tenth) / 10.0;
        if story.charge(EVE, Activity::Denied).starts_with("banned") {
            banned_at.get_or_insert(story.seconds);
        }
    }
    assert_eq!(banned_at, Some(243.0));
}

#[test]
fn who_waits_as_told_is_never_struck() {
    let mut story = Story::new();
    for _ in 0..2_000 {
        let charged = story.charged(EVE, Activity::Check);
        match charged.refusal {
            // Just before the window is full, its quota says so and how long to wait.
            None if charged.quotas.as_slice()[0].remaining > 0 => story.seconds += 0.5,
            None => story.seconds += f64::from(charged.quotas.as_slice()[0].reset_seconds),
            Some(refusal) => panic!("{refusal:?}"),
        }
    }
}

#[test]
fn each_ban_within_a_day_of_the_last_is_twice_as_long_up_to_a_day() {
    let mut story = Story::new();
    for hours in [3.0, 6.0, 12.0, 24.0, 24.0] {
        assert_eq!(story.break_limits(EVE), format!("banned, {}s", hours * HOUR));
        story.seconds += hours * HOUR - 0.001;
        assert_eq!(story.charge(EVE, Activity::Issue), "banned, 1ms");
        story.seconds += 0.001;
        assert_eq!(story.charge(EVE, Activity::Issue), "ok");
        story.seconds += HOUR;
    }
    // A day after the last one's end it is forgotten.
    story.seconds += 23.0 * HOUR;
    assert_eq!(story.break_limits(EVE), format!("banned, {}s", 3.0 * HOUR));
}

#[test]
fn knocking_does_not_prolong_a_ban_and_after_it_strikes_start_from_zero() {
    let mut story = Story::new();
    story.break_limits(EVE);
    for second in 1..3 * 3_600 {
        story.seconds += 1.0;
        let left = 3 * 3_600 - second;
        assert_eq!(story.charge(EVE, Activity::Check), format!("banned, {left}s"));
    }
    story.seconds += 1.0;
    for activity in [Activity::Issue, Activity::Check, Activity::Denied, Activity::Handshake] {
        assert!(story.flood(EVE, activity).starts_with("peer limit"), "four strikes are no ban");
    }
}

#[test]
fn the_network_whose_window_was_breached_is_banned() {
    // One /64 breaks its own windows: its neighbours are untouched.
    let mut story = Story::new();
    assert!(story.break_limits("2001:db8:1:1::1").starts_with("banned"));
    assert!(story.charge("2001:db8:1:1::2", Activity::Issue).starts_with("banned"));
    assert_eq!(story.charge("2001:db8:1:2::1", Activity::Check), "ok");
    assert_eq!(story.bans(), ["2001:db8:1:1::/64"]);
    // Many /64s of one /56 break the /56's, each being polite by itself.
    let mut story = Story::new();
    for minute in 0..5 {
        story.seconds = f64::from(minute) * 60.0;
        for n in 0..=120 {
            story.charge(&format!("2001:db8:1:{:x}::1", n % 100), Activity::Denied);
        }
    }
    assert_eq!(story.bans(), ["2001:db8:1::/56"]);
    assert!(story.charge("2001:db8:1:ff::1", Activity::Issue).starts_with("banned"));
    assert_eq!(story.charge("2001:db8:1:100::1", Activity::Issue), "ok", "the next /56");
}

#[test]
fn an_ipv4_address_is_one_peer_in_both_spellings() {
    let mut story = Story::new();
    for n in 0..30 {
        story.charge([EVE, "::ffff:203.0.113.7"][n % 2], Activity::Denied);
    }
    assert!(story.charge("::ffff:cb00:7107", Activity::Denied).starts_with("peer limit"));
}

#[test]
fn test_keys_have_their_own_windows_but_a_peer_is_banned_as_one() {
    let mut story = Story::new();
    assert!(story.flood(EVE, Activity::Issue).starts_with("peer limit"));
    story.mode = Mode::Test;
    assert_eq!(story.charge(EVE, Activity::Issue), "ok");
    assert!(story.flood(EVE, Activity::Issue).starts_with("peer limit"));
    assert!(story.flood(EVE, Activity::Check).starts_with("peer limit"));
    assert!(story.flood(EVE, Activity::Denied).starts_with("peer limit"));
    assert!(
        story.flood(EVE, Activity::Handshake).starts_with("banned"),
        "two windows of live, three of test"
    );
    story.mode = Mode::Live;
    assert!(story.charge(EVE, Activity::Check).starts_with("banned"));
}

#[test]
fn an_operator_bans_and_lifts_and_the_row_is_remembered() {
    let mut story = Story::new();
    let prefix: Prefix = "2001:db8:7::/48".parse().unwrap();
    let ban = |span| Command::Ban(Ban { prefix, span });
    let until = |outcome| match outcome {
        Outcome::Banned(until) => Moment::as_millis(until) as f64 / 1_000.0,
        other => panic!("{other:?}"),
    };
    assert_eq!(until(story.ask(ban(Some(Duration::from_secs(60))))), 60.0);
    assert_eq!(story.charge("2001:db8:7:1::1", Activity::Check), "banned, 60s");
    assert_eq!(until(story.ask(ban(Some(Duration::from_secs(10))))), 10.0, "the last word counts");
    let lifted = story.ask(Command::Unban(prefix));
    assert!(matches!(lifted, Outcome::Unbanned { was_banned: true }));
    assert!(matches!(story.ask(Command::Unban(prefix)), Outcome::Unbanned { was_banned: false }));
    assert_eq!(story.charge("2001:db8:7:1::1", Activity::Check), "ok");
    story.seconds = 100.0;
    assert_eq!(until(story.ask(ban(None))), 100.0 + 6.0 * HOUR, "the second in a row");
}

#[test]
fn an_operators_ban_clears_strikes_too() {
    let mut story = Story::new();
    for activity in [Activity::Issue, Activity::Check, Activity::Denied, Activity::Handshake] {
        story.flood(EVE, activity);
    }
    let prefix = EVE.parse().unwrap();
    story.ask(Command::Ban(Ban { prefix, span: Some(Duration::from_secs(61)) }));
    story.seconds = 61.0;
    assert!(story.flood(EVE, Activity::Check).starts_with("peer limit"), "would have been the fifth");
}

#[test]
fn what_a_project_claims_holds_for_that_project_alone() {
    let mut story = Story::new();
    let [tenant, other] = [1, 2].map(|n| Owner { project: ProjectId(n), mode: Mode::Live });
    let test = Owner { mode: Mode::Test, ..tenant };
    // One back end tells of a client that breaks every limit, again and again.
    for minute in 0..6 {
        story.seconds = f64::from(minute) * 60.0;
        for _ in 0..100 {
            story.claim(tenant, EVE, Activity::Issue);
        }
    }
    assert!(story.claim(tenant, EVE, Activity::Check).starts_with("banned"));
    assert_eq!(story.bans(), [""; 0], "no lane hears of it");
    assert_eq!(story.shard.take_ban_changes(), []);
    assert_eq!(story.claim(other, EVE, Activity::Issue), "ok", "no other project");
    assert_eq!(story.claim(test, EVE, Activity::Issue), "ok", "not what its test keys do");
    assert_eq!(story.charge(EVE, Activity::Issue), "ok", "and least of all the peer itself");
    // The operator's word lifts it with all others.
    let lifted = story.ask(Command::Unban(EVE.parse().unwrap()));
    assert!(matches!(lifted, Outcome::Unbanned { was_banned: true }));
    assert_eq!(story.claim(tenant, EVE, Activity::Check), "ok");
    // Who is banned by his own doing is banned for everybody.
    assert!(story.break_limits(EVE).starts_with("banned"));
    assert!(story.claim(other, EVE, Activity::Issue).starts_with("banned"));
    assert_eq!(story.bans(), [format!("{EVE}/32")]);
}

#[test]
fn exempt_networks_are_limited_and_never_banned() {
    let mut story = Story::with(|s| {
        s.bans.exempt = Blocks::parse(&["203.0.113.0/24", "2001:db8:1:1::5", "2001:db9::/32"]).unwrap();
    });
    for address in [EVE, "127.0.0.1", "::ffff:127.0.0.1", "::1", "2001:db8:1:1::1", "2001:db9:7::1"] {
        for minute in 0..10 {
            story.seconds += f64::from(minute) * 60.0;
            assert!(story.flood(address, Activity::Denied).starts_with("peer limit"), "{address}");
        }
        let prefix = address.parse().unwrap();
        let asked = story.ask(Command::Ban(Ban { prefix, span: None }));
        assert!(matches!(asked, Outcome::Exempt), "{asked:?}");
    }
    // Those around an exempt address are spared with it, their neighbours are not.
    for (network, is_exempt) in [("2001:db8:1:100::/56", false), ("2001:db8:1::/56", true), ("::/48", true)] {
        let asked = story.ask(Command::Ban(Ban { prefix: network.parse().unwrap(), span: None }));
        assert_eq!(matches!(asked, Outcome::Exempt), is_exempt, "{network}");
    }
    story.seconds += 600.0;
    assert!(story.break_limits("2001:db8:1:2::1").starts_with("banned"));
    assert!(
        story.break_limits("127.0.0.2").starts_with("banned"),
        "another loopback address is a peer like any"
    );
}

#[test]
fn a_network_that_becomes_exempt_is_banned_no_more() {
    let mut story = Story::new();
    let owner = Owner { project: ProjectId(1), mode: Mode::Live };
    for _ in 0..5 {
        (0..31).for_each(|_| drop(story.claim(owner, EVE, Activity::Denied)));
        story.seconds += 60.0;
    }
    assert!(story.claim(owner, EVE, Activity::Check).starts_with("banned"));
    assert!(story.break_limits(EVE).starts_with("banned"));
    assert!(story.break_limits("203.0.114.1").starts_with("banned"));
    story.shard.take_ban_changes();
    let mut settings = as_shipped();
    settings.bans.exempt = Blocks::parse(&["203.0.113.0/24"]).unwrap();
    story.shard.configure(settings);
    let told = story.shard.take_ban_changes();
    assert_eq!(
        told.iter().map(|t| (t.prefix.to_string(), t.until)).collect::<Vec<_>>(),
        [(format!("{EVE}/32"), None)]
    );
    story.seconds += 60.0;
    assert_eq!(story.charge(EVE, Activity::Check), "ok");
    assert_eq!(story.claim(owner, EVE, Activity::Check), "ok");
    assert!(story.charge("203.0.114.1", Activity::Check).starts_with("banned"));
}

#[test]
fn what_is_nobodys_fault_is_refused_and_strikes_nobody() {
    let mut story = Story::new();
    let peer = Peer::from(EVE.parse::<IpAddr>().unwrap());
    let guiltless = Charge::proved(peer, Activity::Denied, Mode::Live).guiltless();
    for minute in 0..20 {
        story.seconds = f64::from(minute) * 60.0;
        for n in 0..100 {
            let Outcome::Charged(charged) = story.ask(Command::Charge(guiltless)) else { panic!() };
            assert_eq!(charged.refusal.is_some(), n >= 30, "a 429 from the 31st on, and never a ban");
        }
    }
    // A guilty request meets the same window, and strikes.
    story.seconds = 2_000.0;
    assert!(story.break_limits(EVE).starts_with("banned"));
}

#[test]
fn what_foreign_pages_do_uses_up_nothing_of_their_visitors() {
    let mut story = Story::new();
    for _ in 0..600 {
        assert_eq!(story.charge(EVE, Activity::Foreign), "ok");
    }
    assert_eq!(story.charge(EVE, Activity::Foreign), "peer limit, 60s");
    assert!(story.flood_up_to(EVE, Activity::Any, 600).starts_with("peer limit"));
    assert_eq!(story.charge(EVE, Activity::Denied), "ok");
    // A /56 has four times as much of both, a /48 sixteen times.
    for n in 0..4 {
        (0..600).for_each(|_| assert_eq!(story.charge(&format!("2001:db8:1:{n}::1"), Activity::Any), "ok"));
    }
    assert!(story.charge("2001:db8:1:9::1", Activity::Any).starts_with("peer limit"), "the /56 is full");
    assert_eq!(story.charge("2001:db8:1:100::1", Activity::Any), "ok");
    assert_eq!(story.charge("2001:db8:1:9::1", Activity::Foreign), "ok");
}

#[test]
fn limits_that_are_off_count_nothing_and_zero_denies_all() {
    let mut story = Story::with(|settings| {
        settings.peer.issue = Vec::new();
        settings.peer.check = vec![Limit { count: 0, window: Duration::from_secs(60) }];
    });
    for _ in 0..10_000 {
        assert_eq!(story.charged(EVE, Activity::Issue).quotas.as_slice(), []);
    }
    assert_eq!(story.shard.census().peers, 0);
    assert_eq!(story.charge(EVE, Activity::Check), "peer limit, 86400s");
}

#[test]
fn limits_at_the_edge_of_numbers_saturate() {
    let endless = Limit { count: u32::MAX, window: Duration::MAX };
    let mut story = Story::with(|settings| {
        (settings.peer.issue, settings.bans.strikes) = (vec![endless], vec![endless]);
        settings.peer.check = vec![Limit { count: 1, window: Duration::MAX }];
        (settings.bans.first, settings.bans.max) = (Duration::MAX, Duration::MAX);
    });
    assert_eq!(story.charge("2001:db8::1", Activity::Issue), "ok");
    assert_eq!(story.charge(EVE, Activity::Check), "ok");
    assert!(story.charge(EVE, Activity::Check).starts_with("peer limit"));
    let ban = Command::Ban(Ban { prefix: EVE.parse().unwrap(), span: None });
    assert!(matches!(story.ask(ban), Outcome::Banned(end) if end == Moment::from_millis(u64::MAX)));
    story.seconds = 1e12;
    while story.shard.sweep(story.now().at) {}
    assert!(story.charge(EVE, Activity::Check).starts_with("banned"));
}

#[test]
fn a_quota_tells_the_least_that_any_network_has_left() {
    let mut story = Story::with(|s| {
        s.peer.issue = vec![Limit { count: 2, window: Duration::from_secs(60) }];
    });
    let left = |story: &mut Story, address: &str| {
        let quota = story.charged(address, Activity::Issue).quotas.as_slice()[0];
        (quota.count, quota.window_seconds, quota.remaining, quota.reset_seconds)
    };
    assert_eq!(left(&mut story, "2001:db8::1"), (2, 60, 1, 60));
    story.seconds = 10.0;
    assert_eq!(left(&mut story, "2001:db8::2"), (2, 60, 0, 50));
    for n in 1..=3 {
        left(&mut story, &format!("2001:db8:0:{n}::1"));
        left(&mut story, &format!("2001:db8:0:{n}::1"));
    }
    assert_eq!(left(&mut story, "2001:db8:0:4::1"), (2, 60, 0, 50), "eight of the /56 are used up");
}

#[test]
fn a_key_is_charged_for_accepted_issues_only() {
    let mut story = Story::with(|s| {
        s.key_issue = vec![Limit { count: 2, window: Duration::from_secs(60) }];
    });
    let keys = StartKeys::draw(&mut Seeded::new(1));
    let [key, other] = [1, 2].map(|n| keys.api_key(&KeyDigest::from_bytes([n; 32])));
    let issues = |of| ChargeKey { window: KeyWindow::Issue, of };
    let charge = |story: &mut Story, of: AccountDigest| match story.ask(Command::ChargeKey(issues(of))) {
        Outcome::Charged(charged) => charged,
        other => panic!("{other:?}"),
    };
    assert_eq!(charge(&mut story, key).refusal, None);
    let refused_by_the_inbox = charge(&mut story, key);
    story.seconds = 5.0;
    let limited = charge(&mut story, key);
    let retry_after = Duration::from_secs(55);
    assert_eq!(limited.refusal, Some(Refusal::RateLimited { policy: Policy::Key, retry_after }));
    assert_eq!(limited.quotas.as_slice()[0].remaining, 0);
    story.ask(Command::RefundKey(RefundKey { charge: issues(key), at: refused_by_the_inbox.at }));
    assert_eq!(charge(&mut story, key).refusal, None);
    assert_eq!(charge(&mut story, other).refusal, None, "another key has its own");
}

impl Story {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = as_shipped();
        change(&mut settings);
        let mut entropy = Seeded::new(31);
        let keys = StartKeys::draw(&mut entropy);
        Self { shard: Shard::new(keys, settings), entropy, seconds: 0.0, mode: Mode::Live }
    }

    fn now(&self) -> Now {
        let at = Moment::from_millis((self.seconds * 1_000.0).round() as u64);
        Now { at, unix_ms: at.as_millis() }
    }

    fn ask(&mut self, command: Command) -> Outcome {
        self.shard.handle(self.now(), command, &mut self.entropy)
    }

    fn charged(&mut self, address: &str, activity: Activity) -> Charged {
        let peer = Peer::from(address.parse::<IpAddr>().unwrap());
        match self.ask(Command::Charge(Charge::proved(peer, activity, self.mode))) {
            Outcome::Charged(charged) => charged,
            other => panic!("{other:?}"),
        }
    }

    fn charge(&mut self, address: &str, activity: Activity) -> String {
        told(self.charged(address, activity).refusal)
    }

    /// What a secret key of `owner` tells of a client.
    fn claim(&mut self, owner: Owner, address: &str, activity: Activity) -> String {
        let peer = Peer::from(address.parse::<IpAddr>().unwrap());
        match self.ask(Command::Charge(Charge::claimed(owner, peer, activity))) {
            Outcome::Charged(charged) => told(charged.refusal),
            other => panic!("{other:?}"),
        }
    }

    /// Asks until the window refuses.
    fn flood(&mut self, address: &str, activity: Activity) -> String {
        self.flood_up_to(address, activity, 200)
    }

    fn flood_up_to(&mut self, address: &str, activity: Activity, most: u32) -> String {
        for _ in 0..=most {
            let answer = self.charge(address, activity);
            if answer != "ok" {
                return answer;
            }
        }
        panic!("no window refused");
    }

    /// Five strikes: four windows, and the first once more when it may strike again.
    fn break_limits(&mut self, address: &str) -> String {
        for activity in [Activity::Denied, Activity::Issue, Activity::Check, Activity::Handshake] {
            self.flood(address, activity);
        }
        self.seconds += 60.0;
        self.flood(address, Activity::Denied)
    }

    fn bans(&self) -> Vec<String> {
        self.shard.bans(self.now().at).iter().map(|ban| ban.prefix.to_string()).collect()
    }
}

fn told(refusal: Option<Refusal>) -> String {
    match refusal {
        None => "ok".into(),
        Some(Refusal::RateLimited { policy: Policy::Peer, retry_after }) => {
            format!("peer limit, {retry_after:?}")
        }
        Some(Refusal::Banned { retry_after }) => format!("banned, {retry_after:?}"),
        other => panic!("{other:?}"),
    }
}
