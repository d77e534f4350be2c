//! A graceful stop: any thread can ask whether it has begun, and wait for it.
//!
//! ```text
//!   SIGTERM ─▶ begun ─▶ readyz 503, GOAWAY, no new connections ─▶ requests and mails finish ─▶ exit
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// The process-wide stop. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Drain(Arc<State>);

#[derive(Debug, Default)]
struct State {
    begun: AtomicBool,
    wake: Notify,
    /// Connections that still shake hands or finish their requests.
    open: AtomicUsize,
}

impl Drain {
    /// Begins the stop; it can't be undone.
    pub fn begin(&self) {
        self.0.begun.store(true, Ordering::SeqCst);
        self.0.wake.notify_waiters();
    }

    /// Whether the stop has begun.
    pub fn has_begun(&self) -> bool {
        self.0.begun.load(Ordering::Relaxed)
    }

    /// Waits until the stop begins.
    pub async fn begun(&self) {
        let mut notified = std::pin::pin!(self.0.wake.notified());
        // Registered before the flag is read, so that a stop in between is not missed.
        notified.as_mut().enable();
        if !self.0.begun.load(Ordering::SeqCst) {
            notified.await;
        }
    }

    /// Waits until `time` after the stop began.
    pub async fn begun_since(&self, time: Duration) {
        self.begun().await;
        tokio::time::sleep(time).await;
    }

    /// Counts a connection while the guard lives.
    pub fn guard(&self) -> OpenGuard {
        self.0.open.fetch_add(1, Ordering::Relaxed);
        OpenGuard(self.clone())
    }

    /// Connections that are open or in their handshake.
    pub fn open(&self) -> usize {
        self.0.open.load(Ordering::Relaxed)
    }
}

/// One open connection.
#[derive(Debug)]
pub struct OpenGuard(Drain);

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.0.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
