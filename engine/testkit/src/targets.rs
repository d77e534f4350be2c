//! The properties. Each `check` panics if one does not hold for `input`; with `canary`, one answer of the
//! product is falsified first, in a way that only some inputs show.

pub mod api_key;
pub mod catalog;
pub mod commands;
pub mod forwarded;
pub mod identifiers;
pub mod origin;
pub mod recipient;
