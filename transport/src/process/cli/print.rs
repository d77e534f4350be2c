//! Standard output and standard error: the only place that writes to them directly.

use std::io::Write as _;

/// Says one line on standard output.
pub(super) fn say(line: &str) {
    // Whoever stopped reading has seen enough.
    let _gone = writeln!(std::io::stdout(), "{line}");
}

/// Says one line on standard error.
pub(super) fn complain(line: &str) {
    let _gone = writeln!(std::io::stderr(), "{line}");
}
