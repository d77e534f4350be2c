//! `authepy`: confirms that a person controls an e-mail inbox.

use std::process::ExitCode;

use authepy_transport::wiping::Wiping;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: Wiping<MiMalloc> = Wiping(MiMalloc);

fn main() -> ExitCode {
    authepy_transport::cli::run()
}
