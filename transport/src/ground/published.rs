//! A value that all lanes read and one writer replaces as a whole: keys, catalog, policy.
//!
//! Reading takes no lock and never waits. A request that took one value keeps it until its end.

use std::fmt;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

/// The current value. Clones share it.
pub struct Published<T>(Arc<ArcSwap<T>>);

impl<T> Published<T> {
    /// Publishes the first value.
    pub fn new(first: T) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(first)))
    }

    /// The current value. Must not be held across an await: use [`Published::hold`] there.
    pub fn read(&self) -> Guard<Arc<T>> {
        self.0.load()
    }

    /// The current value, for any length of time.
    pub fn hold(&self) -> Arc<T> {
        self.0.load_full()
    }

    /// Replaces the value; later reads return `next`.
    pub fn replace(&self, next: T) {
        self.0.store(Arc::new(next));
    }
}

impl<T> Clone for Published<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: fmt::Debug> fmt::Debug for Published<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read().fmt(f)
    }
}
