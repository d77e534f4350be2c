//! Requests and answers as values, independent of their protocol: no socket, no shard.
//!
//! `net` reads a head with `authepy-http3`. [`target`] maps it to an operation, [`query`] brings
//! its query into canonical form, [`wire`] checks its body, and [`reply`] is the answer or the
//! problem that is sent.

pub(crate) mod query;
pub(crate) mod reply;
pub(crate) mod target;
pub(crate) mod wire;
