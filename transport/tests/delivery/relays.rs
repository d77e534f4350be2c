//! Mail against relays we did not write, polite and hostile. Needs `AUTHEPY_CLIENTS`, a Python venv
//! with aiosmtpd, and Postfix' smtp-sink.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::story::{self, Certificate, Hook, Relay, Story, now, outcome};

#[tokio::test]
async fn a_mail_reaches_the_relay_as_promised() {
    let relay = Relay::start("ok");
    let story = Story::new(&[relay.config("")]);
    assert_eq!(story.send("Ada.Lovelace+x@example.org").await, "sent");
    let mail = relay.mail();
    assert_eq!(mail["from"], "codes@mail.example");
    assert_eq!(mail["to"], serde_json::json!(["Ada.Lovelace+x@example.org"]));
    assert_eq!(mail["type"], "multipart/alternative");
    assert_eq!(mail["defects"], 0);
    let headers = &mail["headers"];
    assert_eq!(headers["to"], "Ada.Lovelace+x@example.org");
    assert_eq!(headers["auto-submitted"], "auto-generated");
    assert!(headers["subject"].as_str().unwrap().ends_with(" 482913"), "{headers}");
    assert!(headers["message-id"].as_str().unwrap().ends_with(".send@mail.example>"), "{headers}");
    assert!(mail["text"].as_str().unwrap().lines().next().unwrap().starts_with("482913 "), "{mail}");
    assert!(mail["html"].as_str().unwrap().contains("482913"), "{mail}");
    assert!(mail["raw"].as_str().unwrap().contains("\r\n482913 is your code"), "readable in the raw mail");
}

#[tokio::test]
async fn a_code_becomes_right_only_by_its_hand_over() {
    let (relay, refusing) = (Relay::start("ok"), Relay::start("refuse-rcpt"));
    assert_eq!(story::issue_send_check(&[relay.config("")]), (outcome("sent"), true));
    assert_eq!(story::issue_send_check(&[refusing.config("")]), (outcome("failed"), false));
    let silent = Relay::start("close-after-dot");
    assert_eq!(story::issue_send_check(&[silent.config("")]), (outcome("maybe_sent"), true));
}

#[tokio::test]
async fn what_a_relay_refuses_is_not_sent_and_the_next_one_is_tried() {
    for mode in ["refuse-rcpt", "defer-rcpt", "refuse-data", "defer-after-dot", "close-at-data", "not-smtp"] {
        let relay = Relay::start(mode);
        assert_eq!(Story::new(&[relay.config("")]).send("ada@example.org").await, "failed", "{mode}");
        let (relay, second) = (Relay::start(mode), Relay::start("ok"));
        let story = Story::new(&[relay.config(""), second.config("")]);
        assert_eq!(story.send("ada@example.org").await, "sent", "{mode}");
        second.mail();
    }
}

#[tokio::test]
async fn after_the_final_dot_silence_is_maybe_sent_and_never_sent_again() {
    for mode in
        ["close-after-dot", "silent-after-dot", "garbage-after-dot", "stall-mid-data", "close-mid-data"]
    {
        let (relay, second) = (Relay::start(mode), Relay::start("ok"));
        let story = Story::new(&[relay.config(""), second.config("")]).with_timeout(Duration::from_secs(2));
        assert_eq!(story.send("ada@example.org").await, "maybe_sent", "{mode}");
        assert!(second.events().is_empty(), "{mode}: a second mail was on its way");
    }
}

#[tokio::test]
async fn a_slow_relay_costs_its_timeout_and_no_more() {
    for mode in ["silent", "trickle", "banner-flood"] {
        let (relay, second) = (Relay::start(mode), Relay::start("ok"));
        let story = Story::new(&[relay.config(""), second.config("")]).with_timeout(Duration::from_secs(1));
        assert_eq!(story.send("ada@example.org").await, "sent", "{mode}");
        assert_eq!(
            Story::new(&[relay.config("")]).expiring(Duration::from_millis(300)).send("a@x.org").await,
            if mode == "banner-flood" { "failed" } else { "expired" },
            "{mode}"
        );
    }
}

