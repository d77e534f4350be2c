//! A server of the run's own: `authepy dev --json`, started with the profile's settings and gone with the run.
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The child, its folder and its log.
pub(crate) struct Server {
    child: Child,
    /// Its ready line.
    pub(crate) ready: String,
    dir: TempDir,
    /// Once true, the child is reaped and its number may be somebody else's.
    is_gone: Arc<AtomicBool>,
    // Held open: a server that finds its stdout closed may stop.
    _stdout: BufReader<ChildStdout>,
}

/// All people of a profile have addresses at `example.com`, so the limits of one unfamiliar domain are off, unless the
/// profile sets them.
const ONE_DOMAIN: [(&str, &str); 2] =
    [("limits.domain.unverified", "off"), ("limits.domain_peer.unverified", "off")];

impl Server {
    /// Starts it and waits for its ready line.
    pub(crate) fn start(binary: &Path, settings: &BTreeMap<String, String>) -> Result<Self, String> {
        let blame = |error: &dyn std::fmt::Display| format!("{}: {error}", binary.display());
        let dir = TempDir::with_prefix("authepy-loadtest-").map_err(|error| blame(&error))?;
        let log = File::create(dir.path().join("log")).map_err(|error| blame(&error))?;
        let mut command = Command::new(binary);
        command.args(["dev", "--json", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--dir"]);
        command.arg(dir.path());
        let own = ONE_DOMAIN.into_iter().filter(|(key, _)| !settings.contains_key(*key));
        let all = own.chain(settings.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        for (key, value) in all {
            command.args(["--set", &format!("{key}={value}")]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().map_err(|error| blame(&error))?;
        let mut stdout = BufReader::new(child.stdout.take().ok_or_else(|| blame(&"no stdout"))?);
        let mut ready = String::new();
        let heard = stdout.read_line(&mut ready);
        let is_gone = Arc::default();
        let server = Self { child, ready, dir, is_gone, _stdout: stdout };
        server.clear_up_when_interrupted();
        match heard {
            Ok(1..) => Ok(server),
            _ => Err(blame(&format!("ended before it was ready: {}", server.log().trim()))),
        }
    }

    /// Ctrl-C ends a program and drops nothing: whoever waits for it takes the child and the folder along. A machine
    /// that refuses the thread only keeps them.
    fn clear_up_when_interrupted(&self) {
        let (child, dir, is_gone) = (self.child.id(), self.dir.path().to_owned(), self.is_gone.clone());
        std::thread::spawn(move || -> Option<Infallible> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            runtime.block_on(tokio::signal::ctrl_c()).ok()?;
            if !is_gone.load(Ordering::SeqCst) {
                let child = i32::try_from(child).ok().and_then(Pid::from_raw);
                let _gone = child.map(|child| kill_process(child, Signal::KILL));
                let _gone = fs::remove_dir_all(&dir);
            }
            // 128 + SIGINT, as shells say it.
            std::process::exit(130)
        });
    }

    /// Everything it complained about.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Resident memory in KiB.
    pub(crate) fn rss_kib(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().trim_end_matches(" kB").parse().ok())
    }

    /// Whether it still runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_gone.store(true, Ordering::SeqCst);
        let _already_gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The `authepy` beside this program. Under `cargo run` it is built first, so that it is what the tree says.
pub(crate) fn beside_us() -> Result<PathBuf, String> {
    let itself = std::env::current_exe().map_err(|error| error.to_string())?;
    let binary = itself.with_file_name("authepy");
    if let Some(cargo) = std::env::var_os("CARGO") {
        let mut command = Command::new(cargo);
        command.args(["build", "--locked", "--bin", "authepy"]);
        if !cfg!(debug_assertions) && itself.parent().is_some_and(|dir| dir.ends_with("release")) {
            command.arg("--release");
        }
        let built = command.status().map_err(|error| format!("cargo: {error}"))?;
        if !built.success() {
            return Err("authepy could not be built".into());
        }
    }
    match binary.is_file() {
        true => Ok(binary),
        false => Err(format!("{} is missing; --start PATH names another one", binary.display())),
    }
}
