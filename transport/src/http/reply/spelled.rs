//! Short texts of an answer in fixed-size buffers: every answer has several, and a heap allocation
//! for each would cost more than the text.

/// The id of one request: `req_` and 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestId([u8; Self::BYTES]);

impl RequestId {
    const BYTES: usize = 20;

    /// The id with these 64 random bits.
    pub fn of(bits: u64) -> Self {
        let mut text = *b"req_0000000000000000";
        for (nibble, place) in text[4..].iter_mut().rev().enumerate() {
            *place = b"0123456789abcdef"[(bits >> (4 * nibble) & 0xf) as usize];
        }
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// A number in decimal digits.
pub(super) struct Decimal {
    /// Right-aligned.
    digits: [u8; Self::MOST],
    start: usize,
}

impl Decimal {
    /// Digits of `u64::MAX`.
    const MOST: usize = 20;

    pub(super) fn of(mut number: u64) -> Self {
        let (mut digits, mut start) = ([b'0'; Self::MOST], Self::MOST);
        loop {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return Self { digits, start };
            }
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spelled_as_everywhere() {
        for number in [0, 7, 10, 99, 300, 1_024, u64::MAX] {
            assert_eq!(Decimal::of(number).as_bytes(), number.to_string().as_bytes());
            assert_eq!(RequestId::of(number).as_str(), format!("req_{number:016x}"));
        }
    }
}
