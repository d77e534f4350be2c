//! Strict JSON bodies: each member known, none twice, `null` the same as absent.
//!
//! ```text
//!   body ─▶ read ──▶ a struct of `bodies`, texts borrowed      (one operation)
//!        ─▶ items ─▶ raw texts, each read by itself            (a batch)
//!        ─▶ canonical::object ─▶ one text for one value        (what an idempotency key stands for)
//! ```
//!
//! Texts borrow from the body wherever JSON allows, so the caller wipes the body and nothing else.
//! Ranges of values are the caller's to judge.

use serde::Deserialize;

pub mod bodies;
pub mod canonical;
mod items;
mod metadata;
mod object;

pub use items::items;
pub use metadata::Metadata;

/// What is wrong with a body, in words that quote nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// Reads a JSON object. serde would also accept an array for a struct, so the brace comes first.
///
/// # Errors
/// The body is no JSON object, or a member is unknown, repeated or of the wrong type.
pub fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Malformed> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    if first != Some(&b'{') {
        return Err(Malformed("the body is not a JSON object"));
    }
    serde_json::from_slice(body).map_err(|fault| {
        // The parser's own text quotes the input; only its kind may leave.
        Malformed(match fault.classify() {
            serde_json::error::Category::Data => "a member is unknown, repeated or of the wrong type",
            _ => "the body is not JSON",
        })
    })
}
