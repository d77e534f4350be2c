//! A slow reading of the contract, and runs that hold a shard against it.

pub mod broken;
mod domains;
mod oracle;
mod peers;
pub mod play;
mod shares;
pub mod variants;
