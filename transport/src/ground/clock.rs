//! The only clock: all other code gets the time as an argument.
#![allow(clippy::disallowed_methods, reason = "this is the clock")]

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use authepy_engine::clock::{Moment, Now};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Reads the monotonic and the wall clock.
pub(crate) fn now() -> Now {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now {
        at: Moment::from_millis(u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)),
        unix_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX),
    }
}
