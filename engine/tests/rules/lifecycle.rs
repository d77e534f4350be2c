//! The life of a verification, told through the public interface of one shard (A01, A03, A05, A08, A58).
//! Every story starts with an empty shard at 12:00:00 and says what time it is.

use std::net::IpAddr;
use std::time::Duration;

use authepy_engine::clock::{Moment, Now};
use authepy_engine::code::Code;
use authepy_engine::id::{IdSecret, VerificationId};
use authepy_engine::identity::{KeyTag, Mode, Owner, ProjectId};
use authepy_engine::limits::{Capacity, Limit, MAILS_REMEMBERED};
use authepy_engine::peer::Peer;
use authepy_engine::request::{
    Check, Command, First, HandOver, Issue, Issued, MailForm, Outcome, Policy, Refusal, Resend, Reserve,
    Settle, Slot, Spend, Standing,
};
use authepy_engine::route::{AddressDigest, InboxFingerprint, NonceDigest, StartKeys};
use authepy_engine::shard::{Settings, Shard};
use authepy_engine::testing::{Seeded, as_shipped, plain_issue, unproven};

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";
const ACME: Owner = Owner { project: ProjectId(1), mode: Mode::Live };
const OTHER_PROJECT: Owner = Owner { project: ProjectId(2), mode: Mode::Live };
const ACME_TEST: Owner = Owner { project: ProjectId(1), mode: Mode::Test };

/// A shard, and the clock that the story moves.
struct Story {
    shard: Shard,
    keys: StartKeys,
    entropy: Seeded,
    seconds: f64,
}

/// What the owner of the mailbox holds: the slot's name, and the mail.
struct Mailed {
    slot: Slot,
    address: AddressDigest,
    code: String,
    send: u8,
    standing: Standing,
}

// The code itself.

#[test]
fn a_code_works_once() {
    let mut story = Story::new();
    let mail = story.issue_delivered(ADA);
    assert_eq!(story.check(&mail.slot, &mail.code), "approved");
    assert_eq!(story.check(&mail.slot, &mail.code), "not found");
    assert_eq!(story.shard.live(), 0);
}

#[test]
fn a_code_works_before_the_relay_has_said_that_it_took_the_mail() {
    let mut story = Story::new();
    let mail = story.issue(ADA);
    assert_eq!(story.check(&mail.slot, &mail.code), "approved");
    story.hand_over(&mail, true);
    assert_eq!(story.check(&mail.slot, &mail.code), "not found");
}

#[test]
fn a_code_works_for_its_own_verification_only() {
    let mut story = Story::new();
    let (mine, other) = (story.issue_delivered(ADA), story.issue_delivered(ADA));
    assert_ne!(mine.code, other.code, "this seed draws two codes");
    assert_eq!(story.check(&mine.slot, &other.code), "incorrect, 4 left");
    assert_eq!(story.check(&other.slot, &mine.code), "incorrect, 4 left");
    assert_eq!(story.check(&mine.slot, &mine.code), "approved");
    assert_eq!(story.check(&other.slot, &other.code), "approved");
}

#[test]
fn an_expired_code_is_unknown_even_if_never_swept() {
    let mut story = Story::new();
    let (in_time, late) = (story.issue_delivered(ADA), story.issue_delivered("bob@example.com"));
    story.seconds = 299.999;
    assert_eq!(story.check(&in_time.slot, &in_time.code), "approved");
    story.seconds = 300.0;
    assert_eq!(story.shard.live(), 1, "nobody has swept");
    assert_eq!(story.check(&late.slot, &late.code), "not found");
    assert_eq!(story.status(&late.slot), "not found");
    assert_eq!(story.resend(&late), "not found");
}

#[test]
fn a_resend_does_not_prolong_a_life() {
    let mut story = Story::new();
    let first = story.issue_delivered(ADA);
    story.seconds = 290.0;
    let second = story.resent(&first);
    assert_eq!(second.standing.expires, Moment::from_millis(300_000));
    story.seconds = 300.0;
    assert_eq!(story.check(&second.slot, &second.code), "not found");
}

#[test]
fn an_id_of_which_one_character_differs_is_unknown() {
    let mut story = Story::new();
    let mail = story.issue_delivered(ADA);
    let text = mail.slot.id.text().as_str().to_owned();
    let mut read = 0;
    for place in 4..text.len() {
        for other in ["0", "1", "z"].into_iter().filter(|other| text[place..=place] != **other) {
            let mut misspelt = text.clone();
            misspelt.replace_range(place..=place, other);
            let Some(id) = VerificationId::parse(&misspelt) else { continue };
            let slot = Slot::locate(&story.keys, id, ACME);
            assert_eq!(story.check(&slot, &mail.code), "not found", "{misspelt} for {text}");
            read += 1;
        }
    }
    assert!(read > 50);
    assert_eq!(story.check(&mail.slot, &mail.code), "approved");
}

#[test]
fn unknown_ids_leave_nothing_behind() {
    let mut story = Story::new();
    for _ in 0..100_000 {
        let id =
            VerificationId::new(&story.keys, IdSecret::draw(&mut story.entropy), story.inbox(ADA).route());
        let slot = Slot::locate(&story.keys, id, ACME);
        assert_eq!(story.check(&slot, "123456"), "not found");
    }
    assert_eq!((story.shard.live(), story.shard.inboxes()), (0, 0));
}

// Tries.

#[test]
fn the_last_wrong_code_ends_the_verification() {
    let mut story = Story::new();
    let mail = story.issue_delivered(ADA);
    for left in (1..=4).rev() {
        assert_eq!(story.check(&mail.slot, wrong(&mail)), format!("incorrect, {left} left"));
    }
    assert_eq!(story.check(&mail.slot, wrong(&mail)), "exhausted");
    assert_eq!(story.check(&mail.slot, &mail.code), "not found");
    assert_eq!(story.shard.live(), 0);
}

#[test]
fn the_last_try_may_be_right() {
    let mut story = Story::new();
    let mail = story.issue_delivered(ADA);
    for _ in 0..4 {
        story.check(&mail.slot, wrong(&mail));
    }
    assert_eq!(story.check(&mail.slot, &mail.code), "approved");
}

#[test]
fn two_codes_share_one_attempt_budget() {
    let mut story = Story::new();
    let first = story.issue_delivered(ADA);
    for _ in 0..3 {
        story.check(&first.slot, wrong(&first));
    }
    story.seconds = 30.0;
    let second = story.resent_delivered(&first);
    assert_eq!(second.standing.attempts_remaining, 2);
    assert_eq!(story.check(&second.slot, wrong(&second)), "incorrect, 1 left");
    assert_eq!(story.check(&second.slot, wrong(&second)), "exhausted");
    assert_eq!(story.check(&first.slot, &first.code), "not found");
}

