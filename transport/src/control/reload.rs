//! Reloads files while serving: the certificate when its files change, everything on SIGHUP.
//!
//! ```text
//!   every 2 s ─┬─────▶ certificate files changed? ─ yes ─▶ read ─┬─ valid ─▶ new handshakes use it
//!              └─────▶ certificate expires soon? ─── yes ─▶ warn │  (each day)
//!   SIGHUP ─┬────────▶ certificate files, always ────────▶ read ─┴─ invalid ─▶ warn once, keep
//!           └────────▶ the config, through the same layers ──┬─ valid ─▶ one Policy, published whole
//!                                                            └─ not   ─▶ warn, keep everything
//! ```
//!
//! There are two tasks, one for the certificate and one for the config, so that a failure in one
//! does not stop the other.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::certificate::CertificateFiles;
use crate::config::{Config, ConfigFault, Digests, changed};
use crate::control::policy::Policy;
use crate::ground::certificate::Certificate;
use crate::ground::clock;
use crate::ground::published::Published;
use crate::limits;

/// Reads the settings again from the same file, environment and `--set` as at the start, and checks
/// the files they name.
pub type ReadConfig = Box<dyn Fn() -> Result<(Config, Digests), ConfigFault> + Send>;

/// What a server started from files needs to reload them.
pub struct Reload {
    /// Chain and key.
    pub certificate: (PathBuf, PathBuf),
    /// The settings it was started with.
    pub started: Digests,
    /// Reads the current settings.
    pub read: ReadConfig,
    /// Triggers a reload.
    pub asked: Arc<Hangup>,
}

/// Reload signal, one for each task that reads files. A signal that arrives while a task is busy or
/// restarting is handled afterwards.
#[derive(Default)]
pub struct Hangup {
    certificate: Notify,
    config: Notify,
}

impl Hangup {
    /// Requests a reload of everything.
    pub fn ask(&self) {
        self.certificate.notify_one();
        self.config.notify_one();
    }
}

impl Reload {
    /// Watches the certificate's files and expiry until the process ends. Blocks its thread while
    /// reading, so it must not run on a lane's thread; the same holds for [`Reload::obey`].
    pub(crate) async fn watch_certificate(&self, certificate: Certificate) {
        let mut files = CertificateFiles::new(self.certificate.clone(), certificate);
        loop {
            let asked = self.asked.certificate.notified();
            let asked = timeout(limits::CERTIFICATE_LOOK_EVERY, asked).await.is_ok();
            let _logged = files.look(asked);
            files.warn_of_end(clock::now());
        }
    }

    /// Reloads the config at each signal, until the process ends.
    pub(crate) async fn obey(&self, policy: &Published<Policy>) {
        loop {
            self.asked.config.notified().await;
            self.reconfigure(policy);
        }
    }

    fn reconfigure(&self, policy: &Published<Policy>) {
        match self.next(&policy.read()) {
            Ok((next, digests)) => {
                policy.replace(next);
                tracing::info!("the config was read again");
                let waiting = changed(&self.started, &digests).into_iter().filter(|key| !Policy::covers(key));
                let waiting: Vec<&str> = waiting.collect();
                if !waiting.is_empty() {
                    tracing::warn!(
                        keys = waiting.join(", "),
                        "these settings have changed and need a restart"
                    );
                }
            }
            Err(fault) => {
                tracing::warn!(%fault, "the config can't be used; the old settings stay in use");
            }
        }
    }

    fn next(&self, present: &Policy) -> Result<(Policy, Digests), ConfigFault> {
        let (config, digests) = (self.read)()?;
        Ok((present.next(&config)?, digests))
    }
}
