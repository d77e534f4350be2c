//! Brings changes of keys to the lanes of this process: through the store, or directly if the store
//! does not answer.

use tokio::sync::oneshot;

use super::keeper::Nudge;
use super::registry::{Registry, RegistryFault};

/// Handle for changes. Clones share the same channel.
#[derive(Clone)]
pub(super) struct Changes {
    pub(super) registry: Registry,
    pub(super) nudges: flume::Sender<Nudge>,
}

/// Where a revocation is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Revoked {
    /// In the store: in effect everywhere within five seconds.
    Written,
    /// In this process's memory; written to the store once it answers.
    InMemory,
}

impl Changes {
    /// Waits until the lanes have the change. The keeper handles a store that fails now.
    pub(super) async fn publish(&self) {
        let (done, published) = oneshot::channel();
        if self.nudges.send_async(Nudge::Changed(done)).await.is_ok() {
            let _keeper_gone = published.await;
        }
    }

    /// Revokes a key, even while the store is down.
    ///
    /// The key does not exist, or neither the store nor the keeper could record the revocation.
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
