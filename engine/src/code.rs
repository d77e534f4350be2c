//! The digits a person types: drawing, parsing and comparing them.
//!
//! A code exists in clear text between drawing and mailing, and again on the stack during a check.
//! In between there is only a [`CodeMac`]; one half of its key is in the server, the other in the
//! caller's id.

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::entropy::{Entropy, below};
use crate::id::VerificationId;
use crate::limits::{CODE_DIGITS_MAX, CODE_DIGITS_MIN};
use crate::route::StartKeys;

/// Two digits per byte, then the length: together with both halves of the key, this fits into one
/// SHA-256 block.
const PACKED_CODE_BYTES: usize = CODE_DIGITS_MAX as usize / 2 + 1;

/// Six to ten ASCII digits. Wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Code {
    digits: [u8; CODE_DIGITS_MAX as usize],
    length: u8,
}

impl Code {
    /// Draws a uniform code of `length` digits.
    pub fn draw(length: u8, entropy: &mut impl Entropy) -> Self {
        let mut value = below(entropy, 10u64.pow(u32::from(length)));
        let mut code = Self { digits: [b'0'; CODE_DIGITS_MAX as usize], length };
        for place in code.digits[..usize::from(length)].iter_mut().rev() {
            *place = b'0' + (value % 10) as u8;
            value /= 10;
        }
        code
    }

    /// The code of every test key: zeros.
    pub fn zeros(length: u8) -> Self {
        Self { digits: [b'0'; CODE_DIGITS_MAX as usize], length }
    }

    /// Parses what a person typed: white space and dashes are ignored, decimal digits of any script
    /// are folded. `None` for anything else, or for a number of digits that no code has.
    pub fn read(typed: &str) -> Option<Self> {
        let mut code = Self { digits: [0; CODE_DIGITS_MAX as usize], length: 0 };
        for character in typed.chars() {
            if character.is_whitespace() || is_dash(character) {
                continue;
            }
            let digit = decimal_digit(character)?;
            *code.digits.get_mut(usize::from(code.length))? = b'0' + digit;
            code.length += 1;
        }
        (code.length >= CODE_DIGITS_MIN).then_some(code)
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.bytes()).unwrap_or_default()
    }

    /// The number of digits.
    pub fn length(&self) -> u8 {
        self.length
    }

    fn bytes(&self) -> &[u8] {
        &self.digits[..usize::from(self.length)]
    }

    /// Unique per code: a code with fewer digits than ten is padded with zeros and distinguished by
    /// its length.
    fn packed(&self) -> [u8; PACKED_CODE_BYTES] {
        let mut packed = [0; PACKED_CODE_BYTES];
        for (at, digit) in self.bytes().iter().enumerate() {
            packed[at / 2] |= (digit - b'0') << (4 * (at % 2));
        }
        packed[PACKED_CODE_BYTES - 1] = self.length;
        packed
    }
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Code(..)")
    }
}

/// All that the server keeps of a code. Eight bytes suffice: a false match has probability 2⁻⁶⁴ per
/// comparison, negligible beside a correct guess at 10⁻⁶, and without the key neither can be
/// searched for.
#[derive(Clone, Default, Zeroize, ZeroizeOnDrop)]
pub struct CodeMac([u8; 8]);

impl std::fmt::Debug for CodeMac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CodeMac(..)")
    }
}

impl CodeMac {
    /// The MAC of `code` for the verification `id`; it matches no other.
    pub fn of(keys: &StartKeys, id: &VerificationId, code: &Code) -> Self {
        let mut packed = code.packed();
        let mut full = id.code_mac(keys, &packed);
        let mut short = [0; 8];
        short.copy_from_slice(&full.0[..8]);
        full.zeroize();
        packed.zeroize();
        Self(short)
    }

    /// Whether both are of the same code, in constant time.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// Dashes as keyboards and mail programs write them (Unicode `Pd`, plus the minus sign).
fn is_dash(c: char) -> bool {
    matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}' | '\u{58a}')
}

