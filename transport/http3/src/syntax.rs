//! Which bytes may stand where in a head (RFC 9110 section 5, RFC 9114 section 4.2).

/// A character of a token, in any case.
const TOKEN: u8 = 1;
/// A character of a field name: a token's, but no capital.
const NAME: u8 = 2;
/// A character of a request target: visible, ASCII, no fragment.
const TARGET: u8 = 4;
/// A character of an authority without userinfo.
const AUTHORITY: u8 = 8;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0x21;
    while byte < 0x7f {
        let c = byte as u8;
        let is_token = c.is_ascii_alphanumeric()
            || matches!(c, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~');
        if is_token {
            classes[byte] |= TOKEN;
        }
        if is_token && !c.is_ascii_uppercase() {
            classes[byte] |= NAME;
        }
        if c != b'#' {
            classes[byte] |= TARGET;
        }
        if !matches!(c, b'#' | b'/' | b'?' | b'@' | b'\\') {
            classes[byte] |= AUTHORITY;
        }
        byte += 1;
    }
    classes
}

fn all(text: &[u8], class: u8) -> bool {
    text.iter().all(|byte| CLASSES[usize::from(*byte)] & class != 0)
}

/// A method: any token.
pub(super) fn is_method(text: &[u8]) -> bool {
    !text.is_empty() && all(text, TOKEN)
}

/// A field name, in lower case.
pub(super) fn is_field_name(name: &[u8]) -> bool {
    !name.is_empty() && all(name, NAME)
}

/// A field value: no controls except HTAB, no white space around it. Bytes above ASCII are allowed
/// (obs-text); the reader of a field decides about those.
pub(super) fn is_field_value(value: &[u8]) -> bool {
    // Without an early exit, so that the compiler looks at 16 bytes at a time.
    let is_bad = |b: u8| (b < 0x20 && b != b'\t') | (b == 0x7f);
    let bad = value.iter().fold(false, |bad, byte| bad | is_bad(*byte));
    let is_blank = |end: Option<&u8>| matches!(end, Some(b' ' | b'\t'));
    !bad && !is_blank(value.first()) && !is_blank(value.last())
}

/// An origin-form target. `*` is the caller's, as it depends on the method.
pub(super) fn is_path_and_query(text: &[u8]) -> bool {
    text.first() == Some(&b'/') && all(text, TARGET)
}

/// A host, perhaps with a port. Userinfo is deprecated and only ever misleads.
pub(super) fn is_authority(text: &[u8]) -> bool {
    !matches!(text.first(), None | Some(b':')) && all(text, AUTHORITY)
}
