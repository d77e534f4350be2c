//! QPACK with a dynamic table of capacity 0 (RFC 9204): static table, literals, Huffman.
//!
//! ```text
//!   section  = required insert count (0) · base · line*
//!   line     = 1 T index            indexed field        T=1: static table, else refused
//!            | 01 N T index value   literal, name by reference
//!            | 001 N H name value   literal
//!            | 0001… | 0000…        after the base: refused
//! ```
//!
//! A section that refers to the dynamic table cannot be meant for us, so it ends the connection
//! (section 2.2). Sizes are charged before a string is decoded. The N bit ("never index") binds
//! those who pass a field on; we do not.

use std::ops::Range;

use super::error::{Code, Fault, Refused};
use super::huffman::{self, Unreadable};
use super::limits::{FIELD_OVERHEAD_BYTES, MAX_FIELD_SECTION_BYTES, MAX_FIELDS};
use super::static_table;
use super::wiped::Wiped;

pub use super::huffman::LENGTHS as HUFFMAN_CODE_BITS;
pub use super::static_table::ENTRIES as STATIC_TABLE;

const FAILED: Fault = Fault::Connection(Code::QpackDecompressionFailed);
const TOO_LARGE: Fault = Fault::Answer(Refused::HeadersTooLarge);

/// Decodes `section` and shows every field to `visit`, in order, until one of them fails.
///
/// `scratch` is any reusable buffer; Huffman strings pass through it and are wiped before this
/// returns. Names and values are as the peer sent them: their rules are the visitor's.
pub fn decode(
    section: &[u8],
    scratch: &mut Wiped,
    visit: impl FnMut(&[u8], &[u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    scratch.clear();
    let result = Decoder { rest: section, scratch, room: MAX_FIELD_SECTION_BYTES }.run(visit);
    scratch.clear();
    result
}

/// A string of the peer: in its section as it is, or decoded into scratch.
enum Text<'a> {
    Plain(&'a [u8]),
    Decoded(Range<usize>),
}

impl<'a> Text<'a> {
    fn bytes<'b>(&self, scratch: &'b Wiped) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Decoded(range) => &scratch.as_slice()[range.clone()],
        }
    }
}

struct Decoder<'a, 's> {
    rest: &'a [u8],
    scratch: &'s mut Wiped,
    /// Bytes the section may still take up, as RFC 9114 section 4.2.2 counts them.
    room: usize,
}