#[test]
fn a_wrong_recipient_or_nonce_or_length_spends_no_try() {
    let mut story = Story::new();
    let nonce = story.keys.scoped("nonce", &[b"right"]);
    let request = Issue { nonce: Some(nonce), ..story.request(ADA, ACME) };
    let mail = story.issued(request);
    let (right, wrong_nonce) = (story.keys.exact_address(ADA), story.keys.scoped("nonce", &[b"wrong"]));
    let stranger = story.keys.exact_address("eve@example.com");
    let slot = &mail.slot;
    for _ in 0..10 {
        let code = &mail.code;
        assert_eq!(story.check_all(slot, code, Some(stranger), Some(nonce)), "recipient mismatch");
        assert_eq!(story.check_all(slot, code, Some(right), None), "nonce mismatch");
        assert_eq!(story.check_all(slot, code, Some(right), Some(wrong_nonce)), "nonce mismatch");
        assert_eq!(story.check_all(slot, "1234567", Some(right), Some(nonce)), "malformed code");
    }
    let Outcome::Status(standing, _) = story.ask(Command::Status(unproven(slot.clone()))) else { panic!() };
    assert_eq!(standing.attempts_remaining, 5);
    assert_eq!(story.check_all(slot, &mail.code, Some(right), Some(nonce)), "approved");
}

#[test]
fn a_nonce_that_nobody_asked_for_is_no_obstacle() {
    let mut story = Story::new();
    let mail = story.issue_delivered(ADA);
    let nonce = story.keys.scoped("nonce", &[b"any"]);
    assert_eq!(story.check_all(&mail.slot, &mail.code, None, Some(nonce)), "approved");
}

#[test]
fn no_try_at_all_means_that_no_code_is_compared() {
    let mut story = Story::with(|settings| settings.attempts = 0);
    let mail = story.issue_delivered(ADA);
    assert_eq!(story.check(&mail.slot, &mail.code), "exhausted");
    assert_eq!(story.check(&mail.slot, &mail.code), "not found");
}

// Mails and resends.

#[test]
fn the_last_two_codes_work_and_an_older_one_does_not() {
    for (age, answer) in [(1, "approved"), (2, "approved"), (3, "incorrect, 4 left")] {
        let mut story = Story::new();
        let mut mails = vec![story.issue_delivered(ADA)];
        for n in 1..3 {
            story.seconds = f64::from(n) * 30.0;
            mails.push(story.resent_delivered(&mails[0]));
        }
        let mail = &mails[mails.len() - age];
        assert_eq!(story.check(&mail.slot, &mail.code), answer, "the code of {age} mails ago");
    }
}

#[test]
fn a_failed_resend_never_kills_a_delivered_code() {
    let mut story = Story::with(|settings| settings.sends = 9);
    let first = story.issue_delivered(ADA);
    let mut failed = Vec::new();
    for n in 1..4 {
        story.seconds = f64::from(n) * 30.0;
        let mail = story.resent(&first);
        story.hand_over(&mail, false);
        failed.push(mail);
    }
    let wrong = &failed[2];
    assert_eq!(story.check(&wrong.slot, &wrong.code), "incorrect, 4 left", "nobody can have read it");
    assert_eq!(story.check(&first.slot, &first.code), "approved");
}

#[test]
fn after_a_failed_first_mail_a_resend_still_works() {
    let mut story = Story::new();
    let first = story.issue(ADA);
    story.hand_over(&first, false);
    story.seconds = 30.0;
    let second = story.resent_delivered(&first);
    assert_eq!(story.check(&first.slot, &first.code), "incorrect, 4 left");
    assert_eq!(story.check(&second.slot, &second.code), "approved");
}

#[test]
fn only_the_first_word_about_a_mail_counts() {
    let mut story = Story::new();
    let (taken, lost) = (story.issue(ADA), story.issue("bob@example.com"));
    for (mail, word) in [(&taken, true), (&taken, false), (&lost, false), (&lost, true)] {
        story.hand_over(mail, word);
    }
    assert_eq!(story.check(&taken.slot, &taken.code), "approved");
    assert_eq!(story.check(&lost.slot, &lost.code), "incorrect, 4 left");
}

#[test]
fn a_late_word_about_an_old_mail_does_not_touch_the_new_one() {
    let mut story = Story::new();
    let first = story.issue_delivered(ADA);
    story.seconds = 30.0;
    let second = story.resent(&first);
    story.hand_over(&first, false);
    assert_eq!(story.check(&second.slot, &second.code), "approved");
}

#[test]
fn a_resend_waits_for_its_pause_and_for_the_relay() {
    let mut story = Story::new();
    let first = story.issue(ADA);
    story.seconds = 29.999;
    assert_eq!(story.resend(&first), "resend limit, 1ms");
    story.seconds = 30.0;
    assert_eq!(story.resend(&first), "delivery unavailable, 5s");
    story.hand_over(&first, true);
    assert_eq!(story.resend(&first), "resent");
    assert_eq!(story.resend(&first), "resend limit, 30s");
}

#[test]
fn a_resend_goes_to_the_same_address_or_nowhere() {
    let mut story = Story::new();
    let mail = story.issue_delivered(ADA);
    story.seconds = 30.0;
    for other in ["ada+1@example.com", "ad.a@example.com", "\u{e0}da@example.com"] {
        let address = story.keys.exact_address(other);
        let elsewhere = Resend { address, ..mail.resend() };
        assert_eq!(say(&story.ask(Command::Resend(unproven(elsewhere)))), "recipient mismatch");
    }
    assert_eq!(story.resend(&mail), "resent");
}

#[test]
fn when_the_sends_are_used_up_the_wait_is_the_rest_of_the_life() {
    let mut story = Story::with(|settings| settings.sends = 2);
    let first = story.issue_delivered(ADA);
    story.seconds = 30.0;
    assert_eq!(story.resent_delivered(&first).standing.sends_remaining, 0);
    story.seconds = 100.0;
    assert_eq!(story.resend(&first), "resend limit, 200s");
}

