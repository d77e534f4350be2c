//! transport
pub mod delivery;
