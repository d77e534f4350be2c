//! What all lanes share, and only they.

use std::sync::Arc;

use authepy_engine::recipient::Realm;
use authepy_engine::recipient::provider::ProviderTable;

use super::receipt::ReceiptKeys;
use crate::control::Shared;
use crate::control::exposure::Exposed;
use crate::control::lookup::Miss;

/// Immutable, or ways to the control plane.
#[derive(Clone)]
pub struct LanesShared {
    /// What the control plane sees, too.
    pub shared: Shared,
    /// Whom to ask about a key that is not in the book.
    pub(crate) keeper: flume::Sender<Miss>,
    /// Where lanes report exposed keys.
    pub(crate) exposed: flume::Sender<Exposed>,
    /// Signs receipts.
    pub receipts: Arc<ReceiptKeys>,
    /// How mail providers fold addresses.
    pub providers: Arc<ProviderTable>,
    /// Which domains exist for live keys: the public ones, or also those reserved for examples.
    pub realm: Realm,
}
