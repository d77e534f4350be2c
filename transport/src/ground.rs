//! The base of all wings: time, randomness, and values that one thread replaces and others read.
//!
//! Nothing here depends on requests, mails or sockets. [`published`] values are the only way in
//! which the control plane reaches the data lanes; [`drain`] tells all threads that the process is
//! stopping.

pub mod certificate;
pub(crate) mod clock;
pub mod drain;
pub(crate) mod entropy;
#[cfg(debug_assertions)]
pub(crate) mod fault;
pub(crate) mod hex;
pub(crate) mod log_throttle;
pub(crate) mod published;
pub mod wiping;