#[test]
fn the_longer_of_two_waits_is_told() {
    // Five mails in ten minutes: the fifth is a resend, so the sixth meets pause and window.
    let mut story = Story::new();
    let mail = story.issue_delivered(ADA);
    for n in 1..5 {
        story.seconds = f64::from(n) * 40.0;
        if n < 4 {
            story.issue_delivered(ADA);
        } else {
            story.resent_delivered(&mail);
        }
    }
    assert_eq!(story.resend(&mail), "recipient limit, 440s");
    // Seventeen live verifications, as many as one project may have in an inbox, outlast a short window.
    let mut story = Story::with(|settings| {
        (settings.recipient_issue, settings.recipient_all_issue) = (limits(&[(17, 10)]), Vec::new());
    });
    for _ in 0..17 {
        story.issue(ADA);
    }
    assert_eq!(story.try_issue(ADA), "recipient limit, 300s");
}

// Who may ask.

#[test]
fn another_project_or_mode_finds_nothing() {
    let mut story = Story::new();
    let mail = story.issue_delivered(ADA);
    for stranger in [OTHER_PROJECT, ACME_TEST] {
        let slot = Slot { owner: stranger, ..mail.slot.clone() };
        for _ in 0..10 {
            assert_eq!(story.check(&slot, &mail.code), "not found");
            assert_eq!(story.check(&slot, wrong(&mail)), "not found");
        }
        assert_eq!(story.status(&slot), "not found");
        story.seconds = 30.0;
        let resend = Resend { slot, ..mail.resend() };
        assert_eq!(say(&story.ask(Command::Resend(unproven(resend)))), "not found");
    }
    assert_eq!(story.check(&mail.slot, &mail.code), "approved");
}

#[test]
fn cancel_is_idempotent_and_does_not_touch_a_strangers() {
    let mut story = Story::new();
    let mail = story.issue_delivered(ADA);
    let stranger = Slot { owner: OTHER_PROJECT, ..mail.slot.clone() };
    assert_eq!(story.cancel(&stranger), "cancelled");
    assert_eq!(story.status(&mail.slot), "status");
    for _ in 0..3 {
        assert_eq!(story.cancel(&mail.slot), "cancelled");
        assert_eq!(story.check(&mail.slot, &mail.code), "not found");
    }
    assert_eq!(story.shard.live(), 0);
}

#[test]
fn a_status_tells_purpose_and_notes_and_spends_nothing() {
    let mut story = Story::new();
    let request = Issue { metadata: Some("{\"ref\":\"cart-42\"}".into()), ..story.request(ADA, ACME) };
    let mail = story.issued(request);
    for _ in 0..20 {
        let Outcome::Status(standing, notes) = story.ask(Command::Status(unproven(mail.slot.clone()))) else {
            panic!()
        };
        assert_eq!(standing, mail.standing);
        assert_eq!(notes.as_deref(), Some("{\"ref\":\"cart-42\"}"));
    }
}

#[test]
fn a_resend_looks_like_the_issue() {
    for (form, purpose) in
        [((0, 0), "login"), ((3, 0), ""), ((13, 200), "verification"), ((255, 255), "zero\0s")]
    {
        let mut story = Story::new();
        let form = MailForm { locale: form.0, template: form.1 };
        let request = Issue { form, purpose: purpose.into(), ..story.request(ADA, ACME) };
        let Outcome::Issued(issued) = story.ask(Command::Issue(unproven(request.clone()))) else { panic!() };
        assert_eq!((issued.form, &*issued.standing.purpose), (form, purpose));
        let mail = story.mailed(issued, request.address, ACME);
        story.hand_over(&mail, true);
        story.seconds = 30.0;
        let Outcome::Resent(resent) = story.ask(Command::Resend(unproven(mail.resend()))) else { panic!() };
        assert_eq!((resent.form, &*resent.standing.purpose), (form, purpose));
    }
}

#[test]
fn test_keys_always_get_zeros_and_no_hand_over() {
    let mut story = Story::new();
    for length in 6..=10 {
        let request = Issue { code_length: Some(length), ..story.request("test@example.com", ACME_TEST) };
        let mail = story.issued(request);
        assert_eq!(mail.code, "0".repeat(usize::from(length)));
        // No word of a relay: the next mail waits for its pause only.
        story.seconds += 30.0;
        assert_eq!(story.resent(&mail).code, mail.code);
        assert_eq!(story.check(&mail.slot, &mail.code), "approved");
        story.seconds += 600.0;
    }
    // Own counters: the live inbox of the same address is untouched.
    assert_eq!(story.try_issue("test@example.com"), "issued");
}

// Windows and room.

#[test]
fn windows_survive_the_purge() {
    let mut story = Story::new();
    for n in 0..5 {
        story.seconds = f64::from(n);
        let mail = story.issue_delivered(ADA);
        match n {
            0 => assert_eq!(story.check(&mail.slot, &mail.code), "approved"),
            1 => assert_eq!(story.cancel(&mail.slot), "cancelled"),
            2 => (0..5).for_each(|_| drop(story.check(&mail.slot, wrong(&mail)))),
            _ => {}
        }
    }
    story.seconds = 400.0;
    story.sweep();
    assert_eq!(story.shard.live(), 0);
    assert_eq!(story.try_issue(ADA), "recipient limit, 200s");
    story.seconds = 599.999;
    assert_eq!(story.try_issue(ADA), "recipient limit, 1ms");
    story.seconds = 600.0;
    assert_eq!(story.try_issue(ADA), "issued");
    assert_eq!(story.try_issue(ADA), "recipient limit, 1s");
    assert_eq!(story.try_issue("bob@example.com"), "issued", "another inbox has its own");
}

#[test]
fn resends_and_all_keys_of_a_project_count_in_one_window() {
    let mut story = Story::new();
    let mail = story.issue_delivered(ADA);
    story.seconds = 30.0;
    story.resent_delivered(&mail);
    for key in 2..5 {
        let request = Issue { key: KeyTag(key), ..story.request(ADA, ACME) };
        story.issued(request);
    }
    assert_eq!(story.try_issue(ADA), "recipient limit, 570s");
}

#[test]
fn a_project_uses_up_its_own_mails_and_hears_nothing_of_anothers() {
    let mut story = Story::new();
    let ask = |story: &mut Story, project: u32| {
        let owner = Owner { project: ProjectId(project), mode: Mode::Live };
        let request = story.request(ADA, owner);
        say(&story.ask(Command::Issue(unproven(request))))
    };
    for project in 1..=2 {
        (0..5).for_each(|_| assert_eq!(ask(&mut story, project), "issued"));
        assert_eq!(ask(&mut story, project), "recipient limit, 600s");
    }
    // What the inbox's owner has to bear of all of them: fifteen in ten minutes.
    (0..5).for_each(|_| assert_eq!(ask(&mut story, 3), "issued"));
    assert_eq!(ask(&mut story, 4), "recipient limit, 600s");
    // And thirty a day, of which each project may send ten.
    story.seconds = 600.0;
    (1..=3).for_each(|project| (0..5).for_each(|_| assert_eq!(ask(&mut story, project), "issued")));
    story.seconds = 1_200.0;
    for project in [1, 4] {
        assert_eq!(ask(&mut story, project), "recipient limit, 85200s");
    }
}

