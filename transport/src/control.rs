//! The control plane: apart from the lanes, on the main thread's runtime. It publishes what lanes read
//! and has no way into their state.

pub mod admin;
mod certificate;
pub mod keyfile;
pub mod reload;
