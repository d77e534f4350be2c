//! An answer as one run of bytes: HEADERS, then DATA if there is a body (RFC 9114 section 4.1).
//!
//! One buffer means one write, and so usually one packet with the FIN on it.

use super::frame::kind;
use super::{qpack, varint};

/// The largest length that fits the two bytes kept free for it.
const MAX_TWO_BYTE_LENGTH: usize = 0x3fff;

/// Appends the frames of an answer to `out`. `fields` calls what it is given for each field.
///
/// Names are in lower case, values without controls, and `content-length`, where the caller
/// wants it, is one of them: everything here is written as given.
pub fn encode(status: u16, fields: impl FnOnce(&mut dyn FnMut(&str, &[u8])), body: &[u8], out: &mut Vec<u8>) {
    out.push(kind::HEADERS as u8);
    let length_at = out.len();
    out.extend_from_slice(&[0, 0]);
    qpack::encode_prefix(out);
    qpack::encode_status(status, out);
    fields(&mut |name, value| {
        debug_assert!(!name.bytes().any(|byte| byte.is_ascii_uppercase()));
        qpack::encode_field(name, value, out);
    });
    let length = out.len() - length_at - 2;
    if length <= MAX_TWO_BYTE_LENGTH {
        // The two-byte form also for a length that one would hold: legal, and nothing moves.
        out[length_at..length_at + 2].copy_from_slice(&(length as u16 | 0x4000).to_be_bytes());
    } else {
        let mut long = Vec::new();
        varint::encode(length as u64, &mut long);
        out.splice(length_at..length_at + 2, long);
    }
    if !body.is_empty() {
        out.push(kind::DATA as u8);
        varint::encode(body.len() as u64, out);
        out.extend_from_slice(body);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "tests/response.rs"]
mod tests;
