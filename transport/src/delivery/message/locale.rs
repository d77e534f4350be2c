//! The languages of mails, and how a caller's language tag selects one.
//!
//! Selection is RFC 4647 lookup: the tag loses its last subtag until a language matches. Where a
//! language has two scripts, the script or the region decides, so that no recipient gets another
//! script than the one asked for.

/// A language of mails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Locale(u8);

struct Language {
    /// BCP 47 tag, used in `Content-Language` and `lang`.
    tag: &'static str,
    right_to_left: bool,
    /// Its phrases, as TOML.
    strings: &'static str,
}

macro_rules! languages {
    ($($tag:literal $direction:ident),* $(,)?) => {
        [$(Language {
            tag: $tag,
            right_to_left: matches!(stringify!($direction).as_bytes(), b"rtl"),
            strings: include_str!(concat!("../../../templates/strings/", $tag, ".toml")),
        }),*]
    };
}

/// In the order of their numbers. The first is the default.
const LANGUAGES: [Language; 13] = languages! {
    "en" ltr, "de" ltr, "fr" ltr, "es" ltr, "pt-BR" ltr, "it" ltr, "nl" ltr, "pl" ltr, "tr" ltr,
    "ja" ltr, "zh-CN" ltr, "zh-TW" ltr, "ar" rtl,
};

/// Language ranges that map to another tag.
const ALSO: [(&str, &str); 8] = [
    ("pt", "pt-BR"),
    ("zh", "zh-CN"),
    ("zh-SG", "zh-CN"),
    ("zh-Hans", "zh-CN"),
    ("zh-Hant", "zh-TW"),
    ("zh-HK", "zh-TW"),
    ("zh-MO", "zh-TW"),
    ("zh-Latn", "en"),
];

impl Locale {
    /// The default.
    pub(super) const ENGLISH: Self = Self(0);

    /// The language that `range` selects; `None` if mails are not available in it.
    pub fn lookup(range: &str) -> Option<Self> {
        let mut range = range;
        loop {
            if let Some(found) = Self::named(range) {
                return Some(found);
            }
            range = range.rsplit_once('-')?.0;
            // RFC 4647 3.4: a single-letter subtag is removed together with what follows it.
            if let Some((shorter, last)) = range.rsplit_once('-')
                && last.len() == 1
            {
                range = shorter;
            }
        }
    }

    fn named(name: &str) -> Option<Self> {
        let also = ALSO.iter().find(|(also, _)| also.eq_ignore_ascii_case(name)).map(|(_, tag)| *tag);
        let name = also.unwrap_or(name);
        let at = LANGUAGES.iter().position(|language| language.tag.eq_ignore_ascii_case(name))?;
        u8::try_from(at).ok().map(Self)
    }

    /// All languages.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..LANGUAGES.len() as u8).map(Self)
    }

    /// The number stored in a slot; zero means no language.
    pub(crate) fn number(chosen: Option<Self>) -> u8 {
        chosen.map_or(0, |locale| locale.0 + 1)
    }

    /// Inverse of [`Self::number`].
    pub(crate) fn numbered(number: u8) -> Option<Self> {
        number.checked_sub(1).map(Self).filter(|locale| locale.index() < LANGUAGES.len())
    }

    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Its BCP 47 tag.
    pub fn tag(self) -> &'static str {
        self.language().tag
    }

    /// Value of HTML's `dir`.
    pub(super) fn direction(self) -> &'static str {
        if self.language().right_to_left { "rtl" } else { "ltr" }
    }

    /// Its built-in phrases.
    pub(super) fn strings(self) -> &'static str {
        self.language().strings
    }

    fn language(self) -> &'static Language {
        LANGUAGES.get(self.index()).unwrap_or(&LANGUAGES[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_loses_its_tail_until_a_language_is_known() {
        for (range, tag) in [
            ("en", Some("en")),
            ("en-GB", Some("en")),
            ("DE-at", Some("de")),
            ("de-Latn-DE-1996", Some("de")),
            ("fr-CA-x-quebec", Some("fr")),
            ("pt", Some("pt-BR")),
            ("pt-br", Some("pt-BR")),
            ("pt-PT", Some("pt-BR")),
            ("zh", Some("zh-CN")),
            ("zh-CN", Some("zh-CN")),
            ("zh-Hans-HK", Some("zh-CN")),
            ("zh-SG", Some("zh-CN")),
            ("zh-TW", Some("zh-TW")),
            ("zh-HK", Some("zh-TW")),
            ("zh-Hant", Some("zh-TW")),
            ("zh-Hant-CN", Some("zh-TW")),
            ("zh-Latn-CN", Some("en")),
            ("ar-EG", Some("ar")),
            ("ja-JP-u-ca-japanese", Some("ja")),
            ("sv", None),
            ("sv-SE", None),
            ("eng", None),
            ("x-de", None),
            ("-", None),
            ("--", None),
        ] {
            assert_eq!(Locale::lookup(range).map(Locale::tag), tag, "{range}");
        }
    }

    #[test]
    fn a_number_means_its_language_and_zero_none() {
        for locale in Locale::all() {
            assert_eq!(Locale::numbered(Locale::number(Some(locale))), Some(locale));
        }
        assert_eq!(Locale::numbered(Locale::number(None)), None);
        assert_eq!(Locale::numbered(LANGUAGES.len() as u8 + 1), None);
        assert_eq!(Locale::all().filter(|locale| locale.direction() == "rtl").count(), 1);
    }
}
