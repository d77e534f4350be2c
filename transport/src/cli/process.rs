//! The process as a whole: no core dumps, no swap, a log, and the signals that end it.

use std::io::IsTerminal as _;
use std::time::Duration;

use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::config::Config;
use crate::server::Server;

/// A core file, or another process of the same user, would hold every live code's other half.
pub(super) fn harden() {
    // Neither can fail for a reason that a start should depend on.
    let _kept = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _kept = nix::sys::prctl::set_dumpable(false);
}

/// Keeps all memory, present and future, out of swap; warns if that may not be. Codes are there as MACs only,
/// but mails under way, ids and the keys of this process are there as they are.
pub(super) fn lock_memory() {
    // Under a limit the lock would hold today, and tomorrow memory would be refused: that ends a process.
    let unlimited = getrlimit(Resource::RLIMIT_MEMLOCK).is_ok_and(|(soft, _)| soft == RLIM_INFINITY);
    // Page by page as they are used: stacks and tables are reserved far beyond what they ever hold.
    let pages = MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT);
    let all = MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE | pages;
    if !(unlimited || has_lock_capability()) || mlockall(all).is_err() {
        tracing::warn!(
            "memory is not locked, so swap may put it on a disk: turn swap off, or grant CAP_IPC_LOCK or an \
             unlimited RLIMIT_MEMLOCK (systemd: LimitMEMLOCK=infinity)"
        );
    }
}

fn has_lock_capability() -> bool {
    // linux/capability.h
    const CAP_IPC_LOCK: u64 = 1 << 14;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & CAP_IPC_LOCK != 0)
}

/// Logs go to standard error: text on a terminal, JSON elsewhere, unless the config says.
pub(super) fn log(config: &Config) {
    let level = EnvFilter::try_from_default_env().or_else(|_| EnvFilter::try_new(&config.log.level));
    let filter = level.unwrap_or_else(|_| EnvFilter::new("info"));
    let json = config.log.format.get().map_or(!std::io::stderr().is_terminal(), |format| format == "json");
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // An error means that there is a log already.
    let _installed = if json { builder.json().try_init() } else { builder.try_init() };
}

/// Has `act` called for each SIGHUP; from here on none ends the process.
pub(super) fn on_hangup(act: impl Fn() + 'static) -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::task::spawn_local(async move {
        while hangup.recv().await.is_some() {
            act();
        }
    });
    Ok(())
}

/// Waits for SIGTERM or SIGINT (true), or for a failed shard (false).
pub(super) async fn wait_for_end(server: &Server) -> bool {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return false;
    };
    loop {
        tokio::select! {
            _ = terminate.recv() => return true,
            _ = interrupt.recv() => return true,
            () = tokio::time::sleep(Duration::from_millis(200)) => if !server.is_healthy() {
                return false;
            },
        }
    }
}
