//! The relay fails, in each of the eight ways, and its name does (A64). A second way out stands behind it: what
//! the first surely did not take goes there, and what it may have taken goes nowhere else.

use std::collections::HashMap;
use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tempfile::TempDir;

use authepy_testkit::canary::Canary;
use authepy_testkit::operator::new_key;
use authepy_testkit::phone::Phone;
use authepy_testkit::script::Script;
use authepy_testkit::serve::{Served, Site};
use authepy_testkit::{PATIENCE, code_in};

/// Mails sent into each fault: as many as open a breaker.
const MAILS: usize = 5;
/// A relay may take twenty seconds for a mail, and then the next one has its turn.
const SETTLING: Duration = Duration::from_secs(60);
const LIMITS: &str = "engine.shards = 2\nlimits.recipient.issue = \"off\"\nlimits.peer.handshake = \"off\"\n";

/// How the first relay fails.
struct Fault {
    name: &'static str,
    /// The script's mode; `None`: nobody listens.
    mode: Option<&'static str>,
    option: &'static str,
    /// What becomes of a mail: `sent`, by the second way out, or `maybe_sent`, and never again.
    outcome: &'static str,
    /// Whether it is the relay's fault, not the mail's.
    is_left_alone: bool,
}

const FAULTS: [Fault; 9] = [
    Fault { name: "down", mode: None, option: "", outcome: "sent", is_left_alone: true },
    Fault { name: "4xx", mode: Some("defer-rcpt"), option: "", outcome: "sent", is_left_alone: false },
    Fault { name: "5xx", mode: Some("refuse-data"), option: "", outcome: "sent", is_left_alone: false },
    Fault { name: "tarpit", mode: Some("silent"), option: "", outcome: "sent", is_left_alone: true },
    Fault {
        name: "closes after DATA",
        mode: Some("close-after-dot"),
        option: "",
        outcome: "maybe_sent",
        is_left_alone: true,
    },
    Fault {
        name: "a byte at a time",
        mode: Some("trickle"),
        option: "",
        outcome: "sent",
        is_left_alone: true,
    },
    Fault {
        name: "TLS fails",
        mode: Some("no-starttls"),
        option: "?tls=required",
        outcome: "sent",
        is_left_alone: true,
    },
    Fault {
        name: "endless banner",
        mode: Some("banner-flood"),
        option: "",
        outcome: "sent",
        is_left_alone: true,
    },
    Fault {
        name: "hostile banner",
        mode: Some("not-smtp"),
        option: "",
        outcome: "sent",
        is_left_alone: true,
    },
];

/// A server with this relay first and an outbox behind it, and its keys, live and test.
fn serve(folder: &TempDir, relay: &str) -> (Served, [String; 2]) {
    let (site, keys) = site(folder, relay);
    (site.serve(), keys)
}

fn site(folder: &TempDir, relay: &str) -> (Site, [String; 2]) {
    let store = Site::sqlite(folder);
    let key = |how: &[&str]| new_key(&store, "shop", how)["key"].as_str().unwrap().to_owned();
    let keys = [key(&["--class", "secret"]), key(&["--class", "secret", "--test"])];
    let config = format!(
        "{LIMITS}[[delivery]]\nname = \"relay\"\nkind = \"smtp\"\nurl = \"{relay}\"\n\
         from = \"no-reply@mybrand.com\"\n{}",
        Site::outbox(folder)
    );
    (Site::new(&store, &config), keys)
}

/// The codes in the outbox by their address; panics if one has two mails.
fn delivered(folder: &Path) -> HashMap<String, String> {
    let mut codes = HashMap::new();
    for file in std::fs::read_dir(folder.join("outbox/new")).into_iter().flatten().flatten() {
        let mail = std::fs::read_to_string(file.path()).unwrap();
        let to = mail.lines().find_map(|line| line.strip_prefix("To: ")).unwrap();
        assert!(codes.insert(to.to_owned(), code_in(&mail)).is_none(), "two mails to one");
    }
    codes
}

