//! A real server for each test: the built binary, own ports, own folder, ended with the test.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;

/// A running `authepy dev --json`, with everything its ready line said.
pub struct DevServer {
    process: Child,
    /// The ready line: addresses, paths and, of `dev`, keys.
    pub ready: Value,
    log: Arc<(Mutex<String>, Condvar)>,
}

/// Longest a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Switches off every limit, for tests of something else.
pub const NO_LIMITS: [&str; 11] = [
    "limits.recipient.issue=off",
    "limits.recipient_peer.issue=off",
    "limits.recipient_all.issue=off",
    "limits.domain.unverified=off",
    "limits.domain_peer.unverified=off",
    "limits.peer.issue=off",
    "limits.peer.check=off",
    "limits.peer.denied=off",
    "limits.peer.handshake=off",
    "limits.peer.any=off",
    "limits.recipient.guess=off",
];

/// The binary under test: the one built with the tests, or `AUTHEPY_BINARY`, such as the release build.
pub fn binary() -> PathBuf {
    std::env::var_os("AUTHEPY_BINARY").map_or_else(beside_the_test, PathBuf::from)
}

/// Cargo puts tests into `deps`, in the folder of the programs. Those of this package it builds before its tests.
fn beside_the_test() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let binary = test.parent().and_then(Path::parent).unwrap().join("authepy");
    assert!(binary.is_file(), "{} is missing: build the workspace", binary.display());
    binary
}

impl DevServer {
    /// Starts one on free ports with these settings.
    pub fn start(settings: &[&str]) -> Self {
        let mut arguments = vec!["dev", "--json", "--listen", "127.0.0.1:0"];
        settings.iter().for_each(|setting| arguments.extend(["--set", *setting]));
        Self::run(&arguments)
    }

    /// Starts the binary with these arguments and waits for its ready line.
    pub fn run(arguments: &[&str]) -> Self {
        Self::started(Command::new(binary()).args(arguments))
    }

    /// The same, as the child of a program that watches it.
    pub fn run_under(program: &str, watching: &[&str], arguments: &[&str]) -> Self {
        Self::started(Command::new(program).args(watching).arg(binary()).args(arguments))
    }

    /// The same, with these variables in its environment.
    pub fn run_with(variables: &[(&str, &str)], arguments: &[&str]) -> Self {
        let mut command = Command::new(binary());
        Self::started(command.envs(variables.iter().copied()).args(arguments))
    }

    fn started(command: &mut Command) -> Self {
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let log = Arc::new((Mutex::new(String::new()), Condvar::new()));
        let (kept, mut stderr) = (log.clone(), process.stderr.take().unwrap());
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(length @ 1..) = stderr.read(&mut chunk) {
                kept.0.lock().unwrap().push_str(&String::from_utf8_lossy(&chunk[..length]));
                kept.1.notify_all();
            }
        });
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready = serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("no ready line but {line:?}; log: {}", log.0.lock().unwrap()));
        Self { process, ready, log }
    }

    /// A text of the ready line.
    pub fn text(&self, member: &str) -> &str {
        self.ready[member].as_str().unwrap()
    }

    /// Where it listens for QUIC.
    pub fn h3(&self) -> SocketAddr {
        self.text("h3").parse().unwrap()
    }

    /// Where it listens for TCP.
    pub fn tcp(&self) -> SocketAddr {
        self.text("tcp").parse().unwrap()
    }

    /// What `dev` says its authority is.
    pub fn ca(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.text("ca")).unwrap()
    }

    /// The id of its process.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// What the server wrote to standard error so far.
    pub fn log(&self) -> String {
        // Whoever waited for a word in vain has left it locked.
        self.log.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the log has said this so many times.
    pub fn log_says(&self, what: &str, times: usize) {
        let unsaid = |log: &mut String| log.matches(what).count() < times;
        let (log, ended) =
            self.log.1.wait_timeout_while(self.log.0.lock().unwrap(), PATIENCE, unsaid).unwrap();
        assert!(!ended.timed_out(), "{what:?} not {times} times in: {log}");
    }

    /// Sends a signal, such as `-HUP`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// For a test whose point the panics in the log are.
    pub fn forget_panics(&self) {
        self.log.0.lock().unwrap().clear();
    }

    /// SIGHUP, and the log's word that it was obeyed or not, for the `time`-th time.
    pub fn reload(&self, word: &str, time: usize) {
        self.signal("-HUP");
        self.log_says(word, time);
    }

    /// Whether its process has not ended.
    pub fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// Waits for the end; `None` if a signal was it.
    pub fn exit_code(&mut self) -> Option<i32> {
        self.process.wait().unwrap().code()
    }

    /// What the admin listener says of readiness; `None` if there is none any more.
    pub fn readiness(&self) -> Option<u16> {
        use std::io::Write as _;
        let address = self.text("admin").strip_prefix("http://").unwrap();
        let mut stream = std::net::TcpStream::connect(address).ok()?;
        write!(stream, "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        text.split(' ').nth(1)?.parse().ok()
    }

    /// Resident memory in KiB.
    pub fn rss_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Asks the admin listener; returns status and body.
    pub fn admin(&self, path: &str) -> (u16, String) {
        use std::io::Write as _;
        let address = self.text("admin").strip_prefix("http://").unwrap();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// The value of one metric, labels included in the name.
    pub fn metric(&self, name: &str) -> u64 {
        let (_, text) = self.admin("/metrics");
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no metric {name}")).parse().unwrap()
    }

    /// The code in the newest mail to this address; waits for it.
    pub fn code_for(&self, address: &str) -> String {
        self.codes_for(address, 1).pop().unwrap()
    }

    /// The codes of all mails to this address, oldest first; waits until there are `count`.
    pub fn codes_for(&self, address: &str, count: usize) -> Vec<String> {
        let new = PathBuf::from(self.text("outbox")).join("new");
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let mut mails: Vec<(std::time::SystemTime, String)> = std::fs::read_dir(&new)
                .into_iter()
                .flatten()
                .flatten()
                .map(|file| {
                    (
                        file.metadata().unwrap().modified().unwrap(),
                        std::fs::read_to_string(file.path()).unwrap(),
                    )
                })
                .filter(|(_, text)| {
                    text.contains(&format!("To: {address}")) || text.contains(&format!("To: <{address}>"))
                })
                .collect();
            if mails.len() >= count {
                mails.sort();
                return mails.iter().map(|(_, text)| code_in(text)).collect();
            }
            assert!(Instant::now() < deadline, "no mail to {address}; log: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a signal and waits for the end; returns the exit code.
    pub fn end(mut self, signal: &str) -> Option<i32> {
        let id = self.process.id().to_string();
        Command::new("kill").args([signal, &id]).status().unwrap();
        self.process.wait().unwrap().code()
    }
}

impl Drop for DevServer {
    fn drop(&mut self) {
        // A watcher that is killed lets go of what it watched, which would live on.
        let id = self.process.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        if !children.trim().is_empty() {
            let _ended = Command::new("kill").arg("-KILL").args(children.split_whitespace()).status();
        }
        let _ended = self.process.kill();
        let _reaped = self.process.wait();
        let log = self.log();
        match std::thread::panicking() {
            // What it said last may tell why.
            true => {
                eprintln!("the server's log: {}", log.lines().rev().take(20).collect::<Vec<_>>().join("\n"))
            }
            false => assert!(!log.contains("panicked"), "{log}"),
        }
    }
}

/// The code at the end of a mail's subject.
pub fn code_in(mail: &str) -> String {
    let subject = mail.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap();
    subject.rsplit(' ').next().unwrap().to_owned()
}
