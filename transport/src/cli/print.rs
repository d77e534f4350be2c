//! Standard output and standard error: the only place that writes to them directly.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is where commands speak to people")]

/// Says one line on standard output.
pub(super) fn say(line: &str) {
    println!("{line}");
}

/// Says one line on standard error.
pub(super) fn complain(line: &str) {
    eprintln!("{line}");
}
