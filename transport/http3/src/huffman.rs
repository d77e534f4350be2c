//! Huffman strings (RFC 7541 section 5.2 and appendix B).
//!
//! The code is canonical: codes of one length are consecutive, in the order of their symbols. So
//! the 257 lengths below are the whole table; codes and decoding tables are computed from them
//! when this file is compiled.
//!
//! Decoding looks at the next bits as a number. Eight bits settle every code of up to eight
//! (letters, digits, and what e-mail, JSON and keys are made of); for longer ones the length
//! is the first whose codes end above that number, and a subtraction gives the symbol.

/// Length in bits of the Huffman code of each octet, and of EOS at the end (RFC 7541 appendix B).
#[rustfmt::skip]
pub const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
     6, 10, 10, 12, 13,  6,  8, 11, 10, 10,  8, 11,  8,  6,  6,  6,
     5,  5,  5,  6,  6,  6,  6,  6,  6,  6,  7,  8, 15,  6, 12, 10,
    13,  6,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,
     7,  7,  7,  7,  7,  7,  7,  7,  8,  7,  8, 13, 19, 13, 14,  6,
    15,  5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,
     6,  7,  6,  5,  5,  6,  7,  7,  7,  7,  7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

const EOS: u16 = 256;
pub(super) const SHORTEST_BITS: usize = 5;
pub(super) const LONGEST_BITS: usize = 30;
/// Bits the first look-up settles.
const FAST_BITS: usize = 8;

/// Everything decoding needs; 1.5 KiB.
struct Tables {
    /// By the next eight bits: symbol in the high byte, length in the low one; 0 where the code
    /// is longer.
    fast: [u16; 1 << FAST_BITS],
    /// Symbols in the order of their codes.
    symbols: [u16; 257],
    /// By length: where its symbols start in `symbols`.
    start: [u16; LONGEST_BITS + 1],
    /// By length: its first code, at the top of 32 bits.
    first: [u32; LONGEST_BITS + 1],
    /// By length: the end of its codes, at the top of 32 bits (so the last is 2^32).
    end: [u64; LONGEST_BITS + 1],
}

static TABLES: Tables = tables();

const fn tables() -> Tables {
    let mut tables = Tables {
        fast: [0; 1 << FAST_BITS],
        symbols: [0; 257],
        start: [0; LONGEST_BITS + 1],
        first: [0; LONGEST_BITS + 1],
        end: [0; LONGEST_BITS + 1],
    };
    let mut next: u64 = 0; // the next free code, at the top of 32 bits
    let mut placed = 0;
    let mut length = 1;
    while length <= LONGEST_BITS {
        tables.start[length] = placed as u16;
        tables.first[length] = next as u32;
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == length {
                tables.symbols[placed] = symbol as u16;
                placed += 1;
                let after = next + (1 << (32 - length));
                if length <= FAST_BITS {
                    let mut slot = (next >> (32 - FAST_BITS)) as usize;
                    while slot < (after >> (32 - FAST_BITS)) as usize {
                        tables.fast[slot] = (symbol << 8 | length) as u16;
                        slot += 1;
                    }
                }
                next = after;
            }
            symbol += 1;
        }
        tables.end[length] = next;
        length += 1;
    }
    tables
}

/// Why a string did not decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// EOS, or padding that is not under eight one bits.
    Malformed,
    /// The string is longer than the space for it.
    TooLong,
}

/// The most symbols `bytes` encoded bytes can hold.
pub(super) const fn longest(bytes: usize) -> usize {
    bytes.saturating_mul(8) / SHORTEST_BITS
}

/// The fewest symbols `bytes` encoded bytes can hold, if they are well-formed.
pub(super) const fn shortest(bytes: usize) -> usize {
    bytes.saturating_mul(8).saturating_sub(7) / LONGEST_BITS
}

/// Decodes `input` into `out` and returns how many bytes it wrote.
pub(super) fn decode(input: &[u8], out: &mut [u8]) -> Result<usize, Unreadable> {
    let mut window = Window { input, bits: 0, held: 0 };
    let mut written = 0;
    loop {
        while let Some(symbol) = window.short_symbol() {
            *out.get_mut(written).ok_or(Unreadable::TooLong)? = symbol;
            written += 1;
        }
        let Some(symbol) = window.symbol()? else {
            return Ok(written);
        };
        *out.get_mut(written).ok_or(Unreadable::TooLong)? = symbol;
        written += 1;
    }
}

/// The string's next bits.
struct Window<'a> {
    input: &'a [u8],
    /// At the top, `held` of them; below, bits that follow in `input`, or zeroes. Filling up by
    /// OR is right in both cases.
    bits: u64,
    held: u32,
}

impl Window<'_> {
    /// The next symbol, if it is a short one and surely held.
    #[inline(always)]
    fn short_symbol(&mut self) -> Option<u8> {
        let entry = TABLES.fast[(self.bits >> (64 - FAST_BITS)) as usize];
        if self.held < FAST_BITS as u32 || entry == 0 {
            return None;
        }
        self.skip(u32::from(entry & 0xff));
        Some((entry >> 8) as u8)
    }

    /// The next symbol, of any length; `None` at a proper end.
    #[inline(always)] // called out of line, it would keep the window in memory for every symbol
    fn symbol(&mut self) -> Result<Option<u8>, Unreadable> {
        self.refill();
        // Past the end of the string, ones: what is no longer a whole code then reads as EOS.
        let padded = self.bits | u64::MAX >> self.held;
        let entry = TABLES.fast[(padded >> (64 - FAST_BITS)) as usize];
        let (symbol, length) = match entry {
            0 => long_symbol((padded >> 32) as u32),
            _ => (entry >> 8, u32::from(entry & 0xff)),
        };
        if length > self.held {
            let is_padding = self.held < 8 && padded == u64::MAX;
            return if is_padding { Ok(None) } else { Err(Unreadable::Malformed) };
        }
        if symbol == EOS {
            return Err(Unreadable::Malformed);
        }
        self.skip(length);
        Ok(Some(symbol as u8))
    }

    /// Holds at least 56 bits afterwards, or all that are left; never 64, so it can be shifted by.
    #[inline(always)]
    fn refill(&mut self) {
        if let Some(word) = self.input.first_chunk::<8>() {
            self.bits |= u64::from_be_bytes(*word) >> self.held;
            let taken = (63 - self.held) / 8;
            self.input = &self.input[taken as usize..];
            self.held += taken * 8;
            return;
        }
        while self.held < 56
            && let Some((&byte, rest)) = self.input.split_first()
        {
            self.bits |= u64::from(byte) << (56 - self.held);
            self.input = rest;
            self.held += 8;
        }
    }

    #[inline(always)]
    fn skip(&mut self, length: u32) {
        self.bits <<= length & 63; // never more than 30; the mask spares a check
        self.held -= length;
    }
}

#[inline(never)]
fn long_symbol(bits: u32) -> (u16, u32) {
    let mut length = FAST_BITS + 1;
    while u64::from(bits) >= TABLES.end[length] {
        length += 1; // ends at LONGEST_BITS, whose codes end above every `u32`
    }
    let nth = (bits - TABLES.first[length]) >> (32 - length);
    let symbol = TABLES.symbols[usize::from(TABLES.start[length]) + nth as usize];
    (symbol, length as u32)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "tests/huffman.rs"]
mod tests;
