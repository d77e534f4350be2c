//! `authepy`: confirms that a person controls an e-mail inbox.

use std::process::ExitCode;

fn main() -> ExitCode {
    authepy_transport::cli::run()
}
