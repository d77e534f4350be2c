//! The store lies, is gone, is locked, or its disk is full. (A store that hangs: `isolation.rs`.)

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use authepy_testkit::canary::Canary;
use authepy_testkit::operator::{admin, new_key};
use authepy_testkit::phone::Phone;
use authepy_testkit::postgres::Postgres;
use authepy_testkit::serve::{Served, Site};
use authepy_testkit::{DevServer, PATIENCE, binary};

/// A PostgreSQL as its client sees it: what it says passes through here.
struct Between {
    address: SocketAddr,
    mood: Arc<AtomicU8>,
}

/// What is done to the server's words.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum Mood {
    Honest,
    /// Rows come without their columns (RUSTSEC-2026-0178).
    ShortRows,
    /// Every byte is another one.
    Garbage,
    /// Connections are closed, and new ones at once.
    Gone,
    /// Nothing is passed on.
    Silent,
}

impl Between {
    fn start(postgres: &Postgres) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let between = Self { address: listener.local_addr().unwrap(), mood: Arc::default() };
        let (mood, server) = (between.mood.clone(), postgres.address());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if mood.load(Ordering::SeqCst) == Mood::Gone as u8 {
                    continue;
                }
                let server = TcpStream::connect(server).unwrap();
                let (mut words, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || {
                    let _either_closed = std::io::copy(&mut words, &mut to);
                    let _closed = to.shutdown(Shutdown::Both);
                });
                let mood = mood.clone();
                std::thread::spawn(move || {
                    let _either_closed = pass_on(server, &client, &mood);
                    let _closed = client.shutdown(Shutdown::Both);
                });
            }
        });
        between
    }

    fn becomes(&self, mood: Mood) {
        self.mood.store(mood as u8, Ordering::SeqCst);
    }

    fn url(&self) -> String {
        format!("postgres://postgres@{}/postgres?sslmode=disable", self.address)
    }
}

/// Message after message: a type, a length that counts itself, the rest.
fn pass_on(mut server: TcpStream, mut client: &TcpStream, mood: &AtomicU8) -> std::io::Result<()> {
    loop {
        let mut head = [0; 5];
        server.read_exact(&mut head)?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let mut rest = vec![0; length - 4];
        server.read_exact(&mut rest)?;
        let message = [&head[..], &rest].concat();
        let present = mood.load(Ordering::SeqCst);
        let said = match present {
            _ if present == Mood::Honest as u8 => message,
            _ if present == Mood::ShortRows as u8 && head[0] == b'D' => vec![b'D', 0, 0, 0, 6, 0, 0],
            _ if present == Mood::Garbage as u8 => message.iter().map(|byte| byte ^ 0x5a).collect(),
            _ if present == Mood::Gone as u8 => return Ok(()),
            _ if present == Mood::Silent as u8 => continue,
            _ => message,
        };
        client.write_all(&said)?;
    }
}

/// A key that is in the store and that the server has not heard of.
fn unheard_key(postgres: &Postgres) -> String {
    new_key(&postgres.url(), "later", &["--class", "secret", "--test"])["key"].as_str().unwrap().to_owned()
}

async fn until(phone: &Phone, expected: u16) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let heard = phone.get("/v1/verifications/vrf_x").await;
        if heard.status == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{:?} instead of {expected}", heard.code());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_lies_or_is_gone_is_not_believed_and_known_keys_serve() {
    let postgres = Postgres::start();
    let between = Between::start(&postgres);
    let key = new_key(&postgres.url(), "shop", &["--class", "secret", "--test"]);
    let folder = TempDir::new().unwrap();
    let config = format!("limits.recipient.issue = \"off\"\n{}", Site::outbox(&folder));
    let server = Site::new(&between.url(), &config).serve();
    let canary = Canary::without_mail(&server, key["key"].as_str().unwrap(), "store").await;
    canary.sign_up().await;
    for mood in [Mood::ShortRows, Mood::Garbage, Mood::Gone] {
        between.becomes(mood);
        canary.beside(lied_to(&server, &postgres, mood)).await;
        between.becomes(Mood::Honest);
        let phone = Phone::connect_with(&server, &unheard_key(&postgres)).await;
        canary.beside(until(&phone, 404)).await;
    }
    // The library panics over rows that are too short; that is caught, and nobody else may.
    let log = server.log();
    assert!(
        log.lines().filter(|line| line.contains("panicked")).all(|line| line.contains("sqlx-postgres")),
        "{log}"
    );
    server.forget_panics();
}

