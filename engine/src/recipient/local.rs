//! The local part: its grammar, and its folded form, which is part of the limits' key.

use crate::recipient::fault::{RecipientFault, RecipientFaultKind as Kind};
use crate::recipient::{MAX_LOCAL, Wiped, scan};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// Passes after which folding must have converged; no code point needs more than two.
const MAX_PASSES: usize = 4;

/// Checks a local part and folds it: NFKC and case folding of non-ASCII text. ASCII text is
/// returned unchanged, since the provider's rule lower-cases it later.
///
/// # Errors
/// The rule that is broken. The folded form must satisfy the grammar too, otherwise `ａ％ｂ` would
/// become a percent hack.
pub(super) fn fold(local: &str) -> Result<Wiped<'_>, RecipientFault> {
    if local.is_empty() {
        return Err(Kind::EmptyLocal.at(0..0));
    }
    if local.len() > MAX_LOCAL {
        return Err(Kind::LocalTooLong.at(0..local.len()));
    }
    let whole = |kind: Kind| kind.at(0..local.len());
    check_shape(local).map_err(whole)?;
    if local.is_ascii() {
        return Ok(Wiped::Borrowed(local));
    }
    let folded = casefold(local);
    let allowed = |c: char| {
        if c.is_ascii() { scan::is_plain(c as u8) } else { scan::hidden(c).is_none() }
    };
    if !folded.chars().all(allowed) {
        return Err(whole(Kind::LocalCharacter));
    }
    check_shape(&folded).map_err(whole)?;
    Ok(Wiped::Owned(folded))
}

/// Dots only between other characters (`Dot-string`, RFC 5321 section 4.1.2), and no encoded word.
fn check_shape(local: &str) -> Result<(), Kind> {
    let octets = local.as_bytes();
    let mut last = b'.';
    for &octet in octets {
        match (last, octet) {
            (b'.', b'.') => return Err(Kind::LocalDots),
            (b'=', b'?') => return Err(Kind::EncodedWord),
            _ => last = octet,
        }
    }
    if last == b'.' { Err(Kind::LocalDots) } else { Ok(()) }
}

/// Applies NFKC and case folding until nothing changes (Unicode section 3.13, definition R5).
///
/// The standard library has no case folding. Lower, upper and lower again gives the same classes,
/// and in addition merges `ı` with `i`; a doubtful case merges.
pub(super) fn casefold(local: &str) -> Zeroizing<String> {
    let mut folded = pass(local);
    for _ in 1..MAX_PASSES {
        let next = pass(&folded);
        if *next == *folded {
            break;
        }
        folded = next;
    }
    folded
}

fn pass(text: &str) -> Zeroizing<String> {
    let lowered = text.nfkc().flat_map(char::to_lowercase);
    let folded = lowered.flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    // Twice the input holds nearly every result. A buffer that grows beyond is freed without being
    // wiped, but no longer holds the address as typed.
    let mut out = Zeroizing::new(String::with_capacity(text.len() * 4));
    out.extend(folded.nfkc());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_any_code_point_comes_to_rest_within_the_passes() {
        for character in (0x80..=u32::from(char::MAX)).filter_map(char::from_u32) {
            let folded = casefold(&character.to_string());
            assert_eq!(*pass(&folded), *folded, "U+{:04X}", u32::from(character));
        }
    }

    #[test]
    fn upper_and_lower_case_fold_alike() {
        for character in ('\u{80}'..=char::MAX).filter(|c| c.is_alphabetic()) {
            let upper: String = character.to_uppercase().collect();
            let lower: String = character.to_lowercase().collect();
            assert_eq!(*casefold(&upper), *casefold(&lower), "U+{:04X}", u32::from(character));
        }
    }
}
