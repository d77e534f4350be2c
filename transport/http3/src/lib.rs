//! HTTP/3 without I/O: bytes in, requests out; answers in, bytes out (RFC 9114, RFC 9204).
//!
//! QUIC is out of scope. This crate is small because it announces a QPACK table capacity of 0: a
//! request can then only use the static table, literals and Huffman strings, so nothing a peer
//! sends on one stream changes how another is read.
//!
//! ```text
//!   request stream ──▶ frame ──▶ qpack ──▶ head ─┐
//!                        │      (huffman,        ├──▶ message::Request
//!                        │       static_table)   │
//!                        └──── DATA ────▶ body ──┘
//!
//!   peer's unidirectional streams ──▶ uni ──▶ control | qpack instructions | refused
//!
//!   answer ──▶ response ──▶ one buffer with HEADERS + DATA
//! ```
//!
//! Invariants:
//! - the result does not depend on how the bytes are split;
//! - a length is checked when it is declared, before a byte of it is kept ([`limits`]);
//! - no error and no `Debug` output contains bytes that a peer sent;
//! - buffers that may hold an API key or a code are wiped before their memory is given back
//!   ([`wiped`]).
//!
//! Nothing here names a socket, a lane or a clock: deadlines and the number of streams are up to
//! the caller, and so is the reaction to a [`error::Fault`]. [`json`] reads the bodies of requests.

pub mod control;
pub mod error;
pub mod frame;
pub mod head;
mod huffman;
pub mod json;
pub mod limits;
pub mod message;
pub mod qpack;
pub mod response;
mod static_table;
mod syntax;
pub mod uni;
pub mod varint;
pub mod wiped;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