/// A key that the store has and the server does not know is neither let in nor told that it does not exist.
async fn lied_to(server: &Served, postgres: &Postgres, mood: Mood) {
    // Whatever connections it has, their next word is a lie; three polls of the store meet it.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(server.metric("authepy_store_up"), 0, "{mood:?}");
    let phone = Phone::connect_with(server, &unheard_key(postgres)).await;
    let heard = phone.get("/v1/verifications/vrf_x").await;
    assert_eq!(heard.code(), (503, "not-ready"), "{mood:?}");
    assert_eq!(server.readiness(), Some(200), "{mood:?}: who is known is served");
}

#[tokio::test]
async fn a_store_that_comes_up_late_costs_no_start_and_one_that_never_does_is_named() {
    let postgres = Postgres::start();
    let between = Between::start(&postgres);
    between.becomes(Mood::Silent);
    let folder = TempDir::new().unwrap();
    let site = Site::new(&between.url(), &Site::outbox(&folder));
    let mood = between.mood.clone();
    let late = std::thread::spawn(move || {
        // Longer than any one question waits.
        std::thread::sleep(Duration::from_millis(3500));
        mood.store(Mood::Honest as u8, Ordering::SeqCst);
    });
    let server = site.serve();
    assert_eq!(server.readiness(), Some(200));
    late.join().unwrap();
    drop(server);

    between.becomes(Mood::Silent);
    let site = Site::new(&between.url(), &Site::outbox(&folder));
    let serve = ["serve", "--config", &site.path("authepy.toml")];
    let refused = Command::new(binary()).args(serve).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(69), "{said}");
    assert!(said.contains("store.url: the store can't be used: it does not answer"), "{said}");
}

/// A disk of one mebibyte; unmounted with the test.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let folder = TempDir::new().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "authepy-test"])
            .arg(folder.path())
            .status()
            .unwrap();
        assert!(mounted.success(), "run as root");
        Self(folder)
    }

    /// Leaves no byte; returns what is to be removed.
    fn fill(&self) -> PathBuf {
        let path = self.0.path().join("ballast");
        let mut file = std::fs::File::create(&path).unwrap();
        while file.write_all(&[0; 512]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// Asks the admin API for a key until the answer is this one.
async fn making_a_key(server: &DevServer, expected: u16) {
    let (body, deadline) = (json!({"project": "dev", "class": "secret"}), Instant::now() + PATIENCE);
    loop {
        let (status, told) = admin(server, "POST", "/admin/v1/keys", Some(&body));
        if status == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{status} instead of {expected}: {told}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_takes_no_key_and_no_mail_and_checks_go_on() {
    let disk = SmallDisk::mount();
    let dir = disk.0.path().join("dev");
    let mut server =
        DevServer::run(&["dev", "--json", "--listen", "127.0.0.1:0", "--dir", dir.to_str().unwrap()]);
    let canary = Canary::without_mail(&server, server.text("secret_test_key"), "full").await;
    let live = Phone::connect(&server).await;
    let ballast = disk.fill();
    let id = canary
        .beside(async {
            making_a_key(&server, 503).await;
            let id = live.issue("ada@gmail.com").await;
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert_eq!(server.metric("authepy_mail_total{outcome=\"sent\"}"), 0, "no room for a mail");
            id
        })
        .await;
    assert_eq!(server.readiness(), Some(200));
    std::fs::remove_file(ballast).unwrap();
    // One of the later tries takes it.
    let code = server.code_for("ada@gmail.com");
    assert_eq!(live.check(&id, &code).await.body["valid"], true);
    canary.beside(making_a_key(&server, 201)).await;
    server.signal("-TERM");
    assert_eq!(server.exit_code(), Some(0));
}

/// Holds the database's write lock, as a backup that hangs would.
pub(crate) fn lock(database: &Path) -> std::process::Child {
    let script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); \
                  c.execute('BEGIN EXCLUSIVE'); print('held', flush=True); sys.stdin.read()";
    let mut held = Command::new("python3")
        .args(["-c", script])
        .arg(database)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    held.stdout.take().unwrap().read_exact(&mut [0; 5]).unwrap();
    held
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_somebody_locks_takes_no_key_and_checks_go_on() {
    let folder = TempDir::new().unwrap();
    let dir = folder.path().to_str().unwrap();
    let server = DevServer::run(&["dev", "--json", "--listen", "127.0.0.1:0", "--dir", dir]);
    let canary = Canary::with_mail(&server, "locked").await;
    let mut lock = lock(&folder.path().join("authepy.db"));
    canary.beside(making_a_key(&server, 503)).await;
    lock.kill().unwrap();
    lock.wait().unwrap();
    canary.beside(making_a_key(&server, 201)).await;
}
