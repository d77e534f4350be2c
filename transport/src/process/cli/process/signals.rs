//! SIGTERM, SIGINT and SIGHUP, heard from the first moment on.
//!
//! ```text
//!   main begins ─ hold_stops ─▶ SIGTERM and SIGINT wait in the kernel
//!   dev, serve ── Stop::catch ─▶ handlers stand; what waited is heard ─▶ start ─▶ ready line ─▶ serve ─▶ stop
//!   other commands ─ release_stops ─▶ a signal ends them, as it ends any program
//! ```
//!
//! A stop that comes during the start lets the start finish what it has begun, so that no half store, folder or
//! socket is left behind, and says nothing on standard output. A start that waits for a store which does not
//! answer is given up after [`START_GIVEN_UP`].

use nix::sys::signal::{SigSet, Signal};
use tokio::signal::unix::{self, SignalKind, signal};
use tokio::time::timeout;

use crate::limits::{HEALTH_EVERY, START_GIVEN_UP};
use crate::process::cli::Failure;
use crate::process::server::Server;

fn stops() -> SigSet {
    [Signal::SIGTERM, Signal::SIGINT].into_iter().collect()
}

/// Keeps SIGTERM and SIGINT waiting until somebody is there who knows what to do. Called before any thread is made.
pub(in crate::process::cli) fn hold_stops() {
    // It fails for a set of signals that does not exist only.
    let _held = stops().thread_block();
}

/// Lets them act as they do by default: for commands that have nothing to put in order.
pub(in crate::process::cli) fn release_stops() {
    let _released = stops().thread_unblock();
}

/// SIGTERM and SIGINT of this process. Made before anything is opened.
pub(in crate::process::cli) struct Stop {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    asked: bool,
}

impl Stop {
    /// Catches both from here on, and what was held until now.
    pub(in crate::process::cli) fn catch() -> Result<Self, Failure> {
        let caught = |kind| signal(kind).map_err(|_| Failure::Internal("signals can't be caught".into()));
        let (terminate, interrupt) = (caught(SignalKind::terminate())?, caught(SignalKind::interrupt())?);
        release_stops();
        Ok(Self { terminate, interrupt, asked: false })
    }

    /// Whether the end was asked for.
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

    /// Runs a start. `None`: the end was asked for meanwhile, and nothing was started that has to be stopped. With
    /// `Some`, look whether [`Stop::is_asked`] before telling anybody.
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
            // It failed, or waits for somebody else: nobody wants it any more.
            Ok(Err(_)) | Err(_) => Ok(None),
        }
    }

    /// Waits for the end to be asked for (true), or for a failed part (false).
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

/// Has `act` called for each SIGHUP; from here on none ends the process.
pub(in crate::process::cli) fn on_hangup(act: impl Fn() + 'static) -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::task::spawn_local(async move {
        while hangup.recv().await.is_some() {
            act();
        }
    });
    Ok(())
}
