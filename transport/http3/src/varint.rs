//! QUIC variable-length integers (RFC 9000 section 16), whole or a byte at a time.
//!
//! The two top bits of the first byte say how many bytes there are: 1, 2, 4 or 8. A longer form
//! than needed is legal in HTTP/3, so it is read like any other.

/// The largest value the encoding holds.
pub const MAX: u64 = (1 << 62) - 1;

/// Appends `value` in its shortest form; `value` is at most [`MAX`].
pub fn encode(value: u64, out: &mut Vec<u8>) {
    debug_assert!(value <= MAX);
    match value {
        0..=0x3f => out.push(value as u8),
        0x40..=0x3fff => out.extend_from_slice(&(value as u16 | 0x4000).to_be_bytes()),
        0x4000..=0x3fff_ffff => out.extend_from_slice(&(value as u32 | 0x8000_0000).to_be_bytes()),
        _ => out.extend_from_slice(&(value | 0xc000_0000_0000_0000).to_be_bytes()),
    }
}

/// Takes one integer off the front of `input`; `None` if it is cut short.
pub fn decode(input: &mut &[u8]) -> Option<u64> {
    Reader::default().read(input)
}

/// An integer that may arrive in pieces.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reader {
    value: u64,
    /// Bytes still to come; 0 between integers.
    missing: u8,
}

impl Reader {
    /// Takes what it needs from the front of `input`; `None` means `input` is used up.
    pub fn read(&mut self, input: &mut &[u8]) -> Option<u64> {
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            if self.missing == 0 {
                self.value = u64::from(byte & 0x3f);
                self.missing = (1 << (byte >> 6)) - 1;
            } else {
                self.value = self.value << 8 | u64::from(byte);
                self.missing -= 1;
            }
            if self.missing == 0 {
                return Some(self.value);
            }
        }
        None
    }

    /// Whether an integer has begun and not ended.
    pub fn is_midway(&self) -> bool {
        self.missing != 0
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_samples_of_rfc_9000_appendix_a_are_read() {
        let samples: [(&[u8], u64); 5] = [
            (&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c], 151_288_809_941_952_652),
            (&[0x9d, 0x7f, 0x3e, 0x7d], 494_878_333),
            (&[0x7b, 0xbd], 15_293),
            (&[0x25], 37),
            (&[0x40, 0x25], 37),
        ];
        for (bytes, value) in samples {
            let mut input = bytes;
            assert_eq!(decode(&mut input), Some(value));
            assert!(input.is_empty());
            assert_eq!(decode(&mut &bytes[..bytes.len() - 1]), None);
        }
    }

    #[test]
    fn every_length_comes_back_in_the_shortest_form() {
        let edges = [(0, 1), (63, 1), (64, 2), (16_383, 2), (16_384, 4), (1 << 30, 8), (MAX, 8)];
        for (value, length) in edges {
            let mut bytes = Vec::new();
            encode(value, &mut bytes);
            assert_eq!(bytes.len(), length);
            let mut reader = Reader::default();
            let (last, start) = bytes.split_last().unwrap();
            for byte in start {
                assert_eq!(reader.read(&mut [*byte].as_slice()), None);
                assert!(reader.is_midway());
            }
            assert_eq!(reader.read(&mut [*last].as_slice()), Some(value));
            assert!(!reader.is_midway());
        }
    }
}
