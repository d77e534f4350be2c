//! The properties. Each `check` panics if one does not hold for `input`; with `canary`, one answer of the
//! product is falsified first, in a way that only some inputs show.

pub(crate) mod head;
pub(crate) mod json;
pub(crate) mod qpack;
pub(crate) mod request_stream;
pub(crate) mod uni_stream;
