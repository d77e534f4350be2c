//! A purpose in the place it has in a verification: as short a word as purposes usually are.

use zeroize::Zeroize;

/// Bytes of a purpose that needs no memory of its own: `verification`, the default, has twelve.
const INLINE: usize = 12;

/// A word of up to twelve bytes. Owned by its verification; a longer purpose is kept beside it.
#[derive(Debug, Default, Zeroize)]
pub(super) struct Purpose {
    bytes: [u8; INLINE],
    length: u8,
}

impl Purpose {
    /// `None` if `text` is too long.
    pub(super) fn inline(text: &str) -> Option<Self> {
        let mut bytes = [0; INLINE];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self { bytes, length: text.len() as u8 })
    }

    pub(super) fn as_str(&self) -> &str {
        self.bytes
            .get(..usize::from(self.length))
            .and_then(|text| str::from_utf8(text).ok())
            .unwrap_or_default()
    }
}