async fn settled(server: &Served, outcome: &str, count: usize, fault: &str) {
    let (metric, deadline) =
        (format!("authepy_mail_total{{outcome=\"{outcome}\"}}"), Instant::now() + SETTLING);
    while server.metric(&metric) < count as u64 {
        assert!(Instant::now() < deadline, "{fault}: {}", server.admin("/metrics").1);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn play(fault: &Fault) {
    let folder = TempDir::new().unwrap();
    let relay = fault.mode.map(|mode| Script::start("smtp_server.py", &[mode], None));
    let port = relay.as_ref().map_or(1, |relay| relay.port);
    let (server, [live, test]) = serve(&folder, &format!("smtp://127.0.0.1:{port}{}", fault.option));
    let canary = Canary::without_mail(&server, &test, "relay").await;
    let phone = Phone::connect_with(&server, &live).await;
    let address = |n: usize| format!("user{n}@gmail.com");
    let ids = canary
        .beside(async {
            let ids = join_all((0..MAILS).map(|n| phone.issue_owned(address(n)))).await;
            settled(&server, fault.outcome, MAILS, fault.name).await;
            ids
        })
        .await;
    let codes = delivered(folder.path());
    if fault.outcome == "maybe_sent" {
        assert!(codes.is_empty(), "{}: sent again by the second way", fault.name);
        let events = relay.unwrap().events();
        assert_eq!(events.iter().filter(|event| event["dot"] == true).count(), MAILS, "each went once");
        return;
    }
    for (n, id) in ids.iter().enumerate() {
        let heard = phone.check(id, &codes[&address(n)]).await;
        assert_eq!(heard.body["valid"], true, "{}: {heard:?}", fault.name);
    }
    if fault.is_left_alone {
        // From now on nobody waits for it.
        server.log_says("keeps failing", 1);
    }
    let id = canary.beside(phone.issue_owned("late@gmail.com".to_owned())).await;
    settled(&server, "sent", MAILS + 1, fault.name).await;
    assert_eq!(phone.check(&id, &delivered(folder.path())["late@gmail.com"]).await.body["valid"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_fails_in_any_way_loses_no_code_and_doubles_none() {
    join_all(FAULTS.iter().map(play)).await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_relay_that_says_nothing() {
    let folder = TempDir::new().unwrap();
    let relay = Script::start("smtp_server.py", &["silent"], None);
    let (mut server, [live, _]) = serve(&folder, &format!("smtp://127.0.0.1:{}", relay.port));
    let phone = Phone::connect_with(&server, &live).await;
    phone.issue("ada@gmail.com").await;
    relay.until("connected");
    let began = Instant::now();
    server.signal("-TERM");
    // Its own watch ends it with 70 after ten seconds.
    assert_eq!(server.exit_code(), Some(0), "{}", server.log());
    println!("a stop with a silent relay: {:?}", began.elapsed());
}

/// A server that sees no name server but one that never answers.
fn serve_without_names(folder: &TempDir, resolver: &UdpSocket) -> (Served, [String; 2]) {
    // A name server's port is always 53, so the address is of this test alone.
    let file = folder.path().join("resolv.conf");
    let address = resolver.local_addr().unwrap().ip();
    std::fs::write(&file, format!("nameserver {address}\noptions timeout:1 attempts:2\n")).unwrap();
    let script = format!("mount --bind '{}' /etc/resolv.conf && exec \"$@\"", file.display());
    let (site, keys) = site(folder, "smtp://relay.mybrand.com");
    (site.serve_under("unshare", &["-m", "sh", "-c", &script, "sh"]), keys)
}

#[tokio::test]
async fn a_relay_whose_name_nobody_resolves_costs_no_code_and_no_check() {
    let folder = TempDir::new().unwrap();
    let resolver = UdpSocket::bind("127.77.53.1:53").expect("root may have port 53");
    resolver.set_read_timeout(Some(PATIENCE)).unwrap();
    let (mut server, [live, test]) = serve_without_names(&folder, &resolver);
    let canary = Canary::without_mail(&server, &test, "names").await;
    let phone = Phone::connect_with(&server, &live).await;
    let ids = canary
        .beside(async {
            let ids = join_all((0..MAILS).map(|n| phone.issue_owned(format!("user{n}@gmail.com")))).await;
            settled(&server, "sent", MAILS, "no names").await;
            ids
        })
        .await;
    assert!(resolver.recv(&mut [0; 512]).is_ok(), "it was asked");
    let codes = delivered(folder.path());
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(phone.check(id, &codes[&format!("user{n}@gmail.com")]).await.body["valid"], true);
    }
    server.signal("-TERM");
    assert_eq!(server.exit_code(), Some(0), "a look-up that hangs keeps nobody: {}", server.log());
}
