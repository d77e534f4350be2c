//! What must have been remembered: each rule broken once.
use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::clock;
use crate::phone::Silence;

const PEER: Ipv4Addr = Ipv4Addr::new(127, 10, 0, 1);

/// A world, and requests one after the other, a millisecond each.
struct Play {
    world: World,
    now: Instant,
}

impl Play {
    fn new(settings: &[(&str, &str)]) -> Self {
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let rules = Rules::new(&settings.collect::<BTreeMap<_, _>>()).unwrap();
        Self { world: World::new(rules), now: clock::now() }
    }

    fn hear(&mut self, expect: &Expect<'_>, seen: &Seen) -> Vec<String> {
        let lines = self.world.begin(Some(PEER), expect, self.now);
        self.now += Duration::from_millis(1);
        self.world.end(Some(PEER), expect, &lines, seen, self.now)
    }
}

fn issue(inbox: Option<&str>) -> Expect<'_> {
    Expect::Issued { recipient: "ada@example.com", purpose: "login", inbox, origin: None }
}

fn answer(status: u16, policy: &str, digits: u64) -> Seen {
    let body = json!({"policy": policy, "code_length": digits}).to_string().into();
    Seen::Answer(Answer { status, headers: http::HeaderMap::new(), body })
}

const NONE: [&str; 0] = [];

#[test]
fn a_window_that_lets_one_more_in_or_one_less_is_seen() {
    let mut play = Play::new(&[("limits.peer.issue", "2/1m")]);
    let early = play.hear(&issue(None), &answer(429, "peer", 0));
    assert_eq!(early, ["429 peer while its windows had room"]);
    let mut play = Play::new(&[("limits.peer.issue", "2/1m")]);
    assert_eq!(play.hear(&issue(None), &answer(202, "", 6)), NONE);
    assert_eq!(play.hear(&issue(None), &answer(202, "", 6)), NONE);
    assert_eq!(play.hear(&issue(None), &answer(429, "peer", 0)), NONE);
    let late = play.hear(&issue(None), &answer(202, "", 6));
    assert_eq!(late, ["202 for one past limits.peer.issue"]);
    play.now += Duration::from_secs(61);
    assert_eq!(play.hear(&issue(None), &answer(202, "", 6)).len(), 0, "the window has passed");
}

#[test]
fn an_inbox_that_gets_one_mail_more_or_one_less_is_seen() {
    let mut play = Play::new(&[("limits.recipient.issue", "2/10m"), ("limits.recipient_peer.issue", "off")]);
    let ada = issue(Some("ada"));
    let early = play.hear(&ada, &answer(429, "recipient", 0));
    assert_eq!(early, ["429 recipient while the inbox had room"]);
    assert_eq!(play.hear(&ada, &answer(202, "", 6)), NONE);
    assert_eq!(play.hear(&ada, &answer(202, "", 6)), NONE);
    assert_eq!(play.hear(&ada, &answer(429, "recipient", 0)), NONE);
    assert_eq!(play.hear(&ada, &answer(202, "", 6)), ["a mail past limits.recipient.issue"]);
    let mut play = Play::new(&[("limits.recipient_peer.issue", "1/10m")]);
    assert_eq!(play.hear(&ada, &answer(202, "", 6)), NONE);
    assert_eq!(play.hear(&ada, &answer(202, "", 6)), ["a mail past limits.recipient_peer.issue"]);
    assert_eq!(play.world.accepted(), [("ada@example.com".to_owned(), 2)].into());
}

