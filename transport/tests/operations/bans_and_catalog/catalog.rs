//! Catalogs by command and by API: looked into, replaced while serving, refused.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{BANS, CATALOG, class_and_refused, exit_code, run, told, until};
use authepy_testkit::operator::admin;
use authepy_testkit::phone::Phone;
use authepy_testkit::serve::Site;
use authepy_testkit::{DevServer, NO_LIMITS};

/// Sends these bytes; `length` is what the head says.
fn send_text(server: &DevServer, path: &str, text: &[u8], length: usize) -> TcpStream {
    let address = server.text("admin").strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let token = server.text("admin_token");
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(text).unwrap();
    if text.len() < length {
        stream.shutdown(Shutdown::Write).unwrap();
    }
    stream
}

/// Status and body; 0 where there is no answer.
fn answer(mut stream: TcpStream) -> (u16, Value) {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { return (0, Value::Null) };
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap_or(Value::Null))
}

fn post_text(server: &DevServer, path: &str, text: &[u8], length: usize) -> (u16, Value) {
    answer(send_text(server, path, text, length))
}

fn load(server: &DevServer, text: &str) -> (u16, Value) {
    post_text(server, CATALOG, text.as_bytes(), text.len())
}

fn class(server: &DevServer, domain: &str) -> String {
    let (class, refused) = class_and_refused(server, domain);
    assert_eq!(refused, class == "disposable");
    class
}

/// So many domains, and these.
fn list(count: usize, more: &[&str]) -> String {
    let mut text: String = (0..count).map(|n| format!("d{n}.throwaway.com\n")).collect();
    more.iter().for_each(|domain| text.push_str(&format!("{domain}\n")));
    text
}

#[test]
fn a_loaded_list_acts_at_once_and_says_what_it_left_out() {
    let server = DevServer::start(&["catalog.extra=[\"extra.com\"]", "catalog.allow=[\"allowed.com\"]"]);
    for (domain, expected) in [
        ("mailinator.com", "disposable"),
        ("A.B.Mailinator.com.", "disposable"),
        ("extra.com", "disposable"),
        ("allowed.com", "allowed"),
        ("x.duck.com", "relay"),
        ("gmail.com", "unlisted"),
    ] {
        assert_eq!(class(&server, domain), expected, "{domain}");
    }
    let before = admin(&server, "GET", CATALOG, None).1;
    let folder = TempDir::new().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let text = list(9_000, &["# a comment", "Bücher.de", "gmail.com", "co.uk", "no domain", "allowed.com"]);
    let full = file("full.txt", &text);
    let taken = told(&server, &["catalog", "load", &full]);
    assert_eq!((&taken["entries"], &taken["bad_lines"]), (&json!(9_002), &json!(1)));
    let left_out =
        json!([{"domain": "gmail.com", "why": "mail-host"}, {"domain": "co.uk", "why": "public-suffix"}]);
    assert_eq!((&taken["skipped"], &taken["skipped_total"]), (&left_out, &json!(2)));
    assert_ne!(taken["version"], before["version"]);
    let present = json!({"version": taken["version"], "entries": 9_002});
    assert_eq!(told(&server, &["status"])["catalog"], present);
    assert_eq!(admin(&server, "GET", CATALOG, None).1, present);
    for (domain, expected) in [
        ("mailinator.com", "unlisted"),
        ("mail.d17.throwaway.com", "disposable"),
        ("xn--bcher-kva.de", "disposable"),
        ("extra.com", "disposable"),
        ("allowed.com", "allowed"),
        ("duck.com", "relay"),
        ("gmail.com", "unlisted"),
    ] {
        assert_eq!(class(&server, domain), expected, "{domain}");
    }
    let small = file("small.txt", "one.com\n");
    let refused = run(&server, &["catalog", "load", &small]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("fewer than half of the 9002 in use"));
    assert_eq!(admin(&server, "GET", CATALOG, None).1, present, "the old one is kept");
    let forced = run(&server, &["catalog", "load", &small, "--force"]);
    assert!(forced.status.success() && String::from_utf8_lossy(&forced.stdout).contains(": 1 entries"));
    assert_eq!(
        (class(&server, "one.com"), class(&server, "d17.throwaway.com")),
        ("disposable".into(), "unlisted".into())
    );
    let empty = file("empty.txt", "");
    assert_eq!(exit_code(&server, &["catalog", "load", &empty, "--force"]), 2, "force is for size");
}

