//! What a code is for, stored in as little memory as purposes usually need.

use std::ops::Deref;

use zeroize::Zeroize;

/// Bytes of a purpose stored inline: `verification`, the default, has twelve.
const WORD_BYTES: usize = 12;

/// A purpose; dereferences to its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The common case.
    Word(Word),
    /// Text that doesn't fit into a [`Word`]. Boxed twice, since a fat pointer would enlarge
    /// everything that carries a purpose.
    Text(Box<Box<str>>),
}

/// A text of up to twelve bytes, none of them zero, padded with zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Zeroize)]
pub struct Word([u8; WORD_BYTES]);

impl From<&str> for Purpose {
    fn from(text: &str) -> Self {
        let mut word = [0; WORD_BYTES];
        match word.get_mut(..text.len()) {
            Some(place) if !text.contains('\0') => {
                place.copy_from_slice(text.as_bytes());
                Self::Word(Word(word))
            }
            _ => Self::Text(Box::new(text.into())),
        }
    }
}

impl Deref for Purpose {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Word(Word(bytes)) => {
                let length = bytes.iter().position(|&byte| byte == 0).unwrap_or(WORD_BYTES);
                str::from_utf8(&bytes[..length]).unwrap_or_default()
            }
            Self::Text(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_reads_as_it_was_written() {
        for text in ["", "login", "verification", "verificatio\u{e9}", "password-reset", "a\0b", "é"] {
            let purpose = Purpose::from(text);
            assert_eq!(&*purpose, text);
            assert_eq!(
                matches!(purpose, Purpose::Word(_)),
                text.len() <= 12 && !text.contains('\0'),
                "{text}"
            );
        }
    }
}