#[tokio::test]
async fn nothing_is_sent_after_the_code_expired() {
    let relay = Relay::start("ok");
    let story = Story::new(&[relay.config("")]).expiring(Duration::ZERO);
    assert_eq!(story.send("ada@example.org").await, "expired");
    assert!(relay.events().is_empty(), "the relay was not even called");
}

#[tokio::test]
async fn tls_is_demanded_verified_and_used() {
    let good = Certificate::for_loopback();
    let ca = format!("ca_file = '{}'", good.ca.display());
    for (mode, scheme, option) in [
        ("starttls", "smtp", "?tls=required"),
        ("starttls", "smtp", "?tls=opportunistic"),
        ("implicit", "smtps", ""),
    ] {
        let relay = Relay::with(mode, Some(&good));
        let story = Story::new(&[relay.config_at(scheme, "", option, &ca)]);
        assert_eq!(story.send("ada@example.org").await, "sent", "{mode}");
        relay.mail();
        let story = Story::new(&[relay.config_at(scheme, "", option, "")]);
        assert_eq!(story.send("ada@example.org").await, "failed", "{mode}: an unknown CA");
    }
    let other_name = Certificate::for_name("elsewhere.example");
    let relay = Relay::with("starttls", Some(&other_name));
    let ca = format!("ca_file = '{}'", other_name.ca.display());
    let story = Story::new(&[relay.config_at("smtp", "", "?tls=required", &ca)]);
    assert_eq!(story.send("ada@example.org").await, "failed", "another host's certificate");
}

#[tokio::test]
async fn a_stripped_starttls_gets_no_mail_and_injected_words_are_not_believed() {
    for mode in ["no-starttls", "inject"] {
        let relay = Relay::start(mode);
        let story = Story::new(&[relay.config_at("smtp", "", "?tls=required", "")]);
        assert_eq!(story.send("ada@example.org").await, "failed", "{mode}");
        let events = relay.until("closed");
        assert!(events.iter().all(|event| event.get("dot").is_none()), "{mode}: {events:?}");
        assert!(events.iter().all(|event| event["after_starttls"].as_str().unwrap_or_default().is_empty()));
    }
}

#[tokio::test]
async fn a_login_is_used_and_a_wrong_one_fails() {
    let certificate = Certificate::for_loopback();
    let ca = format!("ca_file = '{}'", certificate.ca.display());
    let relay = Relay::with("login", Some(&certificate));
    for (login, expected) in [("ada:p%3Aw@", "sent"), ("ada:wrong@", "failed"), ("", "failed")] {
        let story = Story::new(&[relay.config_at("smtp", login, "?tls=required", &ca)]);
        assert_eq!(story.send("ada@example.org").await, expected, "{login}");
    }
}

#[tokio::test]
async fn addresses_beyond_ascii_go_where_they_can() {
    let (plain, utf8) = (Relay::start("ok"), Relay::start("utf8"));
    for (relay, address, expected) in
        [(&plain, "jürgen@bücher.example", "failed"), (&utf8, "jürgen@bücher.example", "sent")]
    {
        assert_eq!(Story::new(&[relay.config("")]).send(address).await, expected);
    }
    let mail = utf8.mail();
    assert_eq!(mail["to"], serde_json::json!(["jürgen@xn--bcher-kva.example"]));
    assert!(mail["raw"].as_str().unwrap().contains("To: jürgen@bücher.example\r\n"), "{mail}");
    assert_eq!(Story::new(&[plain.config("")]).send("ada@bücher.example").await, "sent");
    let mail = plain.mail();
    assert_eq!(mail["to"], serde_json::json!(["ada@xn--bcher-kva.example"]));
    assert_eq!(mail["headers"]["to"], "ada@xn--bcher-kva.example");
}

