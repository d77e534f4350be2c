//! How a change of keys reaches the lanes of this process: by the store if it answers, else by the book alone.

use tokio::sync::oneshot;

use super::keeper::Nudge;
use super::registry::{Registry, RegistryFault};

/// The way from a change to the lanes. Cloning gives the same one.
#[derive(Clone)]
pub(super) struct Changes {
    pub(super) registry: Registry,
    pub(super) nudges: flume::Sender<Nudge>,
}

/// Where a revocation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Revoked {
    /// In the store: everywhere within five seconds.
    Written,
    /// In this process's memory. The store will be told when it answers.
    InMemory,
}

impl Changes {
    /// Waits until the lanes have what was just changed. A store that fails now is noticed by the keeper.
    pub(super) async fn publish(&self) {
        let (done, published) = oneshot::channel();
        if self.nudges.send_async(Nudge::Changed(done)).await.is_ok() {
            let _keeper_gone = published.await;
        }
    }

    /// Revokes a key, also while the store is down.
    ///
    /// # Errors
    /// There is no such key, or neither the store nor the keeper could take it.
    pub(super) async fn revoke(&self, id: &str) -> Result<Revoked, RegistryFault> {
        match self.registry.revoke_key(id).await {
            Ok(()) => {
                self.publish().await;
                Ok(Revoked::Written)
            }
            Err(RegistryFault::Store(doing)) => {
                let (done, revoked) = oneshot::channel();
                let nudge = Nudge::Revoke(id.to_owned(), done);
                let asked = self.nudges.send_async(nudge).await.is_ok();
                match asked && revoked.await.unwrap_or(false) {
                    true => Ok(Revoked::InMemory),
                    false => Err(RegistryFault::Store(doing)),
                }
            }
            Err(fault) => Err(fault),
        }
    }
}
