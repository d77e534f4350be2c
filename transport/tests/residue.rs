//! What is left in the memory of a running server once mails are handed over and codes are checked: nothing of
//! addresses, codes and ids. Reads `/proc/PID/mem`, so it has to run as root, like the package manager before it.
//!
//! The optimised build keeps other things on its stacks and in its buffers than the one tests are built with:
//! `AUTHEPY_BINARY=$PWD/target/release/authepy AUTHEPY_ROUNDS=1000 cargo test --test residue` looks at that one.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is the point")]
#![allow(clippy::disallowed_methods, reason = "a test waits in real time")]

use std::collections::HashSet;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use authepy_testkit::operator::new_key;
use authepy_testkit::phone::{Phone, Wire};
use authepy_testkit::script::Script;
use authepy_testkit::serve::Site;
use authepy_testkit::{DevServer, NO_LIMITS};
use serde_json::json;

/// Begins every address of these tests and nothing else: 20 characters that no machine makes by itself.
const MARK: &str = "zq7kx3vw9m2rh8tj4ncd";
const VERIFICATIONS: usize = 200;
/// After so many verifications somebody else comes, and stays: what is made for him must not carry along what the
/// last code left on a stack.
const STRANGER_AFTER: usize = 10;
/// Phones that fall silent with their last answer.
const SILENT_PHONES: usize = 8;
/// Requests by others, after which buffers that are used again have been overwritten.
const UNRELATED: usize = 200;

fn verifications() -> usize {
    std::env::var("AUTHEPY_ROUNDS").map_or(VERIFICATIONS, |rounds| rounds.parse().unwrap())
}

/// How often the last codes are looked for: what is left of them depends on which packets are under way.
fn last_rounds() -> usize {
    std::env::var("AUTHEPY_LAST_ROUNDS").map_or(3, |rounds| rounds.parse().unwrap())
}

/// What a scan of all writable memory found, and around which bytes of which map.
#[derive(Debug, Default)]
struct Found {
    addresses: usize,
    codes: usize,
    ids: usize,
    places: Vec<String>,
}

/// Bytes shown on either side of what was found.
const AROUND: usize = 96;

fn scan(server: &DevServer, codes: &HashSet<Vec<u8>>, ids: &HashSet<Vec<u8>>) -> Found {
    let id = server.process_id();
    let maps = std::fs::read_to_string(format!("/proc/{id}/maps")).unwrap();
    let memory =
        std::fs::File::open(format!("/proc/{id}/mem")).unwrap_or_else(|fault| panic!("{fault}: run as root"));
    let mut found = Found::default();
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|mode| mode.starts_with("rw")))
    {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let at = |text| u64::from_str_radix(text, 16).unwrap();
        let mut bytes = vec![0; (at(to) - at(from)) as usize];
        // Some maps can't be read, such as the kernel's own.
        let Ok(()) = memory.read_exact_at(&mut bytes, at(from)) else { continue };
        found.look_into(line, &bytes, codes, ids);
    }
    found
}

impl Found {
    fn look_into(&mut self, map: &str, bytes: &[u8], codes: &HashSet<Vec<u8>>, ids: &HashSet<Vec<u8>>) {
        for at in 0..bytes.len() {
            let begins = |length| bytes.get(at..at + length);
            let count = if begins(MARK.len()).is_some_and(|it| it.eq_ignore_ascii_case(MARK.as_bytes())) {
                &mut self.addresses
            } else if bytes[at].is_ascii_digit() && begins(10).is_some_and(|it| codes.contains(it)) {
                &mut self.codes
            } else if bytes[at] == b'v' && begins(29).is_some_and(|it| ids.contains(it)) {
                &mut self.ids
            } else {
                continue;
            };
            *count += 1;
            let around = &bytes[at.saturating_sub(AROUND)..(at + AROUND).min(bytes.len())];
            self.places.push(format!("{map}, {at:#x} in: {}", around.escape_ascii()));
        }
    }

    fn is_nothing_but(&self, ids: usize) -> bool {
        (self.addresses, self.codes, self.ids) == (0, 0, ids)
    }
}