#[test]
fn codes_must_grow_with_the_guesses_at_their_inbox() {
    let mut play = Play::new(&[("limits.recipient.guess", "3/1d")]);
    let ada = issue(Some("ada"));
    let long = play.hear(&ada, &answer(202, "", 8));
    assert_eq!(long, ["8 digits where the guesses at the inbox demand 6"], "nobody has guessed");
    let mut play = Play::new(&[("limits.recipient.guess", "3/1d")]);
    let guess = Expect::Guess { id: "vrf_x", inbox: "ada" };
    for _ in 0..3 {
        assert_eq!(play.hear(&ada, &answer(202, "", 6)), NONE);
        assert_eq!(play.hear(&guess, &answer(200, "", 0)), NONE);
        play.now += Duration::from_secs(600);
    }
    let short = play.hear(&ada, &answer(202, "", 6));
    assert_eq!(short, ["6 digits where the guesses at the inbox demand 8"]);
    assert_eq!(play.hear(&ada, &answer(202, "", 8)), NONE);
}

#[test]
fn silence_is_right_after_the_last_strike_and_then_nothing_else_is() {
    let silence = || Seen::Nothing(Silence::StreamFailed);
    let settings = [("limits.peer.issue", "1/1m"), ("limits.peer.check", "1/1m"), ("bans.strikes", "2/10m")];
    let mut play = Play::new(&settings);
    assert_eq!(play.hear(&issue(None), &silence()), ["a ban before its last strike"]);
    let mut play = Play::new(&settings);
    assert_eq!(play.hear(&issue(None), &answer(202, "", 6)), NONE);
    for _ in 0..3 {
        assert_eq!(play.hear(&issue(None), &answer(429, "peer", 0)), NONE, "one latch, one strike");
    }
    assert_eq!(play.hear(&Expect::Gone, &answer(404, "", 0)), NONE);
    assert_eq!(play.world.banned(), 0);
    assert_eq!(play.hear(&Expect::Gone, &silence()), NONE, "the second strike");
    assert_eq!(play.world.banned(), 1);
    assert_eq!(play.hear(&issue(None), &answer(429, "peer", 0)), ["an answer to a banned peer"]);
}

#[test]
fn who_has_enough_strikes_and_is_answered_all_the_same_is_seen() {
    let mut play = Play::new(&[("limits.peer.denied", "1/1m"), ("bans.strikes", "1/10m")]);
    let denied = Expect::Denied { status: 403, code: "origin-not-allowed" };
    assert_eq!(play.hear(&denied, &answer(403, "", 0)), NONE);
    assert_eq!(play.hear(&denied, &answer(429, "peer", 0)), NONE, "its own refusal may still arrive");
    play.now += Duration::from_secs(2);
    assert_eq!(play.hear(&denied, &answer(429, "peer", 0)), ["an answer to a banned peer"]);
}

#[test]
fn denials_past_their_window_must_be_429() {
    let mut play = Play::new(&[("limits.peer.denied", "1/1m")]);
    let denied = Expect::Denied { status: 403, code: "origin-not-allowed" };
    assert_eq!(play.hear(&denied, &answer(403, "", 0)), NONE);
    assert_eq!(play.hear(&denied, &answer(403, "", 0)), ["403 for one past limits.peer.denied"]);
}

#[test]
fn a_wait_that_is_not_enough_is_seen() {
    let waits = |seconds: &'static str, policy| {
        let Seen::Answer(mut answer) = answer(429, policy, 0) else { panic!() };
        answer.headers.insert("retry-after", http::HeaderValue::from_static(seconds));
        Seen::Answer(answer)
    };
    let mut play = Play::new(&[("limits.peer.issue", "1/1m")]);
    assert_eq!(play.hear(&issue(None), &answer(202, "", 6)), NONE);
    play.now += Duration::from_secs(20);
    assert_eq!(play.hear(&issue(None), &waits("39", "peer")), ["retry-after that is not enough"]);
    assert_eq!(play.hear(&issue(None), &waits("40", "peer")), NONE);
    let mut play = Play::new(&[("limits.recipient.issue", "1/10m")]);
    assert_eq!(play.hear(&issue(Some("ada")), &answer(202, "", 6)), NONE);
    let short = play.hear(&issue(Some("ada")), &waits("598", "recipient"));
    assert_eq!(short, ["retry-after that is not enough"]);
    assert_eq!(play.hear(&issue(Some("ada")), &waits("600", "recipient")), NONE);
}
