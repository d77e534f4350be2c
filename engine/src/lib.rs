//! The rulebook of Authepy: who may be sent a code, which code is right, and when to say no.
pub mod actor;
pub mod clock;
pub mod code;
pub mod entropy;
pub mod id;
pub mod limits;
pub mod perimeter;
pub mod receipt;
pub mod recipient;
pub mod request;
pub mod route;
pub mod shard;
#[doc(hidden)]
pub mod testing;
