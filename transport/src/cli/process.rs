//! The process as a whole: no core dumps, a log, and the signals that end it.

use std::io::IsTerminal as _;
use std::time::Duration;

use nix::sys::resource::{Resource, setrlimit};
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
