//! A verification id has one spelling, and a code is the digits a person meant.

use authepy_engine::code::Code;
use authepy_engine::id::{ID_CHARS, VerificationId};

/// Looks at one input, with one answer falsified where this is the canary.
///
/// # Panics
/// If the property does not hold.
pub fn check(input: &[u8], canary: bool) {
    if let Ok(text) = std::str::from_utf8(input) {
        id(text);
        code(text, canary);
    }
    // Any bytes as base62, or few would look like an id.
    let digits: String = input.iter().map(|octet| base62(octet % 62)).collect();
    id(&format!("vrf_{}", &digits[..digits.len().min(ID_CHARS - 4)]));
}

fn id(text: &str) {
    match VerificationId::parse(text) {
        Some(id) => {
            assert!(is_id(text), "{text:?}");
            assert_eq!(id.text().as_str(), text, "an id has one spelling");
        }
        None => assert!(!is_id(text), "{text:?}"),
    }
}

/// Two numbers of 64 bits and one of 16, in base62, each in its width.
fn is_id(text: &str) -> bool {
    let Some(digits) = text.strip_prefix("vrf_").filter(|digits| digits.len() == 25 && digits.is_ascii())
    else {
        return false;
    };
    let number = |part: &str| {
        part.chars().try_fold(0u128, |sum, digit| {
            (0..62).find(|&value| base62(value) == digit).map(|value| sum * 62 + u128::from(value))
        })
    };
    let fits = |part: &str, bits: u32| number(part).is_some_and(|number| number < 1 << bits);
    fits(&digits[..11], 64) && fits(&digits[11..22], 64) && fits(&digits[22..], 16)
}

fn base62(value: u8) -> char {
    let start = [b'0', b'A' - 10, b'a' - 36][usize::from(value > 9) + usize::from(value > 35)];
    char::from(start + value)
}

fn code(typed: &str, canary: bool) {
    let read = read(typed, canary);
    if typed.is_ascii() {
        let meant: String =
            typed.chars().filter(|c| !c.is_ascii_whitespace() && *c != '\x0b' && *c != '-').collect();
        let is_code = (6..=10).contains(&meant.len()) && meant.bytes().all(|octet| octet.is_ascii_digit());
        assert_eq!(read.as_ref(), is_code.then_some(&meant), "{typed:?}");
    }
    let Some(digits) = read else { return };
    assert!((6..=10).contains(&digits.len()) && digits.bytes().all(|octet| octet.is_ascii_digit()));
    let wide = digits.chars().filter_map(|c| char::from_u32(u32::from(c) - 0x30 + 0xff10));
    for spelling in [digits.clone(), format!(" {typed}\u{2013}\u{a0}"), wide.collect()] {
        assert_eq!(self::read(&spelling, canary).as_ref(), Some(&digits), "{spelling:?}");
    }
}

/// The canary's bug: a capital O is taken for a zero.
fn read(typed: &str, canary: bool) -> Option<String> {
    let typed = if canary { typed.replace('O', "0") } else { typed.to_owned() };
    Code::read(&typed).map(|code| code.as_str().to_owned())
}
