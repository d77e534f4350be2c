//! The only clock of the harness.
use std::time::Instant;

/// Now, monotonic.
#[allow(clippy::disallowed_methods, reason = "this is the one place where the harness reads time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