#[test]
fn what_is_no_list_is_refused_and_the_old_one_kept() {
    let server = DevServer::start(&[]);
    let before = admin(&server, "GET", CATALOG, None).1;
    let embedded = include_str!("../../../../engine/data/disposable_domains.txt");
    let too_long = vec![b'#'; (64 << 20) + 1];
    let half_bad = list(100, &["<html>", "404 not found", "{\"a\": 1}"]);
    for (what, text, reason) in [
        ("empty", &b""[..], "no domain"),
        ("comments", b"# nothing\n\n", "no domain"),
        ("only suffixes and mail hosts", b"com\nco.uk\ngmail.com\n", "no domain"),
        ("a page", b"<!doctype html>\n<title>502 Bad Gateway</title>\n", "2 of 2 lines"),
        ("bad lines", half_bad.as_bytes(), "3 of 103 lines"),
        ("not UTF-8", b"a.com\n\xff\xfeb.com\n", "UTF-8"),
        ("compressed", b"\x1f\x8b\x08\0\0\0\0\0", "UTF-8"),
        ("truncated", &embedded.as_bytes()[..embedded.len() / 3], "fewer than half"),
        ("huge", &too_long, "larger than 67108864 bytes"),
    ] {
        let (status, problem) = post_text(&server, CATALOG, text, text.len());
        assert_eq!((status, problem["code"].as_str()), (422, Some("invalid-catalog")), "{what}: {problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(reason), "{what}: {detail}");
        assert_eq!(admin(&server, "GET", CATALOG, None).1, before, "{what}");
    }
    // A sender that is cut off in the middle of a list that would have been taken as it stands.
    let (status, _) = post_text(&server, CATALOG, embedded.as_bytes(), embedded.len() + 1);
    assert!(status != 200, "{status}");
    for (path, status) in [("?force=perhaps", 422), ("?forced=true", 400), ("?force=true&force=true", 400)] {
        assert_eq!(post_text(&server, &format!("{CATALOG}{path}"), b"a.com", 5).0, status, "{path}");
    }
    assert_eq!(admin(&server, "PUT", CATALOG, None).0, 405);
    assert_eq!(admin(&server, "GET", &format!("{CATALOG}?domain=no%20domain"), None).0, 422);
    assert_eq!(admin(&server, "GET", &format!("{CATALOG}?domain=a.com&domain=b.com"), None).0, 400);
    assert_eq!(admin(&server, "GET", CATALOG, None).1, before);
    assert_eq!(class(&server, "mailinator.com"), "disposable");
    // Only a catalog may be large.
    let (status, _) = post_text(&server, "/admin/v1/projects", &[b' '; 40_000], 40_000);
    assert_eq!(status, 400);
}

#[test]
fn nobody_waits_for_a_large_list() {
    let server = DevServer::start(&[]);
    let text = list(400_000, &["large.com"]);
    let sent = send_text(&server, CATALOG, text.as_bytes(), text.len());
    // From here on it is read: all but a socket's buffer of it has arrived.
    let loading = std::thread::spawn(move || answer(sent));
    let mut answers = 0;
    while !loading.is_finished() {
        assert_eq!(admin(&server, "GET", CATALOG, None).0, 200);
        assert_eq!(admin(&server, "POST", BANS, Some(&json!({"peer": "192.0.2.1"}))).0, 201);
        answers += 1;
    }
    let (status, taken) = loading.join().unwrap();
    assert_eq!((status, &taken["entries"]), (200, &json!(400_001)));
    println!("{answers} answers");
    assert!(answers > 20, "only {answers} answers while it was read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_request_ever_sees_half_a_list() {
    let server = Arc::new(DevServer::start(&[&NO_LIMITS[..], &["engine.shards=2"]].concat()));
    let texts = [list(20_000, &["always.com", "only-a.com"]), list(15_000, &["only-b.com", "always.com"])];
    assert_eq!(load(&server, &texts[1]).0, 200);
    let phone = Phone::connect_with(&server, server.text("secret_test_key")).await;
    let done = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for (domain, allowed) in [
        ("always.com", &[422][..]),
        ("x.d14999.throwaway.com", &[422]),
        ("never.com", &[202]),
        ("only-a.com", &[202, 422]),
        ("only-b.com", &[202, 422]),
    ] {
        let (phone, done) = (phone.clone(), done.clone());
        tasks.push(tokio::spawn(async move {
            let (mut asked, mut seen) = (0, std::collections::BTreeSet::new());
            while !done.load(Ordering::Relaxed) && asked < 1_000_000 {
                // A new inbox each time: one holds only so many live codes.
                let body = json!({"recipient": format!("ada{asked}@{domain}")});
                let heard = phone.post("/v1/verifications", &body).await;
                let status = heard.status.as_u16();
                assert!(allowed.contains(&status), "{domain}: {:?}", heard.code());
                seen.insert(status);
                asked += 1;
            }
            assert!(asked > 20, "{domain}: too few to see anything");
            assert_eq!(seen.len(), allowed.len(), "{domain}: {seen:?}");
        }));
    }
    for round in 0..20 {
        let (server, text) = (server.clone(), texts[round % 2].clone());
        let (status, taken) = tokio::task::spawn_blocking(move || load(&server, &text)).await.unwrap();
        assert_eq!(status, 200, "{taken}");
        // Whoever asks after the answer gets the new list.
        for (domain, listed_in) in [("only-a.com", 0), ("only-b.com", 1)] {
            let expected = if round % 2 == listed_in { 422 } else { 202 };
            let body = json!({"recipient": format!("bob{round}@{domain}")});
            assert_eq!(phone.post("/v1/verifications", &body).await.status, expected, "{domain} {round}");
        }
    }
    done.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
}

#[test]
fn a_hangup_keeps_the_loaded_list_and_takes_new_rules_for_bans() {
    let folder = TempDir::new().unwrap();
    let store = Site::sqlite(&folder);
    let server = Site::new(&store, &format!("bans.first = \"1h\"\n{}", Site::outbox(&folder))).serve();
    assert_eq!(load(&server, &list(9_000, &["loaded.com"])).0, 200);
    let version = told(&server, &["status"])["catalog"]["version"].clone();
    let file = server.site.path("authepy.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    let config =
        config.replace("bans.first = \"1h\"", "bans.first = \"2h\"\ncatalog.extra = [\"extra.com\"]");
    std::fs::write(&file, config).unwrap();
    Command::new("kill").args(["-HUP", &server.process_id().to_string()]).status().unwrap();
    until("the new entry", || class(&server, "extra.com") == "disposable");
    assert_eq!(class(&server, "loaded.com"), "disposable");
    assert_eq!(told(&server, &["status"])["catalog"]["version"], version);
    assert!(!server.log().contains("need a restart"), "{}", server.log());
    // Lanes hear of it within half a second; a fresh peer each time, since a second ban would double.
    let mut n = 0;
    until("the new rule", || {
        n += 1;
        let asked = json!({"peer": format!("10.0.{}.{}", n / 250, n % 250)});
        admin(&server, "POST", BANS, Some(&asked)).1["seconds_left"].as_u64().unwrap() > 3_600
    });
}

/// Mail hosts of people, companies and universities in all parts of the world.
#[rustfmt::skip]
const MAIL_HOSTS: &[&str] = &[
    "gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "hotmail.co.uk", "live.com", "msn.com",
    "yahoo.com", "yahoo.co.jp", "yahoo.co.in", "ymail.com", "rocketmail.com", "aol.com", "icloud.com", "me.com",
    "mac.com", "proton.me", "protonmail.com", "pm.me", "tutanota.com", "tuta.io", "fastmail.com", "hey.com",
    "zoho.com", "zohomail.com", "gmx.de", "gmx.net", "gmx.com", "web.de", "t-online.de", "freenet.de",
    "posteo.de", "mailbox.org", "arcor.de", "mail.com", "mail.ru", "bk.ru", "inbox.ru", "list.ru", "yandex.ru",
    "yandex.com", "ya.ru", "rambler.ru", "ukr.net", "i.ua", "seznam.cz", "centrum.cz", "wp.pl", "o2.pl",
    "onet.pl", "interia.pl", "orange.fr", "wanadoo.fr", "free.fr", "laposte.net", "sfr.fr", "libero.it",
    "virgilio.it", "tiscali.it", "alice.it", "telefonica.net", "terra.com.br", "uol.com.br", "bol.com.br",
    "sapo.pt", "btinternet.com", "sky.com", "virginmedia.com", "ntlworld.com", "talktalk.net", "comcast.net",
    "verizon.net", "att.net", "sbcglobal.net", "bellsouth.net", "cox.net", "charter.net", "earthlink.net",
    "shaw.ca", "rogers.com", "bigpond.com", "optusnet.com.au", "xtra.co.nz", "qq.com", "foxmail.com", "163.com",
    "126.com", "yeah.net", "sina.com", "sohu.com", "naver.com", "daum.net", "hanmail.net", "docomo.ne.jp",
    "ezweb.ne.jp", "softbank.ne.jp", "rediffmail.com", "bluewin.ch", "telenet.be", "ziggo.nl", "kpnmail.nl",
    "telia.com", "online.no", "abv.bg", "mit.edu", "stanford.edu", "ox.ac.uk", "cam.ac.uk", "tum.de", "ethz.ch",
    "u-tokyo.ac.jp", "usp.br", "siemens.com", "ibm.com", "microsoft.com", "apple.com", "bbc.co.uk", "who.int",
    "europa.eu", "nasa.gov", "lists.debian.org", "duckduckgo.com",
];

#[tokio::test]
async fn listed_domains_are_refused_and_mail_hosts_never() {
    let server = DevServer::start(&[&NO_LIMITS[..], &["engine.shards=2"]].concat());
    let phone = Phone::connect_with(&server, server.text("secret_test_key")).await;
    let embedded = include_str!("../../../../engine/data/disposable_domains.txt");
    let listed: Vec<&str> = embedded.lines().filter(|line| !line.starts_with('#')).collect();
    let (mut refused, mut let_in) = (0, Vec::new());
    for domains in listed.chunks(100) {
        for (domain, code) in domains.iter().zip(codes(&phone, "ada@", domains).await) {
            match &*code {
                "disposable-domain" => refused += 1,
                _ => let_in.push(*domain),
            }
        }
    }
    println!("refused {refused} of {}; let in: {let_in:?}", listed.len());
    assert!(refused * 100 >= listed.len() * 99, "{let_in:?}");
    for hosts in MAIL_HOSTS.chunks(100) {
        let codes = codes(&phone, "ada@", hosts).await;
        assert!(codes.iter().all(String::is_empty), "{:?}", hosts.iter().zip(&codes).collect::<Vec<_>>());
    }
}

/// What issues to `local` and each domain are refused with; empty where they are not.
async fn codes(phone: &Phone, local: &str, domains: &[&str]) -> Vec<String> {
    let batch: Vec<Value> =
        domains.iter().map(|domain| json!({"recipient": format!("{local}{domain}")})).collect();
    let heard = phone.post("/v1/verifications:batch", &Value::Array(batch)).await;
    assert_eq!(heard.status, 200, "{:?}", heard.body);
    let code = |item: &Value| item["problem"]["code"].as_str().unwrap_or_default().to_owned();
    heard.body.as_array().unwrap().iter().map(code).collect()
}
