//! The yardstick: a quinn server that ignores everybody.

use authepy_benches::yardstick;

/// Serves until it is killed; prints its address on one line first.
pub(crate) fn serve() -> Result<(), String> {
    yardstick::serve(quinn::Incoming::ignore)
}
