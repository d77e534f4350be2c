//! SIGTERM, SIGINT and SIGHUP, handled from the first moment on.
//!
//! ```text
//!   main begins ─ hold_stops ─▶ SIGTERM and SIGINT wait in the kernel
//!   dev, serve ── Stop::catch ─▶ handlers installed; pending signals handled ─▶ start ─▶ ready line ─▶ serve ─▶ stop
//!   other commands ─ release_stops ─▶ a signal ends them by default
//! ```
//!
//! If a stop arrives during the start, the start finishes what it has begun, so that no
//! half-created store, folder or socket is left behind, and nothing is printed to standard output.
//! A start that waits for an unresponsive store is abandoned after [`START_GIVEN_UP`].

use nix::sys::signal::{SigSet, Signal};
use tokio::signal::unix::{self, SignalKind, signal};
use tokio::time::timeout;

use crate::limits::{HEALTH_EVERY, START_GIVEN_UP};
use crate::process::cli::Failure;
use crate::process::server::Server;

fn stops() -> SigSet {
    [Signal::SIGTERM, Signal::SIGINT].into_iter().collect()
}

/// Blocks SIGTERM and SIGINT until handlers are installed. Called before any thread is created.
pub(in crate::process::cli) fn hold_stops() {
    // Fails only for an invalid set of signals.
    let _held = stops().thread_block();
}

/// Restores their default action: for commands that need no cleanup.
pub(in crate::process::cli) fn release_stops() {
    let _released = stops().thread_unblock();
}

/// Handlers of SIGTERM and SIGINT. Created before anything is opened.
pub(in crate::process::cli) struct Stop {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    asked: bool,
}

impl Stop {
    /// Installs the handlers, and unblocks the signals.
    pub(in crate::process::cli) fn catch() -> Result<Self, Failure> {
        let caught = |kind| signal(kind).map_err(|_| Failure::Internal("signals can't be caught".into()));
        let (terminate, interrupt) = (caught(SignalKind::terminate())?, caught(SignalKind::interrupt())?);
        release_stops();
        Ok(Self { terminate, interrupt, asked: false })
    }

    /// Whether a stop was requested.
    pub(in crate::process::cli) fn is_asked(&self) -> bool {
        self.asked
    }

    async fn asked(&mut self) {
        if !self.asked {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
            self.asked = true;
        }
    }

    /// Runs a start. `None` means that a stop was requested meanwhile and nothing is left to stop.
    /// After `Some`, check [`Stop::is_asked`] before announcing the server.
    pub(in crate::process::cli) async fn unless_asked<T>(
        &mut self,
        start: impl Future<Output = Result<T, Failure>>,
    ) -> Result<Option<T>, Failure> {
        let mut start = std::pin::pin!(start);
        tokio::select! {
            biased;
            () = self.asked() => {}
            started = &mut start => return started.map(Some),
        }
        match timeout(START_GIVEN_UP, start).await {
            Ok(Ok(started)) => Ok(Some(started)),
            // It failed or did not finish in time; it is no longer needed.
            Ok(Err(_)) | Err(_) => Ok(None),
        }
    }

    /// Waits for a stop request (true) or a failed part (false).
    pub(in crate::process::cli) async fn or_failure(&mut self, server: &Server) -> bool {
        loop {
            tokio::select! {
                () = self.asked() => return true,
                () = tokio::time::sleep(HEALTH_EVERY) => if !server.is_healthy() {
                    return false;
                },
            }
        }
    }
}

/// Calls `act` for each SIGHUP; SIGHUP no longer ends the process.
pub(in crate::process::cli) fn on_hangup(act: impl Fn() + 'static) -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::task::spawn_local(async move {
        while hangup.recv().await.is_some() {
            act();
        }
    });
    Ok(())
}
