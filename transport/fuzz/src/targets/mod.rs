//! The properties. Each `check` panics if one does not hold for `input`; with `canary`, one answer of the
//! product is falsified first, in a way that only some inputs show.

pub mod head;
pub mod json;
pub mod qpack;
pub mod request_stream;
pub mod uni_stream;