#[test]
fn a_peers_share_is_one_projects_and_that_of_its_line() {
    let mut story = Story::new();
    let ask = |story: &mut Story, owner, address: &str| {
        let peer = Some(story.keys.peer_share(&Peer::from(address.parse::<IpAddr>().unwrap())));
        let request = Issue { peer, ..story.request(ADA, owner) };
        say(&story.ask(Command::Issue(unproven(request))))
    };
    // One line, three subnets of its /56.
    for subnet in ["2001:db8:0:100::1", "2001:db8:0:101::1", "2001:db8:0:1ff::1"] {
        assert_eq!(ask(&mut story, ACME, subnet), "issued");
    }
    assert_eq!(ask(&mut story, ACME, "2001:db8:0:180::1"), "recipient limit, 600s");
    assert_eq!(ask(&mut story, OTHER_PROJECT, "2001:db8:0:180::1"), "issued", "another project's own");
    assert_eq!(ask(&mut story, ACME, "2001:db8:0:200::1"), "issued", "the line beside it");
}

#[test]
fn a_right_code_tells_which_mail_it_answers() {
    let mut story = Story::new();
    let inbox = story.keys.inbox(ADA, Some("example.com"), Mode::Live);
    let peer = Some(story.keys.peer_share(&Peer::from(IpAddr::from([203, 0, 113, 7]))));
    let request = |story: &mut Story, owner, key, peer| Issue {
        inbox,
        key: KeyTag(key),
        peer,
        ..story.request(ADA, owner)
    };
    let first = request(&mut story, ACME, 1, peer);
    let first = story.issued(first);
    story.hand_over(&first, true);
    story.seconds = 40.0;
    let resend = Resend { key: KeyTag(2), peer: None, ..first.resend() };
    assert_eq!(say(&story.ask(Command::Resend(unproven(resend)))), "resent");
    // Another project's mail is newer, and no business of this one.
    story.seconds = 50.0;
    let others = request(&mut story, OTHER_PROJECT, 3, peer);
    story.issued(others);
    let check = |story: &Story, mail: &Mailed| Check {
        slot: mail.slot.clone(),
        code: Code::read(&mail.code).unwrap(),
        address: Some(story.keys.exact_address(ADA)),
        nonce: None,
    };
    let right = check(&story, &first);
    let Outcome::Approved(approved) = story.ask(Command::Check(unproven(right))) else {
        panic!("not approved")
    };
    let answered = approved.answered.unwrap();
    assert_eq!((answered.at, answered.key), (Moment::from_millis(40_000), KeyTag(2)));
    assert_eq!((answered.peer, answered.domain), (None, inbox.domain()));
    assert!(answered.domain.is_some());
}

#[test]
fn a_refused_issue_counts_for_nothing() {
    let mut story = Story::with(|settings| settings.recipient_issue = limits(&[(1, 60)]));
    story.issue(ADA);
    for second in 1..60 {
        story.seconds = f64::from(second);
        assert_eq!(story.try_issue(ADA), format!("recipient limit, {}s", 60 - second));
    }
    story.seconds = 60.0;
    assert_eq!(story.try_issue(ADA), "issued");
}

#[test]
fn a_count_of_zero_denies_all_and_off_denies_nothing() {
    let mut story = Story::with(|settings| settings.recipient_issue = limits(&[(0, 60)]));
    assert_eq!(story.try_issue(ADA), "recipient limit, 86400s");
    assert_eq!(story.shard.inboxes(), 0, "nothing to remember");
    let mut story = Story::with(|settings| {
        (settings.recipient_issue, settings.recipient_all_issue) = Default::default();
    });
    for _ in 0..1_000 {
        let mail = story.issue(ADA);
        assert_eq!(story.cancel(&mail.slot), "cancelled");
    }
    assert_eq!(story.shard.inboxes(), 0, "nothing to remember");
}

#[test]
fn limits_at_the_edge_of_numbers_saturate() {
    let for_ever = Limit { count: 1, window: Duration::MAX };
    let mut story = Story::with(|settings| settings.recipient_issue = vec![for_ever]);
    assert_eq!(story.try_issue(ADA), "issued");
    story.seconds = 1e9;
    assert!(story.try_issue(ADA).starts_with("recipient limit"));
    let any = Limit { count: u32::MAX, window: Duration::ZERO };
    let mut story = Story::with(|settings| {
        (settings.recipient_issue, settings.lifetime, settings.resend_after) =
            (vec![any], Duration::MAX, Duration::MAX);
    });
    let mail = story.issue_delivered(ADA);
    assert_eq!(mail.standing.expires, Moment::from_millis(u64::MAX));
    story.seconds = 1e9;
    assert!(story.resend(&mail).starts_with("resend limit"));
    assert_eq!(story.check(&mail.slot, &mail.code), "approved");
}

#[test]
fn a_share_that_is_used_up_refuses_new_work_and_keeps_live_codes() {
    let mut story = Story::with(|settings| settings.capacity.verifications = 5);
    let mails: Vec<_> = (0..3).map(|n| story.issue_delivered(&format!("{n}@example.com"))).collect();
    for n in 0..100 {
        assert_eq!(story.try_issue(&format!("late{n}@example.com")), "overloaded, 310s");
        assert_eq!(story.try_issue("0@example.com"), "overloaded, 310s");
    }
    let other = story.request("0@example.com", OTHER_PROJECT);
    story.issued(other);
    story.seconds = 30.0;
    assert_eq!(story.resend(&mails[1]), "resent", "no new record");
    for mail in &mails {
        assert_eq!(story.check(&mail.slot, &mail.code), "approved");
    }
    assert_eq!(story.try_issue("late@example.com"), "issued", "their places are free at once");
    assert_eq!(story.try_issue("later@example.com"), "issued");
    assert_eq!(story.try_issue("latest@example.com"), "issued");
    // Nobody sweeps: who waits as long as told finds the place all the same.
    assert_eq!(story.try_issue("too.late@example.com"), "overloaded, 310s");
    story.seconds = 310.0;
    assert_eq!(story.try_issue("too.late@example.com"), "overloaded, 30s");
    story.seconds = 340.0;
    assert_eq!(story.try_issue("too.late@example.com"), "issued");
}

