//! The program: its commands, and the server that puts all other parts together.

pub(crate) mod check;
pub mod cli;
pub(crate) mod descriptors;
pub mod server;
