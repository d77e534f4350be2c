//! How a provider treats a local part, as a value.

use crate::recipient::local::casefold;

/// A set of ASCII characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks([u64; 2]);

impl Marks {
    /// No character.
    pub const NONE: Self = Self([0; 2]);

    /// The ASCII characters of `text`; others are ignored.
    #[must_use]
    pub const fn of(text: &str) -> Self {
        let octets = text.as_bytes();
        let mut bits = [0; 2];
        let mut index = 0;
        while index < octets.len() {
            if octets[index].is_ascii() {
                bits[(octets[index] >> 6) as usize] |= 1 << (octets[index] & 63);
            }
            index += 1;
        }
        Self(bits)
    }

    /// Whether `octet` is in the set.
    #[must_use]
    pub const fn contains(self, octet: u8) -> bool {
        octet.is_ascii() && self.0[(octet >> 6) as usize] & (1 << (octet & 63)) != 0
    }

    const fn is_empty(self) -> bool {
        matches!(self.0, [0, 0])
    }
}

/// How spellings of a local part fold together. Applied in the order of the fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The local part ends before the first of these, which starts the sub-address (RFC 5233).
    pub cut_before: Marks,
    /// The local part ends after the first of these; the result is a bucket distinct from the bare
    /// name.
    pub cut_after: Marks,
    /// Characters the provider ignores.
    pub ignored: Marks,
    /// The first character is treated as the second.
    pub alike: Option<(u8, u8)>,
    /// All domains of the family share accounts; the first domain represents them.
    pub one_account: bool,
    /// `anything@ada.provider.example` is `ada@provider.example`.
    pub users_below: bool,
}

impl Rule {
    /// The default: `+` starts a sub-address, all other characters are significant.
    pub const ELSEWHERE: Self = Self {
        cut_before: Marks::of("+"),
        cut_after: Marks::NONE,
        ignored: Marks::NONE,
        alike: None,
        one_account: false,
        users_below: false,
    };

    /// Appends the folded `local` in lower case (non-ASCII text must be folded already). Appends at
    /// least one octet and at most `local.len()`, so the result is again a local part.
    pub(crate) fn fold_into(self, local: &str, out: &mut String) {
        let octets = local.as_bytes();
        let tag = octets.iter().position(|&octet| self.cut_before.contains(octet));
        let mut name = &local[..tag.unwrap_or(octets.len())];
        if !self.cut_after.is_empty()
            && let Some(end) = name.bytes().position(|octet| self.cut_after.contains(octet))
        {
            name = &name[..=end];
        }
        let start = out.len();
        if self.ignored.is_empty() && self.alike.is_none() {
            // Nearly every domain: one copy instead of a push per character.
            out.push_str(name);
            out[start..].make_ascii_lowercase();
        } else {
            let seen = name.chars().filter(|&c| !(c.is_ascii() && self.ignored.contains(c as u8)));
            seen.for_each(|c| out.push(self.seen_as(c.to_ascii_lowercase())));
        }
        // `a.+x` must not become `a.`, which is not a local part and would be a separate bucket.
        while out.len() > start && out.ends_with('.') {
            out.pop();
        }
        if !out[start..].is_ascii() && !self.ignored.is_empty() {
            // An accent after an ignored character now follows a letter: `a.\u{301}` is `á`.
            let joined = casefold(&out[start..]);
            out.truncate(start);
            out.push_str(&joined);
        }
        if out.len() == start {
            // `+x`, `+y`, or `-` and `_` at Proton: the name is empty, so all of them share a
            // bucket.
            out.push('+');
        }
    }

    fn seen_as(self, character: char) -> char {
        match self.alike {
            Some((typed, seen)) if character == char::from(typed) => char::from(seen),
            _ => character,
        }
    }
}
