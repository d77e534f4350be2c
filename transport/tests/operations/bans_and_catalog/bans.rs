//! Bans by command and by API: made, listed, moved, doubled, ended, lifted, refused.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{BANS, PATIENCE, exit_code, run, told, until};
use authepy_testkit::DevServer;
use authepy_testkit::operator::{admin, authepy};

/// The peers on the list, sorted.
fn banned(server: &DevServer) -> Vec<String> {
    let (status, list) = admin(server, "GET", BANS, None);
    assert_eq!(status, 200, "{list}");
    let bans = list["bans"].as_array().unwrap();
    assert_eq!(list["total"], bans.len());
    let mut peers: Vec<String> = bans.iter().map(|ban| ban["peer"].as_str().unwrap().to_owned()).collect();
    peers.sort();
    peers
}

#[test]
fn a_ban_is_listed_as_soon_as_it_is_made_and_gone_as_soon_as_it_is_lifted() {
    let server = DevServer::start(&["engine.shards=3"]);
    assert_eq!(banned(&server), [""; 0]);
    let by_command = told(&server, &["ban", "add", "203.0.113.7", "--for", "90m"]);
    assert_eq!((&by_command["peer"], &by_command["count"]), (&json!("203.0.113.7"), &json!(1)));
    let left = by_command["seconds_left"].as_u64().unwrap();
    assert!((5_390..=5_400).contains(&left), "{by_command}");
    let until_text = by_command["until"].as_str().unwrap();
    assert!(humantime::parse_rfc3339(until_text).unwrap() > std::time::SystemTime::now());
    let asked = json!({"peer": "2001:db8:7::9/48"});
    let (status, by_api) = admin(&server, "POST", BANS, Some(&asked));
    assert_eq!((status, &by_api["peer"]), (201, &json!("2001:db8:7::/48")));
    let left = by_api["seconds_left"].as_u64().unwrap();
    assert!((3 * 3_600 - 10..=3 * 3_600).contains(&left), "bans.first: {by_api}");
    // On every shard, at once.
    for n in 0..20 {
        let peer = format!("198.51.100.{n}");
        assert_eq!(admin(&server, "POST", BANS, Some(&json!({"peer": peer, "for": "1h"}))).0, 201);
        assert!(banned(&server).contains(&peer));
    }
    let list = told(&server, &["ban", "list"]);
    assert_eq!(list["total"], 22);
    assert_eq!(list["bans"][0]["peer"], "2001:db8:7::/48", "the longest first");
    let people = String::from_utf8(run(&server, &["ban", "list"]).stdout).unwrap();
    assert!(people.lines().count() == 22 && people.contains("203.0.113.7 "), "{people}");
    until("the gauge", || server.metric("authepy_bans_active") == 22);
    assert_eq!(told(&server, &["status"])["bans_active"], 22);

    for n in 0..10 {
        let peer = json!({"peer": format!("198.51.100.{n}")});
        assert_eq!(admin(&server, "DELETE", BANS, Some(&peer)).0, 204);
        assert_eq!(admin(&server, "DELETE", &format!("{BANS}/198.51.100.{}", n + 10), None).0, 204);
    }
    assert_eq!(banned(&server), ["2001:db8:7::/48", "203.0.113.7"]);
    assert_eq!(admin(&server, "DELETE", &format!("{BANS}/2001:db8:7::%2F48"), None).0, 204);
    assert_eq!(told(&server, &["ban", "remove", "203.0.113.7"])["state"], "lifted");
    assert_eq!(banned(&server), [""; 0]);
    until("the gauge", || server.metric("authepy_bans_active") == 0);
    let log = server.log();
    assert!(!log.contains("203.0.113") && !log.contains("db8"), "no address in the log: {log}");
}

#[test]
fn a_ban_on_a_banned_peer_moves_its_end_and_a_new_one_doubles() {
    let server = DevServer::start(&["bans.first=1h", "bans.max=3h"]);
    let add = |peer: &str, more: &[&str]| {
        let ban = told(&server, &[&["ban", "add", peer], more].concat());
        (ban["count"].as_u64().unwrap(), ban["seconds_left"].as_u64().unwrap().div_ceil(60))
    };
    assert_eq!(add("192.0.2.1", &[]), (1, 60));
    assert_eq!(add("192.0.2.1", &["--for", "5m"]), (1, 5));
    told(&server, &["ban", "remove", "192.0.2.1"]);
    assert_eq!(add("192.0.2.1", &[]), (2, 120), "within a day of the last one's end");
    told(&server, &["ban", "remove", "192.0.2.1"]);
    assert_eq!(add("192.0.2.1", &[]), (3, 180), "not beyond bans.max");
    // A ban is about exactly the network it names.
    told(&server, &["ban", "add", "2001:db8:1:2::/56"]);
    assert_eq!(exit_code(&server, &["ban", "remove", "2001:db8:1:2::/64"]), 2);
    assert_eq!(banned(&server), ["192.0.2.1", "2001:db8:1::/56"]);
}

