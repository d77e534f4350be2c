//! What only the lanes share.

use std::sync::Arc;

use authepy_engine::recipient::Realm;
use authepy_engine::recipient::provider::ProviderTable;

use super::receipt::ReceiptKeys;
use crate::control::Shared;
use crate::control::exposure::Exposed;
use crate::control::lookup::Miss;

/// Immutable values, and queues to the control plane.
#[derive(Clone)]
pub struct LanesShared {
    /// What lanes share with the control plane.
    pub shared: Shared,
    /// Takes look-ups of keys that are not in the key book.
    pub(crate) keeper: flume::Sender<Miss>,
    /// Where lanes report exposed keys.
    pub(crate) exposed: flume::Sender<Exposed>,
    /// Signs receipts.
    pub receipts: Arc<ReceiptKeys>,
    /// How mail providers normalise addresses.
    pub providers: Arc<ProviderTable>,
    /// Which domains exist for live keys: the public ones, or also those reserved for examples.
    pub realm: Realm,
}
