//! An attacker opens as many TCP connections as he can and says nothing: with few descriptors, with many, and with a
//! soft limit that a start can raise. Everybody else is served, over every wire, mail included.

use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;
use socket2::{Domain, Socket, Type};

use authepy_testkit::operator::admin;
use authepy_testkit::phone::{Phone, Wire};
use authepy_testkit::{DevServer, NO_LIMITS, PATIENCE};

/// Where the attacker sits.
const ADDRESSES: u8 = 6;

/// Opens connections from several addresses, and opens those anew that the server closes, until it is dropped.
struct Attacker {
    over: Arc<AtomicBool>,
    opened: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Attacker {
    /// Keeps `open` connections, and makes at most `most` in all.
    fn begin(server: SocketAddr, open: usize, most: usize) -> Self {
        let (over, opened) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let (stop, count) = (over.clone(), opened.clone());
        let thread = std::thread::spawn(move || {
            let mut held: Vec<TcpStream> = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                held.retain(is_open);
                while held.len() < open && count.load(Ordering::Relaxed) < most {
                    let from =
                        Ipv4Addr::new(127, 7, 0, 1 + count.fetch_add(1, Ordering::Relaxed) as u8 % ADDRESSES);
                    held.extend(connect(from, server));
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        Self { over, opened, thread: Some(thread) }
    }

    fn has_opened(&self, count: usize) {
        let deadline = std::time::Instant::now() + PATIENCE;
        while self.opened.load(Ordering::Relaxed) < count {
            assert!(std::time::Instant::now() < deadline, "only {}", self.opened.load(Ordering::Relaxed));
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _panicked = self.thread.take().map(JoinHandle::join);
    }
}

fn connect(from: Ipv4Addr, to: SocketAddr) -> Option<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).ok()?;
    socket.bind(&SocketAddr::from((from, 0)).into()).ok()?;
    // A server that accepts no more leaves it in the kernel's queue.
    socket.connect_timeout(&to.into(), Duration::from_secs(1)).ok()?;
    let stream = TcpStream::from(socket);
    stream.set_nonblocking(true).ok()?;
    Some(stream)
}

fn is_open(mut stream: &TcpStream) -> bool {
    matches!(stream.read(&mut [0; 1]), Err(fault) if fault.kind() == std::io::ErrorKind::WouldBlock)
}

/// The test needs more descriptors than the server has.
fn have_descriptors() {
    let hard = getrlimit(Resource::RLIMIT_NOFILE).unwrap().1;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    assert!(hard > 4_096, "this test opens some 1,300 connections");
}

/// `limit` is what prlimit takes: both limits, or `soft:hard`.
fn confined(limit: &str) -> DevServer {
    let mut arguments = vec!["dev", "--json", "--listen", "127.0.0.1:0", "--set", "engine.shards=2"];
    NO_LIMITS.iter().for_each(|setting| arguments.extend(["--set", *setting]));
    let server = DevServer::run_under("prlimit", &[&format!("--nofile={limit}")], &arguments);
    // prlimit becomes the server: there is no process in between.
    server
}

fn descriptors_of(server: &DevServer) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", server.process_id())).unwrap().count()
}

/// Sign-ups over every wire, from the mail; then what the operator does: a probe, a change of the store.
async fn everybody_is_served(server: &DevServer, round: usize) {
    for wire in Wire::ALL {
        let phone = Phone::over(wire, server).await;
        let address = format!("{wire:?}{round}@gmail.com");
        let id = phone.issue(&address).await;
        assert_eq!(phone.check(&id, &server.code_for(&address)).await.body["valid"], true, "{wire:?}");
    }
    assert_eq!(server.readiness(), Some(200));
    let project = json!({"name": format!("project{round}")});
    assert_eq!(admin(server, "POST", "/admin/v1/projects", Some(&project)).0, 201, "the store");
}

/// An attacker who wants this many connections, and gets no more descriptors than are his to have.
async fn an_attacker_is_borne(limit: &str, descriptors: usize, wanted: usize) {
    have_descriptors();
    let server = confined(limit);
    let attacker = Attacker::begin(server.tcp(), wanted, 4 * wanted);
    attacker.has_opened(wanted);
    for round in 0..5 {
        everybody_is_served(&server, round).await;
        let open = descriptors_of(&server);
        assert!(open + 32 < descriptors, "{open} of {descriptors}: none in reserve");
    }
    drop(attacker);
    assert!(!server.log().contains("no TCP connection can be accepted"), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_256_descriptors() {
    an_attacker_is_borne("256", 256, 400).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_1024_descriptors() {
    an_attacker_is_borne("1024", 1_024, 1_080).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_soft_limit_that_a_start_raises() {
    let hard = getrlimit(Resource::RLIMIT_NOFILE).unwrap().1;
    an_attacker_is_borne(&format!("256:{hard}"), hard as usize, 1_080).await;
}

#[test]
fn a_start_says_once_how_many_connections_the_descriptors_allow() {
    let few = confined("256");
    few.log_says("LimitNOFILE", 1);
    std::thread::sleep(Duration::from_millis(300));
    let log = few.log();
    assert_eq!(log.matches("LimitNOFILE").count(), 1, "once: {log}");
    let line = log.lines().find(|line| line.contains("LimitNOFILE")).unwrap();
    for word in ["connections.max is 100000", "256", "tcp_connections", "raise the hard limit"] {
        assert!(line.contains(word), "{word} in {line}");
    }
    let arguments = ["dev", "--json", "--listen", "127.0.0.1:0", "--set", "connections.max=50"];
    let enough = DevServer::run_under("prlimit", &["--nofile=1024"], &arguments);
    assert_eq!(enough.readiness(), Some(200));
    assert!(!enough.log().contains("LimitNOFILE"), "{}", enough.log());
    let arguments = ["dev", "--json", "--listen", "127.0.0.1:0", "--set", "connections.max=5000"];
    let explicit = DevServer::run_under("prlimit", &["--nofile=1024"], &arguments);
    explicit.log_says("connections.max is 5000", 1);
}