#[test]
fn a_ban_ends_by_itself_and_not_before() {
    let server = DevServer::start(&[]);
    let began = Instant::now();
    admin(&server, "POST", BANS, Some(&json!({"peer": "192.0.2.1", "for": "1s"})));
    // What a list says at `seen` was true at some moment between `asked` and then.
    loop {
        let asked = began.elapsed();
        let listed = !banned(&server).is_empty();
        let seen = began.elapsed();
        // The engine's moments are whole milliseconds, so a span may look one short from outside.
        assert!(listed || seen >= Duration::from_millis(999), "ended early: {seen:?}");
        assert!(!listed || asked < PATIENCE, "never ended");
        if !listed {
            break;
        }
    }
    until("the gauge", || server.metric("authepy_bans_active") == 0);
    assert_eq!(admin(&server, "DELETE", &format!("{BANS}/192.0.2.1"), None).0, 404);
}

#[test]
fn bad_bans_are_refused_by_name_and_nobody_is_banned() {
    let server = DevServer::start(&[]);
    let peer = |text: &str| Some(json!({"peer": text}));
    let span = |text: &str| Some(json!({"peer": "192.0.2.1", "for": text}));
    let one = format!("{BANS}/192.0.2.1");
    for (method, path, body, status, code) in [
        ("POST", BANS, peer(""), 422, "invalid-value"),
        ("POST", BANS, peer("everybody"), 422, "invalid-value"),
        ("POST", BANS, peer("192.0.2.256"), 422, "invalid-value"),
        ("POST", BANS, peer("192.0.2.0/24"), 422, "invalid-value"),
        ("POST", BANS, peer("2001:db8::/32"), 422, "invalid-value"),
        ("POST", BANS, peer("::/0"), 422, "invalid-value"),
        ("POST", BANS, peer("fe80::1%eth0"), 422, "invalid-value"),
        ("POST", BANS, peer("192.0.2.1, 192.0.2.2"), 422, "invalid-value"),
        ("POST", BANS, span("soon"), 422, "invalid-value"),
        ("POST", BANS, span("0s"), 422, "invalid-value"),
        ("POST", BANS, span("-1h"), 422, "invalid-value"),
        ("POST", BANS, span("2years"), 422, "invalid-value"),
        ("POST", BANS, span("99999999999999999999s"), 422, "invalid-value"),
        ("POST", BANS, Some(json!({"peer": 17})), 400, "malformed-request"),
        ("POST", BANS, Some(json!({"peer": "192.0.2.1", "why": "x"})), 400, "malformed-request"),
        ("POST", BANS, Some(json!([])), 400, "malformed-request"),
        ("POST", BANS, None, 400, "malformed-request"),
        ("DELETE", BANS, peer("everybody"), 422, "invalid-value"),
        ("DELETE", BANS, peer("192.0.2.9"), 404, "not-found"),
        ("DELETE", "/admin/v1/bans/everybody", None, 422, "invalid-value"),
        ("DELETE", "/admin/v1/bans/%ff%fe", None, 422, "invalid-value"),
        ("DELETE", "/admin/v1/bans/", None, 404, "not-found"),
        ("DELETE", "/admin/v1/bans/192.0.2.1&x=1", None, 404, "not-found"),
        ("GET", &*one, None, 405, "method-not-allowed"),
        ("PUT", BANS, None, 405, "method-not-allowed"),
    ] {
        let (got, problem) = admin(&server, method, path, body.as_ref());
        assert_eq!((got, problem["code"].as_str()), (status, Some(code)), "{method} {path} {body:?}");
    }
    assert_eq!(banned(&server), [""; 0]);
    for words in [
        &["ban"][..],
        &["ban", "add"],
        &["ban", "add", "everybody"],
        &["ban", "add", "192.0.2.1", "--for", "soon"],
        &["ban", "add", "192.0.2.1", "--for", "0s"],
        &["ban", "remove", "192.0.2.9"],
        &["catalog", "lookup", "no domain"],
        &["catalog", "load", "/nowhere"],
    ] {
        assert_eq!(exit_code(&server, words), 2, "{words:?}");
    }
    let nobody = Command::new(authepy_testkit::binary())
        .args(["ban", "list", "--admin", "http://127.0.0.1:1"])
        .env("AUTHEPY_ADMIN_TOKEN", "x")
        .output();
    assert_eq!(nobody.unwrap().status.code(), Some(69), "nobody there");
    assert_eq!(authepy(&["ban", "list", "--admin", server.text("admin")]).status.code(), Some(2), "no token");
}