#[tokio::test]
async fn a_connection_is_used_again_and_a_dead_one_costs_nothing() {
    let relay = Relay::start("ok");
    let story = Story::new(&[relay.config("")]).one_at_a_time();
    assert_eq!(story.send_many(5).await, outcome("sent").map(|(name, n)| (name, n * 5)));
    let events = relay.until_mails(5);
    assert_eq!(events.iter().filter(|event| event.get("connected").is_some()).count(), 1);
    let relay = Relay::start("hang-up-idle");
    let story = Story::new(&[relay.config("")]).one_at_a_time();
    assert_eq!(story.send_many(3).await, outcome("sent").map(|(name, n)| (name, n * 3)));
}

#[tokio::test]
async fn smtp_sink_takes_sixty() {
    let sink = authepy_testkit::sink::Sink::start();
    let story = Story::new(&[story::sink_config(&sink)]);
    assert_eq!(story.send_many(60).await, outcome("sent").map(|(name, n)| (name, n * 60)));
}

#[tokio::test]
async fn a_full_queue_refuses_and_a_drain_reports_what_is_left() {
    let relay = Relay::start("silent");
    let story = Story::new(&[relay.config("")]).one_at_a_time().with_places(8);
    let (queue, thread) = story.start();
    let submitted = std::iter::from_fn(|| queue.reserve(now().at, story::ACME).ok())
        .take(10)
        .map(|permit| permit.submit(story.job("a@x.org", 1)))
        .count();
    assert_eq!(submitted, 4, "one project has half of the places");
    relay.until("connected");
    assert!(queue.reserve(now().at, story::ACME).is_err(), "the one under way keeps its place");
    assert_eq!(queue.queued(), 3);
    queue.reserve(now().at, story::SHOP).unwrap().submit(story.job("b@x.org", 1));
    assert_eq!(thread.drain(Duration::from_millis(100)).await, 5);
    story::settled(&queue, 5).await;
    assert_eq!(queue.counters().accepted(), 5);
    assert_eq!(queue.counters().outcomes(), outcome("failed").map(|(name, n)| (name, n * 5)));
    assert!(queue.reserve(now().at, story::SHOP).is_err(), "a stopped delivery promises nothing");
}

#[tokio::test]
async fn the_outbox_is_a_maildir_that_tells_nothing_by_its_names() {
    static SHOWN: AtomicBool = AtomicBool::new(false);
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("outbox");
    let config =
        format!("name = 'dev'\nkind = 'outbox'\nurl = '{}'\nfrom = 'codes@mail.example'\n", dir.display());
    let show = |text: &str| SHOWN.store(text.contains("482913") && text.contains("ada@"), Ordering::Relaxed);
    let story = Story::new(&[config]).showing(show);
    assert_eq!(story.send("ada@bücher.example").await, "sent");
    let files: Vec<_> = std::fs::read_dir(dir.join("new")).unwrap().map(|file| file.unwrap()).collect();
    assert_eq!(files.len(), 1);
    let name = files[0].file_name().into_string().unwrap();
    assert!(name.ends_with(".eml") && !name.contains("ada") && !name.contains("482913"), "{name}");
    let raw = std::fs::read_to_string(files[0].path()).unwrap();
    assert!(raw.contains("To: ada@bücher.example\r\n") && raw.contains("Subject: Your code is 482913\r\n"));
    assert_eq!(std::fs::read_dir(dir.join("tmp")).unwrap().count(), 0);
    for (path, mode) in [(dir.join("new"), 0o700), (files[0].path(), 0o600)] {
        let permissions = std::fs::metadata(path).unwrap().permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&permissions) & 0o777, mode);
    }
    assert!(SHOWN.load(Ordering::Relaxed));
}

#[tokio::test]
async fn without_a_provider_nothing_is_promised() {
    let (queue, _thread) = Story::new(&[]).start();
    assert!(queue.reserve(now().at, story::ACME).is_err());
}