impl<'a> Decoder<'a, '_> {
    fn run(mut self, mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), Fault>) -> Result<(), Fault> {
        self.prefix()?;
        let mut fields = 0;
        while let Some((&first, rest)) = self.rest.split_first() {
            self.rest = rest;
            fields += 1;
            if fields > MAX_FIELDS {
                return Err(TOO_LARGE);
            }
            self.charge(FIELD_OVERHEAD_BYTES)?;
            let (name, value) = self.line(first)?;
            visit(name.bytes(self.scratch), value.bytes(self.scratch))?;
        }
        Ok(())
    }

    /// Section 4.5.1. With nothing ever inserted, a negative base cannot be (section 4.5.1.2).
    fn prefix(&mut self) -> Result<(), Fault> {
        let first = self.byte()?;
        if self.integer(first, 8)? != 0 {
            return Err(FAILED);
        }
        let base = self.byte()?;
        self.integer(base, 7)?;
        if base & 0x80 != 0 { Err(FAILED) } else { Ok(()) }
    }

    #[inline]
    fn line(&mut self, first: u8) -> Result<(Text<'a>, Text<'a>), Fault> {
        match first >> 4 {
            0b1100..=0b1111 => {
                let (name, value) = self.entry(first, 6)?;
                self.charge(name.len() + value.len())?;
                Ok((Text::Plain(name.as_bytes()), Text::Plain(value.as_bytes())))
            }
            0b0101 | 0b0111 => {
                let (name, _) = self.entry(first, 4)?;
                self.charge(name.len())?;
                let length = self.byte()?;
                Ok((Text::Plain(name.as_bytes()), self.string(length, 7)?))
            }
            0b0010 | 0b0011 => {
                let name = self.string(first, 3)?;
                let length = self.byte()?;
                Ok((name, self.string(length, 7)?))
            }
            _ => Err(FAILED), // the dynamic table, before or after the base
        }
    }

    fn entry(&mut self, first: u8, bits: u32) -> Result<(&'static str, &'static str), Fault> {
        let index = self.integer(first, bits)?;
        let entry = usize::try_from(index).ok().and_then(|at| static_table::ENTRIES.get(at));
        entry.copied().ok_or(FAILED)
    }

    /// A string whose length has a prefix of `bits` bits, with the Huffman flag just above.
    fn string(&mut self, first: u8, bits: u32) -> Result<Text<'a>, Fault> {
        let length = usize::try_from(self.integer(first, bits)?).map_err(|_| FAILED)?;
        let (text, rest) = self.rest.split_at_checked(length).ok_or(FAILED)?;
        self.rest = rest;
        if first & 1 << bits == 0 {
            self.charge(text.len())?;
            return Ok(Text::Plain(text));
        }
        self.decoded(text).map(Text::Decoded)
    }

    fn decoded(&mut self, text: &[u8]) -> Result<Range<usize>, Fault> {
        if huffman::shortest(text.len()) > self.room {
            return Err(TOO_LARGE);
        }
        let start = self.scratch.len();
        let space = self.scratch.extend_zeroed(huffman::longest(text.len()).min(self.room));
        let written = huffman::decode(text, space).map_err(|why| match why {
            Unreadable::Malformed => FAILED,
            Unreadable::TooLong => TOO_LARGE,
        })?;
        self.charge(written)?;
        self.scratch.truncate(start + written);
        Ok(start..start + written)
    }

    fn charge(&mut self, bytes: usize) -> Result<(), Fault> {
        self.room = self.room.checked_sub(bytes).ok_or(TOO_LARGE)?;
        Ok(())
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, Fault> {
        let (&byte, rest) = self.rest.split_first().ok_or(FAILED)?;
        self.rest = rest;
        Ok(byte)
    }

    /// RFC 7541 section 5.1, up to the 62 bits that RFC 9204 section 4.1.1 requires.
    #[inline]
    fn integer(&mut self, first: u8, bits: u32) -> Result<u64, Fault> {
        let mask = u8::MAX >> (8 - bits);
        let mut value = u64::from(first & mask);
        if first & mask != mask {
            return Ok(value);
        }
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            value += u64::from(byte & 0x7f) << shift; // below 2^63 + 2^8: no overflow
            if value >= 1 << 62 {
                return Err(FAILED);
            }
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(FAILED)
    }
}

/// Appends the prefix of a section that needs no dynamic table.
pub fn encode_prefix(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0, 0]);
}

/// Appends `:status`.
pub fn encode_status(status: u16, out: &mut Vec<u8>) {
    match static_table::status(status) {
        Some(index) => encode_integer(0xc0, 6, index, out),
        None => {
            encode_integer(0x50, 4, static_table::STATUS, out);
            let digits = [status / 100 % 10, status / 10 % 10, status % 10];
            encode_string(0, 7, &digits.map(|digit| b'0' + digit as u8), out);
        }
    }
}

/// Appends a field; `name` is in lower case, and both are fit to be sent.
pub fn encode_field(name: &str, value: &[u8], out: &mut Vec<u8>) {
    let entries = static_table::entries_named(name);
    let value_of = |at: &u8| static_table::ENTRIES[usize::from(*at)].1.as_bytes();
    if let Some(exact) = entries.iter().find(|at| value_of(at) == value) {
        return encode_integer(0xc0, 6, u64::from(*exact), out);
    }
    match entries.first() {
        Some(named) => encode_integer(0x50, 4, u64::from(*named), out),
        None => encode_string(0x20, 3, name.as_bytes(), out),
    }
    encode_string(0, 7, value, out);
}

fn encode_string(flags: u8, bits: u32, text: &[u8], out: &mut Vec<u8>) {
    encode_integer(flags, bits, text.len() as u64, out);
    out.extend_from_slice(text);
}

fn encode_integer(flags: u8, bits: u32, value: u64, out: &mut Vec<u8>) {
    let mask = u8::MAX >> (8 - bits);
    if value < u64::from(mask) {
        return out.push(flags | value as u8);
    }
    out.push(flags | mask);
    let mut left = value - u64::from(mask);
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "tests/qpack.rs"]
mod tests;