#[test]
fn a_sweep_forgets_what_has_ended_and_nothing_else() {
    let mut story = Story::with(|settings| {
        (settings.recipient_issue, settings.recipient_all_issue) = (limits(&[(5, 600)]), Vec::new());
    });
    for n in 0..2_000 {
        story.seconds = f64::from(n) / 10.0;
        story.issue(&format!("{n}@example.com"));
    }
    // 1,011 codes have expired; the second that has just begun is left for the next sweep.
    story.seconds = 401.0;
    story.sweep();
    assert_eq!((story.shard.live(), story.shard.inboxes()), (990, 2_000));
    story.seconds = 501.0;
    story.sweep();
    assert_eq!((story.shard.live(), story.shard.inboxes()), (0, 2_000));
    // The windows run out, oldest first.
    story.seconds = 701.0;
    story.sweep();
    let left = story.shard.inboxes();
    assert!((989..1_000).contains(&left), "1,011 mails are ten minutes old, {left} left");
    story.seconds = 1_000.0;
    story.sweep();
    assert_eq!((story.shard.live(), story.shard.inboxes()), (0, 0));
}

#[test]
fn past_the_guess_budget_new_codes_grow_and_nobody_is_locked_out() {
    let mut story = Story::with(|settings| {
        (settings.recipient_issue, settings.recipient_all_issue) = Default::default();
    });
    let mut lengths = Vec::new();
    for _ in 0..10 {
        let mail = story.issue_delivered(ADA);
        lengths.push(mail.code.len());
        let wrong = "1".repeat(mail.code.len());
        for _ in 0..5 {
            story.check(&mail.slot, &wrong);
        }
    }
    assert_eq!(lengths, [6, 6, 6, 6, 8, 8, 8, 8, 10, 10]);
    let mail = story.issue_delivered(ADA);
    assert_eq!((mail.code.len(), mail.standing.code_length), (10, 10));
    assert_eq!(story.check(&mail.slot, &mail.code), "approved");
    assert_eq!(story.issue("bob@example.com").code.len(), 6, "another inbox has its own ledger");
    // A day later the guesses are forgotten, also by a sweep.
    story.seconds = 86_399.999;
    story.sweep();
    assert_eq!(story.issue(ADA).code.len(), 10);
    story.seconds = 86_400.0;
    assert_eq!(story.issue(ADA).code.len(), 6);
}

#[test]
fn a_code_grows_early_where_codes_in_hand_could_overrun_the_budget_of_guesses() {
    let mut story = Story::with(|settings| {
        (settings.recipient_issue, settings.recipient_all_issue) = Default::default();
    });
    // Five tries each: with the fifth, 25 comparisons are open, and nobody has guessed yet.
    let held: Vec<_> = (0..5).map(|_| story.issue_delivered(ADA)).collect();
    assert!(held.iter().all(|mail| mail.code.len() == 6));
    assert_eq!(story.issue_delivered(ADA).code.len(), 8);
    let other = story.request(ADA, OTHER_PROJECT);
    assert_eq!(story.issued(other).code.len(), 8, "whoever asks");
    // A wrong one moves from the open to the wrong, and changes nothing.
    story.check(&held[0].slot, wrong(&held[0]));
    assert_eq!(story.issue_delivered(ADA).code.len(), 8);
    assert_eq!(story.check(&held[1].slot, &held[1].code), "approved", "nobody is locked out");
    assert_eq!(story.issue_delivered(ADA).code.len(), 6, "19 are open, and one was wrong");
    assert_eq!(story.issue_delivered(ADA).code.len(), 8);
    // A code that was asked to be long is nothing that six digits have to fear.
    for _ in 0..9 {
        let long = Issue { code_length: Some(8), ..story.request(BOB, ACME) };
        story.issued(long);
    }
    assert_eq!(story.issue_delivered(BOB).code.len(), 6);
}

#[test]
fn five_mails_of_one_project_have_six_digits_and_anothers_sixth_has_eight() {
    let mut story = Story::new();
    let held: Vec<_> = (0..5).map(|_| story.issue_delivered(ADA)).collect();
    assert!(held.iter().all(|mail| mail.code.len() == 6));
    let other = story.request(ADA, OTHER_PROJECT);
    assert_eq!(story.issued(other).code.len(), 8);
    story.seconds = 300.0;
    let other = story.request(ADA, OTHER_PROJECT);
    assert_eq!(story.issued(other).code.len(), 6, "the codes have expired, and nothing was wrong");
}

#[test]
fn a_longer_code_that_was_asked_for_stays_longer() {
    let mut story = Story::with(|settings| settings.recipient_guess = limits(&[(0, 60)]));
    for (asked, drawn) in [(None, 10), (Some(7), 10), (Some(10), 10)] {
        let request = Issue { code_length: asked, ..story.request(ADA, ACME) };
        assert_eq!(story.issued(request).code.len(), drawn, "a budget of zero is always used up twice");
    }
    let mut story = Story::with(|settings| settings.recipient_guess = Vec::new());
    for _ in 0..5 {
        let mail = story.issue_delivered(ADA);
        assert_eq!(mail.code.len(), 6, "no ledger");
        (0..5).for_each(|_| drop(story.check(&mail.slot, wrong(&mail))));
    }
}

#[test]
fn a_resend_may_draw_a_longer_code_and_each_is_compared_with_its_like() {
    let mut story = Story::with(|settings| settings.recipient_guess = limits(&[(2, 600)]));
    let first = story.issue_delivered(ADA);
    (0..2).for_each(|_| drop(story.check(&first.slot, wrong(&first))));
    story.seconds = 30.0;
    let second = story.resent(&first);
    assert_eq!((second.code.len(), second.standing.code_length), (8, 8));
    assert_eq!(story.check(&first.slot, "1234567"), "malformed code");
    assert_eq!(story.check(&first.slot, "1234567890"), "malformed code");
    assert_eq!(story.check(&first.slot, "99999999"), "incorrect, 2 left");
    assert_eq!(story.check(&first.slot, &first.code), "approved", "six digits still work");
    // And the longer one does.
    let mail = story.issue_delivered(ADA);
    assert_eq!(mail.code.len(), 8);
    assert_eq!(story.check(&mail.slot, &mail.code), "approved");
}

