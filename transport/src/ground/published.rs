//! A value that all lanes read and somebody else replaces whole: keys, catalog, policy.
//!
//! Reading takes no lock and never waits; a request that began with one value ends with it.

use std::fmt;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

/// The present value. Cloning gives the same one.
pub struct Published<T>(Arc<ArcSwap<T>>);

impl<T> Published<T> {
    /// Publishes the first value.
    pub fn new(first: T) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(first)))
    }

    /// The present value. Not to be held across an await: use [`Published::hold`] there.
    pub fn read(&self) -> Guard<Arc<T>> {
        self.0.load()
    }

    /// The present value, for as long as one likes.
    pub fn hold(&self) -> Arc<T> {
        self.0.load_full()
    }

    /// Replaces it; whoever reads from now on sees `next`.
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
