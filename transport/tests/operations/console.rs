//! The console: what the admin listener serves of it, and what an operator does with it in Chromium.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use authepy_testkit::operator::{AdminAnswer, admin_bytes};
use authepy_testkit::script::report;
use authepy_testkit::{DevServer, NO_LIMITS, binary};
use serde_json::json;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What each answer of the console has, refusals included.
const FENCES: [(&str, &str); 7] = [
    ("content-security-policy", POLICY),
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-store"),
];

/// How markup is made of text, how a page keeps things, how it loads from elsewhere, and what the policy blocks.
const WAYS: &str = "innerHTML outerHTML insertAdjacentHTML setHTML document.write DOMParser eval( Function( \
                    localStorage sessionStorage indexedDB document.cookie window.name :// @import \
                    style=\" <style <script> javascript: onerror= onclick=\"";

fn is_fenced(answer: &AdminAnswer) {
    FENCES.iter().for_each(|(name, value)| assert_eq!(answer.header(name), *value, "{name}"));
}

/// The page and every file that it or one of its files names, each asked for without a token.
fn files(server: &DevServer) -> BTreeMap<String, AdminAnswer> {
    let (mut files, mut asked) = (BTreeMap::new(), vec!["/".to_owned()]);
    while let Some(path) = asked.pop() {
        let answer = admin_bytes(server, "GET", &path, &[], None);
        let quoted = answer.body.split('"').filter(|text| text.starts_with("/console/"));
        let new: Vec<String> = quoted.map(str::to_owned).collect();
        files.insert(path, answer);
        asked.extend(new.into_iter().filter(|path| !files.contains_key(path)));
    }
    files
}

#[test]
fn the_page_and_its_files_come_fenced_to_whoever_asks() {
    let server = DevServer::start(&[]);
    let files = files(&server);
    assert_eq!(files.len(), 12, "{:?}", files.keys());
    for (path, answer) in &files {
        let kind = match path.rsplit_once('.') {
            None => "text/html; charset=utf-8",
            Some((_, "css")) => "text/css; charset=utf-8",
            Some(_) => "text/javascript; charset=utf-8",
        };
        assert_eq!((answer.status, answer.header("content-type")), (200, kind), "{path}");
        is_fenced(answer);
        let head = admin_bytes(&server, "HEAD", path, &[], None);
        assert_eq!((head.status, &*head.body), (200, ""), "{path}");
        assert_eq!(head.header("content-length"), answer.body.len().to_string());
    }
}

#[test]
fn the_console_is_only_read_and_only_by_this_hosts_name() {
    let server = DevServer::start(&[]);
    for path in ["/", "/console/main.js"] {
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            let answer = admin_bytes(&server, method, path, &[], None);
            assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD"), "{method} {path}");
            is_fenced(&answer);
        }
        // DNS rebinding: a page of that site would be of this page's origin.
        let rebound = admin_bytes(&server, "GET", path, &[("Host", "evil.example:9443")], None);
        assert_eq!(rebound.status, 400, "{path}");
    }
    for path in ["/console", "/console/", "/console/../", "/console/none.js", "/index.html"] {
        assert_eq!(admin_bytes(&server, "GET", path, &[], None).status, 401, "{path}");
    }
}

#[test]
fn nothing_in_its_files_makes_markup_of_data_keeps_the_token_or_comes_from_elsewhere() {
    let server = DevServer::start(&[]);
    for (path, answer) in files(&server) {
        let text = answer.body.replace("xmlns='http://www.w3.org/2000/svg'", "");
        for way in WAYS.split_whitespace() {
            assert!(!text.contains(way), "{way} in {path}");
        }
    }
}

#[test]
fn dev_tells_people_where_the_console_is() {
    let mut process = Command::new(binary())
        .args(["dev", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
    // The body of its example is the last it says.
    let told: Vec<String> = lines.take_while(|line| !line.contains("-d '")).collect();
    let named = told.iter().find_map(|line| line.trim().strip_prefix("console")?.split_whitespace().next());
    let page = named.map(|url| {
        let address = url.strip_prefix("http://").unwrap().strip_suffix('/').unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    });
    process.kill().unwrap();
    process.wait().unwrap();
    assert!(page.is_some_and(|page| page.contains("<title>Authepy console</title>")), "{told:?}");
}

#[test]
fn an_operator_makes_rotates_and_revokes_a_key_in_the_page() {
    let server = DevServer::start(&NO_LIMITS);
    let seen = report("console_chromium.py", &server, &["keys"]);
    let expected = json!({"ready": true, "kept": false, "once": true, "works": 202, "both": [202, 202],
        "kept_back": 202, "revoked": [401, 202], "issued": "5", "exposed": ["0", 202, "1"], "left": true, "complaints": []});
    assert_eq!(seen, expected);
}

#[test]
fn an_operator_edits_origins_bans_lifts_and_looks_up_in_the_page() {
    let server = DevServer::start(&[]);
    let seen = report("console_chromium.py", &server, &["rest"]);
    assert_eq!(seen["rules"], json!(["*.mybrand.com", "localhost", "shop.example"]));
    assert!(seen["banned"].as_str().unwrap().starts_with("2001:db8::/64 is banned for "), "{seen}");
    assert_eq!(seen["verdict"], "x.mailinator.com is disposable. Issues to it are refused.");
    assert!(seen["refused"].as_str().unwrap().starts_with("Invalid value: origin: "), "{seen}");
    assert_eq!(seen["no_domain"], "Invalid value: domain: no domain name");
    let others = seen["complaints"].as_array().unwrap().iter().filter(|complaint| {
        // Chromium itself logs the two refusals.
        !complaint.as_str().unwrap().contains("status of 422")
    });
    assert_eq!(others.count(), 0, "{seen}");
}

#[test]
fn whoever_has_no_admin_token_is_told_so_and_gets_no_further() {
    let server = DevServer::start(&[]);
    let seen = report("console_chromium.py", &server, &["strangers"]);
    let expected = json!({
        "wrong": "Invalid admin token: send the admin token as Authorization: Bearer TOKEN",
        "key": "Key class forbidden: an API key has no say here; send the admin token",
        "no_header": "Invalid admin token: a token is plain letters and digits",
        "complaints": [],
    });
    assert_eq!(seen, expected);
}

#[test]
fn markup_in_the_apis_answers_stays_text() {
    let server = DevServer::start(&[]);
    let seen = report("console_chromium.py", &server, &["hostile"]);
    assert_eq!(seen, json!({"seen": 8, "made": 0, "owned": false, "complaints": []}));
}
