//! A purpose in the place it has in a verification: as short a word as purposes usually are.

use zeroize::Zeroize;

/// Bytes of a purpose that needs no memory of its own: `verification`, the default, has twelve.
const INLINE: usize = 12;

/// A word of up to twelve bytes, the rest zeros. Owned by its verification; what does not fit is kept
/// beside it.
#[derive(Debug, Default, Zeroize)]
pub(super) struct Purpose([u8; INLINE]);

impl Purpose {
    /// `None` if `text` is too long, or holds the zero that would end it.
    pub(super) fn inline(text: &str) -> Option<Self> {
        let mut bytes = [0; INLINE];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        (!text.contains('\0')).then_some(Self(bytes))
    }

    pub(super) fn as_str(&self) -> &str {
        let length = self.0.iter().position(|&byte| byte == 0).unwrap_or(INLINE);
        str::from_utf8(&self.0[..length]).unwrap_or_default()
    }
}
