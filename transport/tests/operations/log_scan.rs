//! What the log, the metrics and refusals say of secrets and of peers' addresses at every log level: nothing, in no
//! encoding (A33). Over all three protocols, with requests that put keys and addresses where they don't belong, with a
//! relay that repeats the address it refuses, and whatever `RUST_LOG` asks for.

mod encodings;
mod peers;

use std::net::{IpAddr, Ipv4Addr};

use authepy_testkit::operator::new_key;
use authepy_testkit::phone::{Heard, Phone, Wire};
use authepy_testkit::script::Script;
use authepy_testkit::serve::Site;
use authepy_testkit::tcp::Ports;
use authepy_testkit::{DevServer, NO_LIMITS};
use encodings::{found, found_number, spellings, spellings_of_address};
use serde_json::{Value, json};

const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
/// Sign-ups over each protocol and at each level; eleven refusals follow each.
const FLOWS: usize = 5;
/// Who may write to the log.
const HEARD: [&str; 2] = ["authepy_transport", "authepy_engine"];

/// What must not be found, and where it was looked for.
#[derive(Default)]
struct Scan {
    secrets: Vec<String>,
    peers: Vec<(IpAddr, Ports)>,
    texts: Vec<(String, Vec<u8>)>,
}

impl Scan {
    fn heard(&mut self, what: &str, heard: Heard) {
        assert!(heard.status.is_client_error(), "{what}: {}", heard.status);
        let fields: Vec<u8> = heard
            .headers
            .iter()
            .flat_map(|(name, value)| [name.as_ref(), value.as_bytes()].concat())
            .collect();
        self.texts.push((what.to_owned(), [heard.bytes, fields].concat()));
    }

    /// The log so far; every line of it is one of ours.
    fn log(&mut self, server: &DevServer) {
        let log = server.log();
        for line in log.lines() {
            let line: Value =
                serde_json::from_str(line).unwrap_or_else(|_| panic!("not a line of ours: {line}"));
            let target = line["target"].as_str().unwrap();
            assert!(HEARD.iter().any(|own| target.starts_with(own)), "{line}");
        }
        self.texts.push(("the log".into(), log.into_bytes()));
    }

    fn finds_nothing(&self, level: &str) {
        let found_in = |spelling: &[u8]| {
            self.texts.iter().find_map(|(place, text)| Some((place, found(text, spelling)?)))
        };
        for secret in &self.secrets {
            for (name, spelling) in spellings(secret) {
                if let Some((place, around)) = found_in(&spelling) {
                    panic!("log level {level}: a secret as {name} in {place}: {around}");
                }
            }
        }
        for (address, ports) in &self.peers {
            for (name, spelling) in spellings_of_address(*address) {
                if let Some((place, around)) = found_in(&spelling) {
                    panic!("log level {level}: a peer as {name} in {place}: {around}");
                }
            }
            let (_, log) = self.texts.iter().find(|(place, _)| place == "the log").unwrap();
            for port in ports.lock().unwrap().iter() {
                assert_eq!(found_number(log, *port), None, "log level {level}: a peer's port {port}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_log_nor_metrics_nor_refusals_hold_a_secret() {
    for level in LEVELS {
        let log = format!("log.level={level}");
        let server = DevServer::start(&[&NO_LIMITS[..], &[&log, "engine.shards=2"]].concat());
        let mut scan = Scan::default();
        for key in ["secret_key", "restricted_key", "secret_test_key", "admin_token"] {
            scan.secrets.push(server.text(key).to_owned());
        }
        for (nth, wire) in Wire::ALL.into_iter().enumerate() {
            let source = Ipv4Addr::new(127, 83, 41, 211 + nth as u8).into();
            let (phone, ports) = Phone::over_from_ports(wire, &server, source).await;
            for flow in 0..FLOWS {
                play(&server, &phone, &format!("canary{wire:?}{flow}qz7w"), &mut scan).await;
            }
            scan.peers.push((source, ports));
        }
        scan.texts.push(("the metrics".into(), server.admin("/metrics").1.into_bytes()));
        let is_talkative = matches!(level, "debug" | "trace");
        assert!(!is_talkative || server.log().len() > 10_000, "the log was on: {} bytes", server.log().len());
        scan.log(&server);
        scan.finds_nothing(level);
    }
}

/// One sign-up, and what goes wrong around it.
async fn play(server: &DevServer, phone: &Phone, name: &str, scan: &mut Scan) {
    let address = format!("{name}@example.com");
    let issued = phone.post("/v1/verifications", &json!({"recipient": address, "code_length": 10})).await;
    let id = issued.body["id"].as_str().unwrap().to_owned();
    let code = server.code_for(&address);
    let wrong: String = code.chars().map(|digit| if digit == '9' { '0' } else { '9' }).collect();
    assert_eq!(phone.check(&id, &wrong).await.body["valid"], false);
    assert_eq!(phone.check(&id, &code).await.body["valid"], true);
    scan.heard("a second check", phone.check(&id, &code).await);
    let key = format!("ath_sec_live_{name}000000000000000000000000");
    for (what, phone, body) in [
        ("a malformed key", phone.with_key(&key), format!("{{\"recipient\":\"{address}\"}}")),
        ("a broken body", phone.clone(), format!("{{\"recipient\":\"{address}\",\"code\":\"{code}\"")),
        ("an unknown field", phone.clone(), format!("{{\"recipient\":\"{address}\",\"{name}\":1}}")),
        ("a wrong type", phone.clone(), format!("{{\"recipient\":[\"{address}\"]}}")),
        ("a bad recipient", phone.clone(), format!("{{\"recipient\":\"{name} @example\\n.com\"}}")),
        (
            "a foreign origin",
            phone.with_key(server.text("restricted_key")).with("origin", &format!("https://{name}.example")),
            format!("{{\"recipient\":\"{address}\"}}"),
        ),
        ("another content type", phone.with("content-type", &format!("text/{name}")), address.clone()),
    ] {
        scan.heard(what, phone.send("POST", "/v1/verifications", Some(body.as_bytes())).await);
    }
    for path in
        [format!("/v1/{id}/{name}"), format!("/v1/verifications/{id}?key={}", server.text("secret_key"))]
    {
        scan.heard("a path", phone.get(&path).await);
    }
    scan.secrets.extend([name.to_owned(), code, id, key]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_repeats_addresses_gets_none_into_the_log() {
    let relay = Script::start("smtp_server.py", &["refuse-rcpt"], None);
    let folder = tempfile::TempDir::new().unwrap();
    let store = Site::sqlite(&folder);
    let key = new_key(&store, "shop", &["--class", "secret"])["key"].as_str().unwrap().to_owned();
    let provider = format!(
        "log.level = \"trace\"\n[[delivery]]\nname = \"relay\"\nkind = \"smtp\"\n\
         url = \"smtp://127.0.0.1:{}\"\nfrom = \"a@mybrand.com\"",
        relay.port
    );
    let server = Site::new(&store, &provider).serve();
    let phone = Phone::over(Wire::H3, &server).await.with_key(&key);
    let mut scan = Scan { secrets: vec![key], ..Scan::default() };
    for flow in 0..5 {
        let name = format!("canaryrelay{flow}qz7w");
        phone.issue(&format!("{name}@gmail.com")).await;
        relay.next("refused");
        scan.secrets.push(name);
    }
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    scan.texts.push(("the metrics".into(), server.admin("/metrics").1.into_bytes()));
    scan.log(&server);
    assert!(scan.texts[1].1.len() > 1_000, "the log was on");
    scan.finds_nothing("trace");
}