#[test]
fn a_wrong_code_counts_once_for_each_code_it_was_compared_with() {
    let mut story = Story::with(|settings| {
        (settings.recipient_guess, settings.resend_after) = (limits(&[(15, 600)]), Duration::ZERO);
    });
    let first = story.issue_delivered(ADA);
    story.resent_delivered(&first);
    assert_eq!(story.resent(&first).code.len(), 6, "10 are open");
    // Three live codes, the last one on its way: 15 are open, then 12 and 3 wrong, and so on.
    assert_eq!(story.issue(ADA).code.len(), 6, "15 and the new code's 5 are 20, as many as may be");
    for _ in 0..3 {
        story.check(&first.slot, wrong(&first));
    }
    assert_eq!(story.cancel(&first.slot), "cancelled");
    assert_eq!(story.issue(ADA).code.len(), 6, "9 are wrong and 5 open");
    assert_eq!(story.try_issue(ADA), "recipient limit, 600s");
}

#[test]
fn one_peer_uses_its_share_of_an_inbox_only() {
    let mut story = Story::new();
    let peer =
        |story: &Story, text: &str| Some(story.keys.peer_share(&Peer::from(text.parse::<IpAddr>().unwrap())));
    let (stranger, owner) = (peer(&story, "203.0.113.7"), peer(&story, "2001:db8::1"));
    let ask = |story: &mut Story, peer| {
        let request = Issue { peer, ..story.request(ADA, ACME) };
        say(&story.ask(Command::Issue(unproven(request))))
    };
    for _ in 0..3 {
        assert_eq!(ask(&mut story, stranger), "issued");
    }
    assert_eq!(ask(&mut story, stranger), "recipient limit, 600s");
    assert_eq!(ask(&mut story, owner), "issued");
    let same_subnet = peer(&story, "2001:db8::2");
    assert_eq!(ask(&mut story, same_subnet), "issued");
    assert_eq!(ask(&mut story, owner), "recipient limit, 600s", "five in ten minutes for the inbox");
    // The day's share is five.
    for minute in [10.0, 20.0] {
        story.seconds = minute * 60.0;
        assert_eq!(ask(&mut story, stranger), "issued");
    }
    story.seconds = 1_800.0;
    assert_eq!(ask(&mut story, stranger), "recipient limit, 84600s");
    assert_eq!(ask(&mut story, owner), "issued");
    assert_eq!(ask(&mut story, None), "issued", "a secret key that names no peer has the inbox's budget");
}

#[test]
fn a_resend_counts_in_the_share_of_whoever_asks_for_it() {
    let mut story = Story::with(|settings| settings.recipient_peer_issue = limits(&[(2, 600)]));
    let peer = Some(story.keys.peer_share(&Peer::from(IpAddr::from([203, 0, 113, 7]))));
    let request = Issue { peer, ..story.request(ADA, ACME) };
    let mail = story.issued(request);
    for (second, answer) in [(30.0, "resent"), (60.0, "recipient limit, 540s")] {
        story.seconds = second;
        story.hand_over(&mail, true);
        let resend = Resend { peer, ..mail.resend() };
        assert_eq!(say(&story.ask(Command::Resend(unproven(resend)))), answer);
    }
}

#[test]
fn where_the_inbox_has_no_window_a_full_log_holds_strangers_up_and_forgets_no_share() {
    let mut story = Story::with(|settings| {
        (settings.recipient_issue, settings.recipient_all_issue) = Default::default();
        settings.recipient_peer_issue = limits(&[(1, 3_600)]);
    });
    let ask = |story: &mut Story, n: u32| {
        let peer = Some(story.keys.peer_share(&Peer::from(IpAddr::from(n.to_be_bytes()))));
        let request = Issue { peer, ..story.request(ADA, ACME) };
        let mail = match story.ask(Command::Issue(unproven(request))) {
            Outcome::Issued(issued) => story.mailed(issued, story.keys.exact_address(ADA), ACME),
            other => return say(&other),
        };
        story.cancel(&mail.slot)
    };
    for n in 0..MAILS_REMEMBERED / 2 {
        assert_eq!(ask(&mut story, n), "cancelled");
    }
    assert_eq!(ask(&mut story, 0), "recipient limit, 3600s");
    assert_eq!(ask(&mut story, 1_000), "recipient limit, 3600s", "nobody's share is forgotten for it");
    for _ in 0..200 {
        let mail = story.issue(ADA);
        assert_eq!(story.cancel(&mail.slot), "cancelled", "a secret key is not held up");
    }
    assert_eq!(ask(&mut story, 0), "recipient limit, 3600s");
    story.seconds = 3_600.0;
    assert_eq!(ask(&mut story, 0), "cancelled");
}

// Idempotency keys and receipts.

#[test]
fn a_claimed_key_is_in_progress_until_it_is_settled() {
    let mut story = Story::new();
    assert_eq!(story.reserve("key", "body"), "reserved");
    assert_eq!(story.reserve("key", "body"), "in progress, 1s");
    assert_eq!(story.reserve("key", "other body"), "key reused");
    assert_eq!(story.reserve("other key", "body"), "reserved");
}

#[test]
fn a_settled_key_repeats_the_first_answer_with_the_first_salt() {
    let mut story = Story::new();
    let reserve = story.reservation("key", "body");
    let Outcome::Reserved { salt } = story.ask(Command::Reserve(unproven(reserve.clone()))) else { panic!() };
    let answer = First::Incorrect { attempts_remaining: 3, expires: Moment::from_millis(1_000_000) };
    story.ask(Command::Settle(Settle { key: reserve.key, first: Some(answer.clone()) }));
    story.seconds = 299.999;
    for _ in 0..3 {
        let Outcome::Repeated { first, salt: again } = story.ask(Command::Reserve(unproven(reserve.clone())))
        else {
            panic!()
        };
        assert_eq!(first, answer);
        assert!(again == salt);
        assert_eq!(story.reserve("key", "other body"), "key reused");
    }
    story.seconds = 300.0;
    let Outcome::Reserved { salt: fresh } = story.ask(Command::Reserve(unproven(reserve))) else { panic!() };
    assert!(fresh != salt);
}

