//! Requests and answers as values, whatever carried them: no socket, no shard.
//!
//! A door of `net` reads a head with `authepy-http3`; [`target`] says which operation it asks for, [`query`] gives its
//! query one spelling, [`wire`] judges its body, and [`reply`] is the answer or the problem that goes back.

pub(crate) mod query;
pub(crate) mod reply;
pub(crate) mod target;
pub(crate) mod wire;