#[tokio::test]
async fn a_webhook_gets_the_parts_signed_and_the_connection_is_used_again() {
    let hook = Hook::start("200");
    let story = Story::new(&[hook.config("http", "")]).one_at_a_time();
    assert_eq!(story.send_many(3).await, outcome("sent").map(|(name, n)| (name, n * 3)));
    let events = hook.0.until("post");
    let post = &events.last().unwrap()["post"];
    assert_eq!((&post["path"], &post["verified"]), (&"/mails?to=us".into(), &true.into()), "{post}");
    let mail = &post["body"];
    assert_eq!((&mail["to"], &post["id"]), (&"ada@example.org".into(), &mail["id"]));
    assert_eq!(mail["from"], "\"Acme\" <codes@mail.example>".replace('"', ""));
    assert!(mail["subject"].as_str().unwrap().ends_with(" 482913"), "{mail}");
    assert!(mail["text"].as_str().unwrap().starts_with("482913"), "{mail}");
    assert!(mail["html"].as_str().unwrap().contains("482913"), "{mail}");
    let rest = [hook.0.until("post"), hook.0.until("post")].concat();
    assert!(rest.iter().all(|event| event.get("connected").is_none()), "one connection");
    let ids: std::collections::HashSet<_> =
        rest.iter().filter_map(|event| event["post"]["id"].as_str()).collect();
    assert_eq!(ids.len(), 2, "every mail has its own name");
}

#[tokio::test]
async fn a_webhook_is_believed_only_behind_a_certificate_that_is_trusted() {
    let good = Certificate::for_loopback();
    let hook = Hook::secure("200", &good);
    let ca = format!("ca_file = '{}'", good.ca.display());
    assert_eq!(Story::new(&[hook.config("https", &ca)]).send("ada@example.org").await, "sent");
    hook.0.next("post");
    assert_eq!(Story::new(&[hook.config("https", "")]).send("ada@example.org").await, "failed");
    assert!(hook.0.events().iter().all(|event| event.get("post").is_none()));
}

#[tokio::test]
async fn what_a_webhook_surely_did_not_take_goes_to_the_next_and_nothing_else_does() {
    for (answer, taken) in [
        ("400", false),
        ("403", false),
        ("404", false),
        ("422", false),
        ("429", false),
        ("503", false),
        ("302", false),
        ("500", true),
        ("502", true),
        ("504", true),
        ("close", true),
        ("silent", true),
    ] {
        let (hook, second) = (Hook::start(answer), Relay::start("ok"));
        let story = Story::new(&[hook.config("http", ""), second.config("")]);
        let story = story.with_timeout(Duration::from_secs(2));
        let expected = if taken { "maybe_sent" } else { "sent" };
        assert_eq!(story.send("ada@example.org").await, expected, "{answer}");
        assert_eq!(hook.posts(), 1, "{answer}");
        assert_eq!(second.events().is_empty(), taken, "{answer}");
    }
}

#[tokio::test]
async fn a_connection_that_died_while_idle_costs_a_webhook_nothing() {
    let hook = Hook::start("200-and-close,200");
    let story = Story::new(&[hook.config("http", "")]);
    let (queue, thread) = story.start();
    queue.reserve(now().at, story::ACME).unwrap().submit(story.job("ada@example.org", 1));
    let first = hook.0.until("closed");
    story::settled(&queue, 1).await;
    queue.reserve(now().at, story::ACME).unwrap().submit(story.job("ada@example.org", 2));
    assert_eq!(thread.drain(authepy_testkit::PATIENCE).await, 0);
    assert_eq!(queue.counters().outcomes(), outcome("sent").map(|(name, n)| (name, n * 2)));
    assert_eq!((first.len(), hook.posts()), (3, 1), "connected, post, closed; then the other post");
}

#[tokio::test]
async fn a_relay_that_comes_back_gets_what_was_promised() {
    const PAUSES: &[Duration] = &[Duration::from_millis(50), Duration::from_millis(100)];
    let hook = Hook::start("503,503,200");
    let story = Story::new(&[hook.config("http", "")]).trying_again(PAUSES);
    let (queue, thread) = story.start();
    queue.reserve(now().at, story::ACME).unwrap().submit(story.job("ada@example.org", 1));
    let posts: Vec<_> = (0..3).map(|_| hook.0.next("post")).collect();
    assert!(posts.iter().all(|post| post["body"]["id"] == posts[0]["body"]["id"]), "the same mail each time");
    assert_eq!(thread.drain(authepy_testkit::PATIENCE).await, 0);
    assert_eq!(queue.counters().outcomes(), outcome("sent"));
    let hook = Hook::start("503");
    let story = Story::new(&[hook.config("http", "")]).trying_again(PAUSES);
    let (queue, _thread) = story.start();
    queue.reserve(now().at, story::ACME).unwrap().submit(story.job("ada@example.org", 1));
    story::settled(&queue, 1).await;
    assert_eq!((queue.counters().outcomes(), hook.posts()), (outcome("failed"), 3), "no more than was said");
}