/// One verification with a ten-digit code; returns id and code.
async fn issue(server: &DevServer, phone: &Phone, n: usize) -> (String, String) {
    let address = format!("{MARK}{n}@gmail.com");
    let issued = phone.post("/v1/verifications", &json!({"recipient": address, "code_length": 10})).await;
    assert_eq!(issued.status, 202, "{issued:?}");
    (issued.body["id"].as_str().unwrap().to_owned(), server.code_for(&address))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_of_what_was_handed_over_and_checked() {
    for wire in Wire::ALL {
        let server = DevServer::start(&[&NO_LIMITS[..], &["engine.shards=2"]].concat());
        let phone = Phone::over(wire, &server).await;
        let (mut codes, mut ids, mut strangers) = (HashSet::new(), HashSet::new(), Vec::new());
        for n in 0..verifications() {
            let (id, code) = issue(&server, &phone, n).await;
            assert_eq!(code.len(), 10, "{code}");
            assert_eq!(phone.check(&id, &code).await.body["valid"], true);
            codes.insert(code.into_bytes());
            ids.insert(id.into_bytes());
            if n % STRANGER_AFTER == 0 {
                strangers.push(Phone::over(wire, &server).await);
            }
        }
        // Long enough for every place that a check's body had in a buffer.
        let unrelated = json!({"recipient": "x".repeat(300)});
        for _ in 0..UNRELATED {
            assert_eq!(phone.post("/v1/verifications", &unrelated).await.status, 422);
        }
        // Of what nobody wipes at once, stacks are twice a second.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let found = scan(&server, &codes, &ids);
        // HPACK's table keeps paths as long as the connection lives; that of QPACK has no room.
        let ids_of_open = if wire == Wire::H2 { found.ids } else { 0 };
        assert!(found.is_nothing_but(ids_of_open), "{wire:?}: {found:#?}");
        drop((phone, strangers));
        tokio::time::sleep(Duration::from_secs(1)).await;
        let found = scan(&server, &codes, &ids);
        assert!(found.is_nothing_but(0), "{wire:?}: {found:#?}");
    }
}

/// The same without anybody who comes afterwards and overwrites what the last ones left: on one connection, which stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_codes_are_gone_a_second_later() {
    for round in 0..last_rounds() {
        let server = DevServer::start(&[&NO_LIMITS[..], &["engine.shards=2"]].concat());
        let phone = Phone::over(Wire::H3, &server).await;
        let (mut codes, mut ids) = (HashSet::new(), HashSet::new());
        for n in 0..verifications() {
            let (id, code) = issue(&server, &phone, n).await;
            assert_eq!(phone.check(&id, &code).await.body["valid"], true);
            codes.insert(code.into_bytes());
            ids.insert(id.into_bytes());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let found = scan(&server, &codes, &ids);
        assert!(found.is_nothing_but(0), "round {round}: {found:#?}");
    }
}

/// What an answer says waits until its phone has acknowledged it, as it may have to be sent again. A phone that falls
/// silent with its last answer never does: then it is gone with the connection, by `connections.idle`.
#[test]
fn an_answer_to_a_phone_that_fell_silent_is_gone_with_its_connection() {
    let idle = Duration::from_secs(2);
    let server = DevServer::start(&[&NO_LIMITS[..], &["engine.shards=2", "connections.idle=2s"]].concat());
    let (mut codes, mut ids, mut unacknowledged) = (HashSet::new(), HashSet::new(), 0);
    for round in 0..SILENT_PHONES {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let phone = runtime.block_on(async {
            let phone = Phone::over(Wire::H3, &server).await;
            let (id, code) = issue(&server, &phone, round).await;
            assert_eq!(phone.check(&id, &code).await.body["valid"], true);
            codes.insert(code.into_bytes());
            ids.insert(id.into_bytes());
            phone
        });
        // Nobody drives its socket any more: no acknowledgement, no goodbye.
        drop(runtime);
        std::mem::forget(phone);
        unacknowledged += usize::from(scan(&server, &HashSet::new(), &ids).ids > 0);
    }
    println!("{unacknowledged} of {SILENT_PHONES} answers waited");
    std::thread::sleep(idle * 2);
    let found = scan(&server, &codes, &ids);
    assert!(found.is_nothing_but(0), "{found:#?}");
}

/// That the scan finds what is there: a relay that never answers keeps the mail waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_that_waits_is_found() {
    let relay = Script::start("smtp_server.py", &["silent"], None);
    let folder = tempfile::TempDir::new().unwrap();
    let store = Site::sqlite(&folder);
    let key = new_key(&store, "shop", &["--class", "secret"]);
    let provider = format!(
        "[[delivery]]\nname = \"relay\"\nkind = \"smtp\"\nurl = \"smtp://127.0.0.1:{}\"\nfrom = \"a@mybrand.com\"",
        relay.port
    );
    let server = Site::new(&store, &provider).serve();
    let phone = Phone::over(Wire::H3, &server).await.with_key(key["key"].as_str().unwrap());
    phone.issue(&format!("{MARK}0@gmail.com")).await;
    // It waits all the time; a map that grows while it is read is left out of that scan.
    let found = || scan(&server, &HashSet::new(), &HashSet::new()).addresses > 0;
    assert!((0..50).any(|_| found()), "nothing in any of fifty scans");
}
