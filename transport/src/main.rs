//! `authepy`: confirms that a person controls an e-mail inbox.

use std::process::ExitCode;

use authepy_transport::ground::wiping::Wiping;

#[global_allocator]
static ALLOCATOR: Wiping = Wiping;

fn main() -> ExitCode {
    authepy_transport::process::cli::run()
}