/// The key is claimed for as long as any verification may live; what was answered tells how long this one does.
#[test]
fn a_first_answer_is_repeated_no_longer_than_its_verification_lives() {
    for nth in 0..3 {
        let mut story = Story::new();
        let request = Issue { lifetime: Some(Duration::from_secs(60)), ..story.request(ADA, ACME) };
        let mail = story.issued(request);
        story.hand_over(&mail, true);
        story.seconds = 10.0;
        let reserve = story.reservation("key", "body");
        assert_eq!(say(&story.ask(Command::Reserve(unproven(reserve.clone())))), "reserved");
        let check = |code: &str| Check {
            slot: mail.slot.clone(),
            code: Code::read(code).unwrap(),
            address: None,
            nonce: None,
        };
        // A wrong code, the right one, and the last wrong one.
        let tries = [vec![wrong(&mail)], vec![&mail.code], vec![wrong(&mail); 5]];
        let outcomes: Vec<_> =
            tries[nth].iter().map(|code| story.ask(Command::Check(unproven(check(code))))).collect();
        let first = match outcomes.into_iter().next_back().unwrap() {
            Outcome::Incorrect { attempts_remaining, expires } => {
                First::Incorrect { attempts_remaining, expires }
            }
            Outcome::Approved(approved) => First::Approved(approved),
            Outcome::Exhausted { expires } => First::Exhausted { expires },
            other => panic!("{other:?}"),
        };
        story.ask(Command::Settle(Settle { key: reserve.key, first: Some(first) }));
        story.seconds = 59.999;
        assert_eq!(story.reserve("key", "body"), "repeated");
        story.seconds = 60.0;
        assert_eq!(story.reserve("key", "other body"), "reserved", "{nth}");
        // The first claim's place is swept while the second one holds.
        story.seconds = 310.0;
        story.sweep();
        assert_eq!(story.reserve("key", "other body"), "in progress, 1s");
    }
}

#[test]
fn a_released_key_may_be_claimed_again_by_any_body() {
    let mut story = Story::new();
    assert_eq!(story.reserve("key", "body"), "reserved");
    let key = story.reservation("key", "").key;
    story.ask(Command::Settle(Settle { key, first: None }));
    assert_eq!(story.reserve("key", "other body"), "reserved");
    assert_eq!(story.reserve("key", "body"), "key reused");
}

#[test]
fn a_share_of_claims_that_is_used_up_refuses_new_keys_and_keeps_the_old() {
    let mut story = Story::with(|settings| settings.capacity.idempotency = 3);
    for (key, answer) in [("a", "reserved"), ("b", "reserved"), ("c", "overloaded, 310s")] {
        assert_eq!(story.reserve(key, "body"), answer);
    }
    assert_eq!(story.reserve("a", "body"), "in progress, 1s");
    story.seconds = 310.0;
    assert_eq!(story.reserve("c", "body"), "reserved", "nobody has swept");
}

#[test]
fn a_released_claim_gives_its_place_back_at_once() {
    let mut story = Story::with(|settings| settings.capacity.idempotency = 3);
    for n in 0..12_000 {
        let key = story.reservation(&format!("{n}"), "").key;
        assert_eq!(story.reserve(&format!("{n}"), "body"), "reserved");
        story.ask(Command::Settle(Settle { key, first: None }));
    }
    assert_eq!(story.reserve("last", "body"), "reserved");
}

#[test]
fn one_project_fills_neither_table_for_another() {
    let mut story = Story::with(|settings| {
        (settings.capacity.idempotency, settings.capacity.receipts) = (100, 100);
    });
    let reserve = |story: &mut Story, n: u32, owner| {
        let reserve = Reserve { owner, ..story.reservation(&format!("{owner:?} {n}"), "body") };
        say(&story.ask(Command::Reserve(unproven(reserve))))
    };
    let spend = |story: &mut Story, n: u32, owner| {
        let receipt = story.keys.scoped("receipt", &[format!("{owner:?} {n}").as_bytes()]);
        say(&story.ask(Command::Spend(unproven(Spend {
            receipt,
            owner,
            lifetime: Duration::from_secs(120),
        }))))
    };
    let count = |story: &mut Story, ask: &dyn Fn(&mut Story, u32, Owner) -> String, owner| {
        (0..1_000).filter(|&n| !ask(story, n, owner).starts_with("overloaded")).count()
    };
    for ask in [&reserve as &dyn Fn(&mut Story, u32, Owner) -> String, &spend] {
        let all = [ACME, OTHER_PROJECT, ACME_TEST].map(|owner| count(&mut story, ask, owner));
        assert_eq!(all, [51, 25, 13], "half, a quarter, an eighth: and modes are apart");
    }
}

#[test]
fn a_short_life_does_not_wait_behind_a_longer_one_for_its_place() {
    let mut story = Story::with(|settings| {
        (settings.capacity.idempotency, settings.capacity.receipts) = (3, 3);
    });
    let short = Duration::from_secs(20);
    assert_eq!(
        (story.reserve("long", "body"), story.spend("long").as_str()),
        ("reserved".into(), "spent, first: true")
    );
    let claim = Reserve { lifetime: short, ..story.reservation("short", "body") };
    assert_eq!(say(&story.ask(Command::Reserve(unproven(claim)))), "reserved");
    let receipt = story.keys.scoped("receipt", &[b"short"]);
    let spend = Spend { receipt, owner: ACME, lifetime: short };
    assert_eq!(say(&story.ask(Command::Spend(unproven(spend)))), "spent, first: true");
    assert_eq!(
        (story.reserve("c", "body"), story.spend("c")),
        ("overloaded, 30s".into(), "overloaded, 30s".into())
    );
    story.seconds = 30.0;
    assert_eq!(
        (story.reserve("c", "body"), story.spend("c")),
        ("reserved".into(), "spent, first: true".into())
    );
}

#[test]
fn a_receipt_is_active_once() {
    let mut story = Story::with(|settings| settings.capacity.receipts = 3);
    assert_eq!(story.spend("a"), "spent, first: true");
    assert_eq!(story.spend("a"), "spent, first: false");
    assert_eq!(story.spend("b"), "spent, first: true");
    // A full table may not say "active": it could not keep its word the second time.
    assert_eq!(story.spend("c"), "overloaded, 130s");
    story.seconds = 119.999;
    story.sweep();
    assert_eq!(story.spend("a"), "spent, first: false");
    story.seconds = 121.0;
    story.sweep();
    assert_eq!(story.spend("c"), "spent, first: true");
}

