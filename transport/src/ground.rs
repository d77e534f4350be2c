//! What everything stands on: time, randomness, and the values that one thread replaces and others read.
//!
//! Nothing here knows a request, a mail or a socket. A value of [`published`] is the one way by which the control
//! plane reaches the data lanes; [`drain`] tells all threads that the process ends.

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
