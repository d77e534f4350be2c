//! The ways in which a text can stand in a log without looking like itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Bytes shown around what was found.
const AROUND: usize = 80;

/// A secret in each encoding that is looked for, with its name.
pub(crate) fn spellings(secret: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = secret.as_bytes();
    let joined = |each: &dyn Fn(&u8) -> String, between: &str| {
        bytes.iter().map(each).collect::<Vec<_>>().join(between).into_bytes()
    };
    let mut all = vec![
        ("plain text", bytes.to_vec()),
        ("lower case", secret.to_lowercase().into_bytes()),
        ("upper case", secret.to_uppercase().into_bytes()),
        ("percent escapes", joined(&|byte| format!("%{byte:02X}"), "")),
        ("hexadecimal", joined(&|byte| format!("{byte:02x}"), "")),
        ("upper hexadecimal", joined(&|byte| format!("{byte:02X}"), "")),
        ("JSON escapes", joined(&|byte| format!("\\u{byte:04x}"), "")),
        ("a list of decimals", joined(&|byte| byte.to_string(), ", ")),
        ("a dense list of decimals", joined(&|byte| byte.to_string(), ",")),
        ("a list of hexadecimals", joined(&|byte| format!("{byte:x}"), ", ")),
        ("reversed text", bytes.iter().rev().copied().collect()),
        ("UTF-16, little end first", secret.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("UTF-16, big end first", secret.encode_utf16().flat_map(u16::to_be_bytes).collect()),
    ];
    for shift in 0..3 {
        all.push((
            ["base64", "base64 from its second byte on", "base64 from its third byte on"][shift],
            base64(bytes, shift),
        ));
    }
    all
}

/// The characters that base64 has for these bytes wherever they begin, less those shared with neighbours.
fn base64(bytes: &[u8], shift: usize) -> Vec<u8> {
    let text = STANDARD_NO_PAD.encode([&[0; 3][..shift], bytes].concat()).into_bytes();
    let (from, whole) = ((shift * 8).div_ceil(6), (shift + bytes.len()) * 8 / 6);
    text[from..whole].to_vec()
}

/// Where a spelling stands in a text: what is around it.
pub(crate) fn found(text: &[u8], spelling: &[u8]) -> Option<String> {
    let at = memchr::memmem::find(text, spelling)?;
    let around = &text[at.saturating_sub(AROUND)..(at + spelling.len() + AROUND).min(text.len())];
    Some(around.escape_ascii().to_string())
}

#[test]
fn each_spelling_is_found_where_it_is_planted() {
    let secret = "canaryH30qz7w";
    let base64 = |before: &[u8]| STANDARD_NO_PAD.encode([before, secret.as_bytes(), b"after"].concat());
    let planted = [
        format!("to={secret};"),
        format!("to={};", secret.to_lowercase()),
        format!("{:?}", secret.as_bytes()),
        format!("{:x?}", secret.as_bytes()),
        base64(b""),
        base64(b"x"),
        base64(b"xy"),
        base64(b"xyz"),
        secret.chars().rev().collect(),
        secret.bytes().map(|byte| format!("{byte:02x}")).collect(),
    ];
    for text in planted {
        let seen = spellings(secret).iter().any(|(_, spelling)| found(text.as_bytes(), spelling).is_some());
        assert!(seen, "{text}");
    }
    assert!(
        spellings("somebodyelse").iter().all(|(_, spelling)| found(secret.as_bytes(), spelling).is_none())
    );
}