/// First code point of each run of ten decimal digits: all of Unicode 14's `Nd`, in order.
const ZEROS: [u32; 66] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50,
    0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40,
    0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x11066,
    0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950,
    0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6,
    0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
];

fn decimal_digit(c: char) -> Option<u8> {
    let point = u32::from(c);
    let run = ZEROS.partition_point(|&zero| zero <= point).checked_sub(1)?;
    u8::try_from(point - ZEROS[run]).ok().filter(|&digit| digit < 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::IdSecret;
    use crate::route::Route;
    use crate::testing::Seeded;

    #[test]
    fn what_a_person_types_is_read_as_meant() {
        for typed in
            ["482913", " 482-913 ", "4 8 2 9 1 3", "４８２９１３", "٤٨٢٩١٣", "482\u{2013}913\n", "४८२९१३"]
        {
            assert_eq!(Code::read(typed).unwrap().as_str(), "482913", "{typed}");
        }
    }

    #[test]
    fn anything_else_is_not_a_code() {
        let long = "1".repeat(1_000_000);
        for typed in [
            "",
            "12345",
            "12345678901",
            "+123456",
            "1e5000",
            "12345a",
            "123456\0",
            "１２３",
            &long,
            "½23456",
            "①23456",
            // Characters that follow a run of ten digits.
            "12345:",
            "12345\u{66a}",
        ] {
            assert!(Code::read(typed).is_none(), "{}", &typed[..typed.len().min(20)]);
        }
    }

    #[test]
    fn debug_shows_neither_a_code_nor_its_mac() {
        let (code, mac) = (Code::read("482913").unwrap(), CodeMac([7; 8]));
        assert_eq!(format!("{code:?} {mac:?}"), "Code(..) CodeMac(..)");
    }

    #[test]
    fn every_code_has_its_length_and_leading_zeros_count() {
        let mut entropy = Seeded::new(5);
        for length in CODE_DIGITS_MIN..=CODE_DIGITS_MAX {
            for _ in 0..200 {
                let code = Code::draw(length, &mut entropy);
                assert_eq!(code.as_str().len(), usize::from(length));
            }
        }
    }

    #[test]
    fn no_two_codes_are_packed_alike() {
        let packed = |text: &str| Code::read(text).unwrap().packed();
        let mut all = std::collections::HashSet::new();
        // Each digit in each position, each length, and zeros where another length ends.
        for length in 6..=10 {
            for place in 0..length {
                for digit in b'1'..=b'9' {
                    let mut text = vec![b'0'; length];
                    text[place] = digit;
                    assert!(all.insert(packed(std::str::from_utf8(&text).unwrap())));
                }
            }
            assert!(all.insert(packed(&"0".repeat(length))));
        }
        assert_eq!(packed("482913"), [0x84, 0x92, 0x31, 0, 0, 6]);
    }

    #[test]
    fn a_mac_fits_its_own_code_id_and_start_only() {
        let mut entropy = Seeded::new(6);
        let (keys, other_keys) = (StartKeys::draw(&mut entropy), StartKeys::draw(&mut entropy));
        let id = VerificationId::new(&keys, IdSecret::draw(&mut entropy), Route(1));
        let other_id = VerificationId::new(&keys, IdSecret::draw(&mut entropy), Route(1));
        let (code, other_code) = (Code::read("123456").unwrap(), Code::read("123457").unwrap());
        let mac = CodeMac::of(&keys, &id, &code);
        assert!(mac.matches(&CodeMac::of(&keys, &id, &code)));
        assert!(!mac.matches(&CodeMac::of(&keys, &id, &other_code)));
        assert!(!mac.matches(&CodeMac::of(&keys, &other_id, &code)));
        assert!(!mac.matches(&CodeMac::of(&other_keys, &id, &code)));
    }
}