#[tokio::test]
async fn a_provider_that_fails_is_left_alone_and_nothing_is_promised_meanwhile() {
    let hook = Hook::start("503,503,503,503,503,200");
    let story = Story::new(&[hook.config("http", "")]).one_at_a_time();
    let (queue, thread) = story.start();
    for send in 1..=5 {
        queue.reserve(now().at, story::ACME).unwrap().submit(story.job("ada@example.org", send));
        story::settled(&queue, u64::from(send)).await;
    }
    let wait = queue.reserve(now().at, story::ACME).unwrap_err();
    assert!(wait <= Duration::from_secs(2) && !wait.is_zero(), "{wait:?}");
    assert_eq!((hook.posts(), queue.counters().failovers()), (5, 1));
    // Waiting as long as told is enough, and the probe closes the breaker.
    let permit = queue.reserve(now().at.after(wait), story::ACME).unwrap();
    tokio::time::sleep(wait).await;
    permit.submit(story.job("ada@example.org", 6));
    story::settled(&queue, 6).await;
    assert_eq!(queue.counters().outcomes()[..2], [("sent", 1), ("failed", 5)]);
    assert!(queue.reserve(now().at, story::ACME).is_ok());
    assert_eq!(thread.drain(authepy_testkit::PATIENCE).await, 0);
}

#[tokio::test]
async fn with_a_second_provider_a_failing_first_costs_nothing() {
    let (hook, relay) = (Hook::start("503"), Relay::start("ok"));
    let story = Story::new(&[hook.config("http", ""), relay.config("")]).one_at_a_time();
    assert_eq!(story.send_many(9).await, outcome("sent").map(|(name, n)| (name, n * 9)));
    assert_eq!(hook.posts(), 5, "then it is left alone");
    relay.until_mails(9);
}

#[tokio::test]
async fn a_dead_address_is_not_tried_again_at_once() {
    let relay = Relay::start("refuse-rcpt");
    let story = Story::new(&[relay.config("")]).one_at_a_time();
    let (queue, thread) = story.start();
    for (nth, to) in ["ada@example.org", "ada@example.org", "eve@example.org"].into_iter().enumerate() {
        queue.reserve(now().at, story::ACME).unwrap().submit(story.job(to, 1));
        story::settled(&queue, nth as u64 + 1).await;
    }
    assert_eq!(queue.counters().outcomes(), outcome("failed").map(|(name, n)| (name, n * 3)));
    assert_eq!(thread.drain(authepy_testkit::PATIENCE).await, 0);
    let asked = relay.events().iter().filter(|event| event.get("refused").is_some()).count();
    assert_eq!(asked, 2, "the relay was asked once for each address");
}

#[tokio::test]
async fn a_relay_that_takes_several_commands_at_once_gets_them_at_once() {
    let relay = Relay::start("pipelining");
    let story = Story::new(&[relay.config("")]).one_at_a_time();
    assert_eq!(story.send_many(2).await, outcome("sent").map(|(name, n)| (name, n * 2)));
    for _ in 0..2 {
        let group = relay.until("group").pop().unwrap();
        assert_eq!(group["group"], 3, "MAIL, RCPT and DATA in one segment");
    }
    for (mode, expected) in [("pipelining-refuse", "failed"), ("pipelining-354", "failed")] {
        let relay = Relay::start(mode);
        assert_eq!(Story::new(&[relay.config("")]).send("ada@example.org").await, expected, "{mode}");
        assert!(relay.until("closed").iter().all(|event| event.get("dot").is_none()), "{mode}");
    }
}
