//! One pass over the raw octets: refuses characters that are invalid in any position, and finds the
//! `@`.

use crate::recipient::fault::{RecipientFault, RecipientFaultKind as Kind};

/// The meaning of an octet on its own.
#[derive(Clone, Copy)]
enum Octet {
    /// `atext` of RFC 5321 without `%` and `!`, or a dot.
    Plain,
    /// Part of a non-ASCII code point.
    Wide,
    At,
    Refused(Kind),
}

/// Whether each octet is plain, one byte per entry, for the inner loop.
const PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = matches!(OCTETS[octet], Octet::Plain);
        octet += 1;
    }
    table
};

const OCTETS: [Octet; 256] = {
    let mut table = [Octet::Plain; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = classify(octet as u8);
        octet += 1;
    }
    table
};

const fn classify(octet: u8) -> Octet {
    match octet {
        0..=31 | 127 => Octet::Refused(Kind::Control),
        b' ' => Octet::Refused(Kind::Space),
        b'"' => Octet::Refused(Kind::Quoted),
        b'(' | b')' => Octet::Refused(Kind::Comment),
        b'<' | b'>' => Octet::Refused(Kind::AngleBracket),
        b',' | b';' => Octet::Refused(Kind::List),
        b':' | b'%' | b'!' => Octet::Refused(Kind::Route),
        b'[' | b']' => Octet::Refused(Kind::AddressLiteral),
        b'\\' => Octet::Refused(Kind::Backslash),
        b'@' => Octet::At,
        128.. => Octet::Wide,
        _ => Octet::Plain,
    }
}

/// The position of the one `@` of `raw`.
///
/// # Errors
/// A character that is refused anywhere, no `@`, or a second one.
pub(super) fn find_at_sign(raw: &str) -> Result<usize, RecipientFault> {
    if raw.is_empty() {
        return Err(Kind::Empty.at(0..0));
    }
    let octets = raw.as_bytes();
    let mut at = None;
    let mut wide = false;
    let mut from = 0;
    // Nearly every octet is plain: the inner loop only searches for one that is not.
    while let Some(ahead) = octets[from..].iter().position(|&octet| !is_plain(octet)) {
        let index = from + ahead;
        match OCTETS[usize::from(octets[index])] {
            Octet::Plain => {}
            Octet::Wide => wide = true,
            Octet::At if at.is_none() => at = Some(index),
            Octet::At => return Err(Kind::SecondAtSign.at(index..index + 1)),
            Octet::Refused(kind) => return Err(kind.at(index..index + 1)),
        }
        from = index + 1;
    }
    if wide {
        refuse_hidden(raw)?;
    }
    at.ok_or_else(|| Kind::NoAtSign.at(0..raw.len()))
}

/// Whether an ASCII character stands for itself in a local part.
pub(super) fn is_plain(octet: u8) -> bool {
    PLAIN[usize::from(octet)]
}

fn refuse_hidden(raw: &str) -> Result<(), RecipientFault> {
    for (index, character) in raw.char_indices().filter(|(_, c)| !c.is_ascii()) {
        if let Some(kind) = hidden(character) {
            return Err(kind.at(index..index + character.len_utf8()));
        }
    }
    Ok(())
}

/// Why a non-ASCII code point is not allowed in an address; `None` if it is.
pub(super) fn hidden(character: char) -> Option<Kind> {
    if character.is_control() {
        return Some(Kind::Control);
    }
    if let Some(&(_, _, kind)) = HIDDEN.iter().find(|&&(first, last, _)| (first..=last).contains(&character))
    {
        return Some(kind);
    }
    if character.is_whitespace() {
        return Some(Kind::Space);
    }
    (!is_printable(character)).then_some(Kind::Invisible)
}

/// `escape_debug` escapes what it considers unprintable: unassigned, private use, format. The
/// letter in front keeps it from escaping a combining mark that has no base.
fn is_printable(character: char) -> bool {
    let mut probe = [b'a'; 5];
    let len = character.encode_utf8(&mut probe[1..]).len();
    std::str::from_utf8(&probe[..=len]).is_ok_and(|text| text.escape_debug().count() == 2)
}

/// Code points without a glyph that may count as printable (Unicode `Default_Ignorable`,
/// `DerivedCoreProperties.txt`), and those that change the text direction (UAX 9 section 2).
const HIDDEN: &[(char, char, Kind)] = &[
    ('\u{ad}', '\u{ad}', Kind::Invisible),
    ('\u{34f}', '\u{34f}', Kind::Invisible),
    ('\u{61c}', '\u{61c}', Kind::Bidi),
    ('\u{115f}', '\u{1160}', Kind::Invisible),
    ('\u{17b4}', '\u{17b5}', Kind::Invisible),
    ('\u{180b}', '\u{180f}', Kind::Invisible),
    ('\u{200b}', '\u{200d}', Kind::Invisible),
    ('\u{200e}', '\u{200f}', Kind::Bidi),
    ('\u{202a}', '\u{202e}', Kind::Bidi),
    ('\u{2060}', '\u{2065}', Kind::Invisible),
    ('\u{2066}', '\u{2069}', Kind::Bidi),
    ('\u{206a}', '\u{206f}', Kind::Invisible),
    ('\u{2800}', '\u{2800}', Kind::Invisible),
    ('\u{3164}', '\u{3164}', Kind::Invisible),
    ('\u{fe00}', '\u{fe0f}', Kind::Invisible),
    ('\u{feff}', '\u{feff}', Kind::Invisible),
    ('\u{ffa0}', '\u{ffa0}', Kind::Invisible),
    ('\u{fff0}', '\u{fffd}', Kind::Invisible),
    ('\u{1bca0}', '\u{1bca3}', Kind::Invisible),
    ('\u{1d173}', '\u{1d17a}', Kind::Invisible),
    ('\u{e0000}', '\u{e0fff}', Kind::Invisible),
];