impl Story {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let capacity =
            Capacity { verifications: 10_000, idempotency: 100, receipts: 100, ..Capacity::UNBOUNDED };
        let mut settings = Settings { capacity, ..as_shipped() };
        change(&mut settings);
        let mut entropy = Seeded::new(42);
        let keys = StartKeys::draw(&mut entropy);
        Self { shard: Shard::new(keys.clone(), settings), keys, entropy, seconds: 0.0 }
    }

    fn ask(&mut self, command: Command) -> Outcome {
        let at = self.moment();
        let now = Now { at, unix_ms: 1_795_000_000_000 + at.as_millis() };
        self.shard.handle(now, command, &mut self.entropy)
    }

    fn moment(&self) -> Moment {
        Moment::from_millis((self.seconds * 1_000.0).round() as u64)
    }

    fn sweep(&mut self) {
        let now = self.moment();
        while self.shard.sweep(now) {}
    }

    fn inbox(&self, address: &str) -> InboxFingerprint {
        self.keys.fingerprint(address, Mode::Live)
    }

    fn request(&mut self, address: &str, owner: Owner) -> Issue {
        let inbox = self.keys.fingerprint(address, owner.mode);
        let address = self.keys.exact_address(address);
        Issue { address, ..plain_issue(&self.keys, inbox, owner, &mut self.entropy) }
    }

    fn issued(&mut self, request: Issue) -> Mailed {
        let (owner, address) = (request.owner, request.address);
        match self.ask(Command::Issue(unproven(request))) {
            Outcome::Issued(issued) => self.mailed(issued, address, owner),
            other => panic!("not issued: {other:?}"),
        }
    }

    fn issue(&mut self, address: &str) -> Mailed {
        let request = self.request(address, ACME);
        self.issued(request)
    }

    fn issue_delivered(&mut self, address: &str) -> Mailed {
        let mail = self.issue(address);
        self.hand_over(&mail, true);
        mail
    }

    fn try_issue(&mut self, address: &str) -> String {
        let request = self.request(address, ACME);
        say(&self.ask(Command::Issue(unproven(request))))
    }

    fn resent(&mut self, mail: &Mailed) -> Mailed {
        match self.ask(Command::Resend(unproven(mail.resend()))) {
            Outcome::Resent(issued) => self.mailed(issued, mail.address, mail.slot.owner),
            other => panic!("not resent: {other:?}"),
        }
    }

    fn resent_delivered(&mut self, mail: &Mailed) -> Mailed {
        let mail = self.resent(mail);
        self.hand_over(&mail, true);
        mail
    }

    fn resend(&mut self, mail: &Mailed) -> String {
        say(&self.ask(Command::Resend(unproven(mail.resend()))))
    }

    fn mailed(&self, issued: Issued, address: AddressDigest, owner: Owner) -> Mailed {
        let slot = Slot::locate(&self.keys, issued.id, owner);
        let code = issued.code.as_str().to_owned();
        Mailed { slot, address, code, send: issued.send, standing: issued.standing }
    }

    fn hand_over(&mut self, mail: &Mailed, accepted: bool) {
        let word = HandOver { id: mail.slot.id.digest(), send: mail.send, accepted };
        assert_eq!(say(&self.ask(Command::HandOver(word))), "noted");
    }

    fn check(&mut self, slot: &Slot, code: &str) -> String {
        self.check_all(slot, code, None, None)
    }

    fn check_all(
        &mut self,
        slot: &Slot,
        code: &str,
        address: Option<AddressDigest>,
        nonce: Option<NonceDigest>,
    ) -> String {
        let code = Code::read(code).unwrap();
        say(&self.ask(Command::Check(unproven(Check { slot: slot.clone(), code, address, nonce }))))
    }

    fn cancel(&mut self, slot: &Slot) -> String {
        say(&self.ask(Command::Cancel(unproven(slot.clone()))))
    }

    fn status(&mut self, slot: &Slot) -> String {
        say(&self.ask(Command::Status(unproven(slot.clone()))))
    }

    fn reservation(&self, key: &str, body: &str) -> Reserve {
        Reserve {
            key: self.keys.scoped("key", &[key.as_bytes()]),
            body: self.keys.scoped("body", &[body.as_bytes()]),
            owner: ACME,
            lifetime: Duration::from_secs(300),
        }
    }

    fn reserve(&mut self, key: &str, body: &str) -> String {
        let reserve = self.reservation(key, body);
        say(&self.ask(Command::Reserve(unproven(reserve))))
    }

    fn spend(&mut self, receipt: &str) -> String {
        let receipt = self.keys.scoped("receipt", &[receipt.as_bytes()]);
        say(&self.ask(Command::Spend(unproven(Spend {
            receipt,
            owner: ACME,
            lifetime: Duration::from_secs(120),
        }))))
    }
}

impl Mailed {
    fn resend(&self) -> Resend {
        Resend { slot: self.slot.clone(), address: self.address, key: KeyTag(1), peer: None }
    }
}

/// Six digits that are not the mail's.
fn wrong(mail: &Mailed) -> &'static str {
    if mail.code == "000000" { "000001" } else { "000000" }
}

fn limits(list: &[(u32, u64)]) -> Vec<Limit> {
    list.iter().map(|&(count, seconds)| Limit { count, window: Duration::from_secs(seconds) }).collect()
}

/// An outcome in a few words.
fn say(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Issued(_) => "issued".into(),
        Outcome::Resent(_) => "resent".into(),
        Outcome::Approved(_) => "approved".into(),
        Outcome::Incorrect { attempts_remaining, .. } => format!("incorrect, {attempts_remaining} left"),
        Outcome::Exhausted { .. } => "exhausted".into(),
        Outcome::Cancelled { .. } => "cancelled".into(),
        Outcome::Status(..) => "status".into(),
        Outcome::Noted => "noted".into(),
        Outcome::Reserved { .. } => "reserved".into(),
        Outcome::Repeated { .. } => "repeated".into(),
        Outcome::Spent { first } => format!("spent, first: {first}"),
        Outcome::Charged(_) | Outcome::Banned(_) | Outcome::Exempt | Outcome::Unbanned { .. } => {
            "about a peer or a key".into()
        }
        Outcome::Refused(refusal) => match refusal {
            Refusal::Banned { retry_after } => format!("banned, {retry_after:?}"),
            Refusal::VerificationNotFound => "not found".into(),
            Refusal::RecipientMismatch => "recipient mismatch".into(),
            Refusal::NonceMismatch => "nonce mismatch".into(),
            Refusal::MalformedCode => "malformed code".into(),
            Refusal::RateLimited { policy: Policy::Recipient, retry_after } => {
                format!("recipient limit, {retry_after:?}")
            }
            Refusal::RateLimited { retry_after, .. } => format!("resend limit, {retry_after:?}"),
            Refusal::Overloaded { retry_after } => format!("overloaded, {retry_after:?}"),
            Refusal::DeliveryUnavailable { retry_after } => format!("delivery unavailable, {retry_after:?}"),
            Refusal::IdempotencyInProgress { retry_after } => format!("in progress, {retry_after:?}"),
            Refusal::IdempotencyKeyReused => "key reused".into(),
            Refusal::NotReady { .. } => "not ready".into(),
        },
    }
}
