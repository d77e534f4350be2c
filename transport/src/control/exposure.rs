//! Revokes keys that lanes report as exposed, if `keys.revoke_exposed` is set.
//!
//! Only a request with a complete, working key and a correct checksum causes a report, so nobody
//! can have a key revoked without holding it; and a holder could do worse with it.

use authepy_engine::identity::KeyDigest;
use authepy_engine::perimeter::KeyBook;

use super::changes::{Changes, Revoked};
use crate::control::policy::Policy;
use crate::ground::published::Published;

/// A lane's report to the control plane: this key works and was used from a browser.
pub(crate) struct Exposed {
    pub(crate) id: Box<str>,
    pub(crate) key: KeyDigest,
}

/// Handles reports until the runtime ends.
pub(super) async fn run(
    reports: flume::Receiver<Exposed>,
    policy: Published<Policy>,
    keys: Published<KeyBook>,
    changes: Changes,
) {
    while let Ok(Exposed { id, key }) = reports.recv_async().await {
        let works = keys.read().record(&key).is_some_and(|record| record.life.revoked.is_none());
        // Several lanes report the same key, and the setting may have changed since.
        if !works || !policy.read().revoke_exposed {
            continue;
        }
        match changes.revoke(&id).await {
            Ok(revoked) => tracing::warn!(
                event = "key.revoked",
                key = &*id,
                in_store = revoked == Revoked::Written,
                "an exposed key was revoked"
            ),
            Err(fault) => tracing::error!(key = &*id, %fault, "an exposed key could not be revoked"),
        }
    }
}
