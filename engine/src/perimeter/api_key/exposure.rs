//! Finds a key in a URL, where it would leak into logs and histories.

use super::PREFIXES;

/// Whether `text` holds the prefix of a key, plain or percent-encoded any number of times.
///
/// The prefix is enough: a mistyped or truncated key in a URL leaks as much.
#[must_use]
pub fn looks_like_key(text: &[u8]) -> bool {
    (0..text.len())
        // Every prefix starts with one of two letters, so nearly every octet is rejected here.
        .filter(|&start| matches!(text[start], b'a' | b'r' | b'%'))
        .any(|start| PREFIXES.iter().any(|(prefix, ..)| starts_with(&text[start..], prefix.as_bytes())))
}

fn starts_with(mut text: &[u8], prefix: &[u8]) -> bool {
    prefix.iter().all(|&wanted| match decoded(text) {
        Some((octet, rest)) if octet == wanted => {
            text = rest;
            true
        }
        _ => false,
    })
}

/// The first octet of `text` with all layers of percent-encoding removed (`%61`, `%2561`, …).
fn decoded(text: &[u8]) -> Option<(u8, &[u8])> {
    let (&first, mut rest) = text.split_first()?;
    if first != b'%' {
        return Some((first, rest));
    }
    while let Some(inner) = rest.strip_prefix(b"25") {
        rest = inner;
    }
    match rest {
        [high, low, rest @ ..] => Some((hex(*high)? << 4 | hex(*low)?, rest)),
        _ => None,
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
