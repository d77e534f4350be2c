//! SIGHUP: the config is read again through the same layers, and acts whole or not at all.

use std::time::Instant;

use authepy_testkit::client::{Fields, Tcp, outcome, trusting};
use authepy_testkit::folder::{Folder, NOT_TAKEN, Pair, TAKEN};
use authepy_testkit::{DevServer as Server, PATIENCE};

const CONTRADICTION: Fields<'static> =
    &[("Forwarded", "for=203.0.113.9"), ("X-Forwarded-For", "198.51.100.1")];
const FROM_A_PAGE: Fields<'static> = &[("Origin", "https://mybrand.com")];

const STRICT: &str = "limits.recipient.issue = \"1/1h\"";
const OTHER: &str = "limits.recipient.issue = \"off\"\nlimits.recipient_peer.issue = \"off\"\n\
     proxy.trusted = [\"127.0.0.1\"]\ncatalog.extra = [\"throwaway-corp.com\"]\n\
     keys.refuse_secret_in_browser = true\ncodes.length = 8";

fn started(config: &str) -> (Folder, Server, Tcp) {
    let (folder, pair) = (Folder::with_store(), Pair::make());
    folder.install(&pair);
    folder.write("authepy.toml", &folder.config(config));
    let server = folder.serve();
    let phone = Tcp::connect(&server, &trusting(&[pair.der], b"http/1.1")).unwrap();
    (folder, server, phone)
}

/// Shards hear of a new limit from their lanes, each within its half second.
fn until_issued(phone: &mut Tcp, recipient: &str) -> serde_json::Value {
    let began = Instant::now();
    loop {
        match phone.issue(recipient, &[]) {
            (202, issued) => return issued,
            (429, _) if began.elapsed() < PATIENCE => std::thread::yield_now(),
            other => panic!("{other:?}"),
        }
    }
}

/// That [`OTHER`] acts.
fn other_settings_act(phone: &mut Tcp) {
    assert_eq!(outcome(&phone.issue("bob@gmail.com", CONTRADICTION)), (400, "malformed-http"));
    assert_eq!(outcome(&phone.issue("bob@throwaway-corp.com", &[])), (422, "disposable-domain"));
    assert_eq!(outcome(&phone.issue("bob@gmail.com", FROM_A_PAGE)), (403, "secret-key-in-browser"));
    assert_eq!(until_issued(phone, "ada@gmail.com")["code_length"], 8);
}

#[test]
fn a_changed_config_acts_on_sighup_and_a_broken_one_changes_nothing() {
    let (folder, mut server, mut phone) = started(STRICT);
    assert_eq!(phone.issue("ada@gmail.com", CONTRADICTION).0, 202, "127.0.0.1 is no proxy yet");
    assert_eq!(phone.issue("ada@gmail.com", &[]).0, 429);
    assert_eq!(phone.issue("eve@throwaway-corp.com", FROM_A_PAGE).0, 202);

    folder.write("authepy.toml", &folder.config(OTHER));
    server.reload(TAKEN, 1);
    // On the connection that was there before.
    other_settings_act(&mut phone);

    for (time, broken) in [
        "codes.length = ",
        "codes.lenght = 6",
        "codes.length = 5",
        "codes.length = \"s3cret\"",
        "proxy.trusted = [\"everybody\"]",
        "catalog.extra = [\"com\"]",
        "receipts.key_file = \"/nowhere\"",
    ]
    .iter()
    .enumerate()
    {
        folder.write("authepy.toml", &folder.config(&format!("{STRICT}\n{broken}")));
        server.reload(NOT_TAKEN, time + 1);
        other_settings_act(&mut phone);
    }
    std::fs::remove_file(folder.path("authepy.toml")).unwrap();
    server.reload(NOT_TAKEN, 8);
    other_settings_act(&mut phone);
    assert!(!server.log().contains("s3cret"), "{}", server.log());

    folder.write("authepy.toml", &folder.config("codes.length = 10"));
    server.reload(TAKEN, 2);
    assert_eq!(phone.issue("bob@gmail.com", CONTRADICTION).0, 202, "what is not set is the default again");
    assert!(server.is_running());
}

/// An admin token, strong enough for a start.
const BEFORE: &str = "before-0f1e2d3c4b5a69788796a5b4";

#[test]
fn what_needs_a_restart_is_named_and_does_not_act() {
    let (folder, server, mut phone) = started(&format!("admin.token = \"{BEFORE}\""));
    let before = folder.config(&format!("admin.token = \"{BEFORE}\""));
    let after = before
        .replace("listen = [\"127.0.0.1:0\"]", "listen = [\"127.0.0.1:1\"]")
        .replace("engine.shards = 2", "engine.shards = 3")
        .replace("codes@acme.example", "other@acme.example")
        .replace(BEFORE, "after-s3cret-0f1e2d3c4b5a6978")
        + "memory.ceiling = \"64MiB\"\n";
    folder.write("authepy.toml", &after);
    server.reload(TAKEN, 1);
    server.log_says("need a restart", 1);
    let log = server.log();
    assert!(log.contains("admin.token, delivery, engine.shards, listen, memory.ceiling"), "{log}");
    assert!(!log.contains("s3cret"), "{log}");
    assert_eq!(phone.issue("ada@gmail.com", &[]).0, 202);
    folder.write("authepy.toml", &before);
    server.reload(TAKEN, 2);
    assert_eq!(server.log().matches("need a restart").count(), 1, "back to what runs");
}

#[test]
fn a_storm_of_signals_ends_nothing() {
    let (folder, mut server, mut phone) = started("limits.recipient.issue = \"off\"");
    for n in 0..100 {
        folder.write("authepy.toml", &folder.config(["", "nonsense"][n % 2]));
        server.signal("-HUP");
        assert_eq!(phone.send("GET", "/healthz", &[], "").0, 200);
    }
    folder.write("authepy.toml", &folder.config(OTHER));
    server.signal("-HUP");
    let began = Instant::now();
    while phone.issue("bob@gmail.com", CONTRADICTION).0 != 400 {
        assert!(began.elapsed() < PATIENCE, "{}", server.log());
    }
    assert!(server.is_running());
}
