//! Tests that span several files of the codec, and their helpers.

mod edges;
mod flood;
mod h3spec;
mod malformed;
mod request;
mod split;

use super::error::Fault;
use super::message::{Request, RequestReader};
use super::uni::{PeerStreams, UniReader, Verdict};
use super::varint;
use super::wiped::Wiped;

pub(super) type Pair<'a> = (&'a str, &'a [u8]);

/// A good request head; tests replace or add what they are about.
pub(super) const GOOD: [Pair<'static>; 4] = [
    (":method", b"POST"),
    (":scheme", b"https"),
    (":authority", b"codes.example"),
    (":path", b"/v1/verifications"),
];

pub(super) fn frame(kind: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint::encode(kind, &mut bytes);
    varint::encode(payload.len() as u64, &mut bytes);
    bytes.extend_from_slice(payload);
    bytes
}

/// The header of a frame whose payload never comes.
pub(super) fn declared(kind: u64, length: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint::encode(kind, &mut bytes);
    varint::encode(length, &mut bytes);
    bytes
}

/// A field section of plain literals, written without the encoder under test.
pub(super) fn section(fields: &[Pair<'_>]) -> Vec<u8> {
    let mut bytes = vec![0, 0];
    for (name, value) in fields {
        prefixed(0x20, 7, name.len(), &mut bytes);
        bytes.extend_from_slice(name.as_bytes());
        prefixed(0x00, 0x7f, value.len(), &mut bytes);
        bytes.extend_from_slice(value);
    }
    bytes
}

pub(super) fn prefixed(flags: u8, mask: u8, value: usize, out: &mut Vec<u8>) {
    if value < usize::from(mask) {
        return out.push(flags | value as u8);
    }
    out.push(flags | mask);
    let mut left = value - usize::from(mask);
    while left > 0x7f {
        out.push(0x80 | (left & 0x7f) as u8);
        left >>= 7;
    }
    out.push(left as u8);
}

pub(super) fn headers(fields: &[Pair<'_>]) -> Vec<u8> {
    frame(1, &section(fields))
}

/// [`GOOD`] and some more.
pub(super) fn good_and(more: &[Pair<'_>]) -> Vec<u8> {
    headers(&[&GOOD, more].concat())
}

/// Reads a whole request stream, in pieces of `size` bytes.
pub(super) fn read_in_pieces(stream: &[u8], size: usize) -> Result<Request, Fault> {
    let (mut reader, mut scratch) = (RequestReader::default(), Wiped::new());
    for piece in stream.chunks(size) {
        reader.push(piece, &mut scratch)?;
    }
    reader.fin()
}

/// Reads a whole request stream; the result must not depend on the cut.
pub(super) fn read(stream: &[u8]) -> Result<Request, Fault> {
    let whole = read_in_pieces(stream, usize::MAX);
    let bytewise = read_in_pieces(stream, 1);
    assert_eq!(whole.as_ref().err(), bytewise.as_ref().err());
    whole
}

/// Reads the only unidirectional stream of a connection, whole and bytewise.
pub(super) fn read_uni(stream: &[u8]) -> Result<Verdict, Fault> {
    let whole = UniReader::default().push(stream, &mut PeerStreams::default());
    let (mut reader, mut peer) = (UniReader::default(), PeerStreams::default());
    let mut verdict = Ok(Verdict::Continue);
    for byte in stream {
        verdict = reader.push(&[*byte], &mut peer);
        if verdict.is_err() {
            break;
        }
    }
    assert_eq!(whole, verdict);
    whole
}

/// xorshift64*: the same numbers on every run.
pub(super) struct Seeded(pub u64);

impl Seeded {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 33) as usize % bound
    }
}
