//! SIGTERM and SIGINT at any moment: from when the process begins, over its ready line, to a while after it; with
//! either store. Exit code 0 each time, no panic, and nothing left behind.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use authepy_testkit::operator::new_key;
use authepy_testkit::postgres::Postgres;
use authepy_testkit::serve::Site;
use authepy_testkit::{PATIENCE, binary};

/// Stops of each kind.
const STOPS: u32 = 50;
/// How long after the ready line the last ones come.
const AFTER_READY: Duration = Duration::from_millis(200);
/// Bit of SIGTERM in the masks of `/proc/PID/status`.
const SIGTERM: u64 = 1 << 14;

/// A server that was just started; what it says is read at its end.
struct Started(Child);

impl Started {
    fn new(arguments: &[&str], temporary: &Path) -> Self {
        let mut command = Command::new(binary());
        command.args(arguments).env("TMPDIR", temporary).stdin(Stdio::null());
        Self(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Waits until a stop does not act by the signal's default any more: from the first lines of `main` on.
    fn holds_signals(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        let path = format!("/proc/{}/status", self.0.id());
        loop {
            let status = std::fs::read_to_string(&path).unwrap_or_default();
            let mask = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name));
                line.map_or(0, |mask| u64::from_str_radix(mask.trim(), 16).unwrap())
            };
            if (mask("SigBlk:") | mask("SigCgt:")) & SIGTERM != 0 {
                return;
            }
            assert!(self.0.try_wait().unwrap().is_none() && Instant::now() < deadline, "{status}");
        }
    }

    fn stop(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success(), "it had ended by itself");
    }

    /// What it said on standard output, and nothing of a panic on standard error.
    fn ended_well(mut self, when: &str) -> String {
        let (mut said, mut log) = (String::new(), String::new());
        self.0.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        self.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        let status = self.0.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{when}: {status}; {log}");
        assert!(!log.contains("panic"), "{when}: {log}");
        said
    }
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// How long it takes from the first moment to the ready line.
fn time_to_ready(arguments: &[&str], temporary: &Path) -> Duration {
    let mut started = Started::new(arguments, temporary);
    started.holds_signals();
    let began = Instant::now();
    let mut first = [0];
    started.0.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    let took = began.elapsed();
    started.stop("-TERM");
    started.ended_well("once");
    took
}

/// Stops servers with these arguments at moments spread over all the time from the first one to [`AFTER_READY`];
/// `is_tidy` looks at what is left. How many had said that they are ready is told.
fn stop_at_any_moment(arguments: &[&str], is_tidy: impl Fn(&str)) {
    let temporary = TempDir::new().unwrap();
    let span = time_to_ready(arguments, temporary.path()) + AFTER_READY;
    let mut ready = 0;
    for nth in 0..STOPS {
        let mut started = Started::new(arguments, temporary.path());
        started.holds_signals();
        let moment = span * nth / (STOPS - 1);
        std::thread::sleep(moment);
        started.stop(if nth % 2 == 0 { "-TERM" } else { "-INT" });
        let when = format!("{} of {span:?} after the first moment", moment.as_millis());
        let said = started.ended_well(&when);
        // A ready line is whole, or is not there.
        let is_whole = |line: &str| {
            serde_json::from_str::<serde_json::Value>(line).is_ok_and(|line| line["h3"].is_string())
        };
        assert!(said.is_empty() || is_whole(&said), "{when}: {said}");
        ready += u32::from(!said.is_empty());
        assert_eq!(files(temporary.path()), [""; 0], "{when}");
        is_tidy(&when);
    }
    println!("{STOPS} stops within {span:?}: {ready} after the ready line");
    assert!(ready > 0 && ready < STOPS, "some of either kind: {ready}");
}

#[test]
fn a_development_server_can_be_stopped_at_any_moment() {
    stop_at_any_moment(&["dev", "--json", "--listen", "127.0.0.1:0"], |_| {});
}

#[test]
fn a_server_with_sqlite_can_be_stopped_at_any_moment() {
    let folder = TempDir::new().unwrap();
    let store = Site::sqlite(&folder);
    let site = Site::new(&store, &Site::outbox(&folder));
    let config = site.path("authepy.toml");
    // The store that the first of them makes is good, whenever it was stopped; no journal is left beside it.
    stop_at_any_moment(&["serve", "--json", "--config", &config], |when| {
        let mut left = files(folder.path());
        left.retain(|name| name != "outbox" && name != "authepy.db");
        assert_eq!(left, [""; 0], "{when}");
    });
    new_key(&store, "shop", &["--class", "secret"]);
    assert_eq!(site.serve().readiness(), Some(200));
}

#[test]
fn a_server_with_postgresql_can_be_stopped_at_any_moment() {
    let postgres = Postgres::start();
    let folder = TempDir::new().unwrap();
    let site = Site::new(&postgres.url(), &Site::outbox(&folder));
    stop_at_any_moment(&["serve", "--json", "--config", &site.path("authepy.toml")], |_| {});
    assert_eq!(site.serve().readiness(), Some(200));
}

/// It is stopped in its tracks, before a start and beside a running server.
#[test]
fn a_database_that_hangs_holds_up_no_stop() {
    let postgres = Postgres::start();
    let folder = TempDir::new().unwrap();
    let site = Site::new(&postgres.url(), &Site::outbox(&folder));
    let config = site.path("authepy.toml");
    let mut server = site.serve();
    postgres.freeze();
    let mut started = Started::new(&["serve", "--json", "--config", &config], folder.path());
    started.holds_signals();
    std::thread::sleep(Duration::from_millis(500));
    let began = Instant::now();
    server.signal("-TERM");
    assert_eq!(server.exit_code(), Some(0), "{}", server.log());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let began = Instant::now();
    started.stop("-TERM");
    assert_eq!(started.ended_well("waiting for its store"), "");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
