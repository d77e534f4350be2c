//! What is left in the memory of a running server once mails are handed over and codes are checked: nothing of
//! addresses, codes and ids. Reads `/proc/PID/mem`, so it has to run as root, like the package manager before it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed expectation is the point")]
#![allow(clippy::disallowed_methods, reason = "a test waits in real time")]

mod common;

use std::collections::HashSet;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use common::operator::new_key;
use common::phone::{Phone, Wire};
use common::script::Script;
use common::serve::Site;
use common::{DevServer, NO_LIMITS};
use serde_json::json;

/// Begins every address of these tests and nothing else: 20 characters that no machine makes by itself.
const MARK: &str = "zq7kx3vw9m2rh8tj4ncd";
const VERIFICATIONS: usize = 200;
/// Requests by others, after which buffers that are used again have been overwritten.
const UNRELATED: usize = 200;

/// What a scan of all writable memory found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    addresses: usize,
    codes: usize,
    ids: usize,
}

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
        found.addresses +=
            bytes.windows(MARK.len()).filter(|window| window.eq_ignore_ascii_case(MARK.as_bytes())).count();
        found.codes +=
            bytes.windows(10).filter(|window| window[0].is_ascii_digit() && codes.contains(*window)).count();
        found.ids += bytes.windows(29).filter(|window| window[0] == b'v' && ids.contains(*window)).count();
    }
    found
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
        let (mut codes, mut ids) = (HashSet::new(), HashSet::new());
        for n in 0..VERIFICATIONS {
            let (id, code) = issue(&server, &phone, n).await;
            assert_eq!(code.len(), 10, "{code}");
            assert_eq!(phone.check(&id, &code).await.body["valid"], true);
            codes.insert(code.into_bytes());
            ids.insert(id.into_bytes());
        }
        // Long enough for every place that a check's body had in a buffer.
        let unrelated = json!({"recipient": "x".repeat(300)});
        for _ in 0..UNRELATED {
            assert_eq!(phone.post("/v1/verifications", &unrelated).await.status, 422);
        }
        // Stacks are wiped twice a second.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let found = scan(&server, &codes, &ids);
        // HPACK's table keeps paths as long as the connection lives; that of QPACK has no room.
        let ids_of_open = if wire == Wire::H2 { found.ids } else { 0 };
        assert_eq!(found, Found { ids: ids_of_open, ..Found::default() }, "{wire:?}");
        drop(phone);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(scan(&server, &codes, &ids), Found::default(), "{wire:?}");
    }
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
    let found = scan(&server, &HashSet::new(), &HashSet::new());
    assert!(found.addresses > 0, "{found:?}");
}
