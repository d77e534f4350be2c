//! Writes to standard output and standard error; the only code that does so directly.

use std::io::Write as _;

/// Prints one line to standard output.
pub(super) fn say(line: &str) {
    // An error means that nobody reads.
    let _unread = writeln!(std::io::stdout(), "{line}");
}

/// Prints one line to standard error.
pub(super) fn complain(line: &str) {
    let _unread = writeln!(std::io::stderr(), "{line}");
}
