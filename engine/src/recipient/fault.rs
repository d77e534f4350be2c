//! Why a text is not a recipient: a kind and a position, never the text itself.

use std::fmt;
use std::ops::Range;

/// The rule that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecipientFaultKind {
    /// No octets at all.
    Empty,
    /// More than [`MAX_ADDRESS`](super::MAX_ADDRESS) octets, as typed or with an A-label domain.
    AddressTooLong,
    /// No `@`, or a character that only looks like one.
    NoAtSign,
    /// More than one `@`.
    SecondAtSign,
    /// A C0 or C1 control character, or DEL.
    Control,
    /// White space of any kind; also indicates a display name.
    Space,
    /// A character without a glyph: zero-width, filler, variation selector, tag, unassigned.
    Invisible,
    /// A character that changes the text direction.
    Bidi,
    /// `"`: a quoted local part (RFC 5321 `Quoted-string`).
    Quoted,
    /// `(` or `)`: a comment (RFC 5322 section 3.2.2).
    Comment,
    /// `<` or `>`: a mailbox with a display name, not a bare address.
    AngleBracket,
    /// `,` or `;`: a list or a group.
    List,
    /// `:`, `%` or `!`: a source route, percent hack, bang path or port.
    Route,
    /// `[` or `]`: an address literal (RFC 5321 section 4.1.3).
    AddressLiteral,
    /// `\`: an escape.
    Backslash,
    /// `=?`: an encoded word (RFC 2047), which some mailers would decode into other text.
    EncodedWord,
    /// Nothing before the `@`.
    EmptyLocal,
    /// More than [`MAX_LOCAL`](super::MAX_LOCAL) octets before the `@`.
    LocalTooLong,
    /// A dot at the start or end of the local part, or two in a row.
    LocalDots,
    /// A character whose compatibility form is not allowed in a local part, such as `⑴` or `℀`.
    LocalCharacter,
    /// Nothing after the `@`.
    EmptyDomain,
    /// A domain of more than 253 octets.
    DomainTooLong,
    /// A dot at the start of the domain, or two in a row.
    EmptyLabel,
    /// A dot at the end of the domain.
    TrailingDot,
    /// A label over 63 octets (RFC 1035 section 2.3.4).
    LabelTooLong,
    /// A label that starts or ends with a hyphen (RFC 1123 section 2.1).
    LabelHyphen,
    /// A character not allowed in host names, such as `_`.
    DomainCharacter,
    /// A label that UTS 46 refuses, or an `xn--` label that does not round-trip.
    BadIdna,
    /// A domain without a dot, such as `localhost`.
    NoDot,
    /// A last label that is not a name: `127.0.0.1`, `a.0x7f`.
    NumericTopLevel,
    /// A domain that no public mail can reach (IANA special-use domain names).
    SpecialUse,
}

impl RecipientFaultKind {
    /// The fault, with the octets of the raw text that caused it.
    pub(crate) const fn at(self, span: Range<usize>) -> RecipientFault {
        RecipientFault { kind: self, span }
    }
}

/// A refused recipient. Contains no character of the address, so it is safe to log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientFault {
    /// The rule that was broken.
    pub kind: RecipientFaultKind,
    /// The octets of the raw text that broke it.
    pub span: Range<usize>,
}

impl fmt::Display for RecipientFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Range { start, end } = self.span;
        write!(f, "{} at octets {start}..{end}", self.kind)
    }
}

impl std::error::Error for RecipientFault {}

impl fmt::Display for RecipientFaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the recipient is empty",
            Self::AddressTooLong => "the address is longer than 254 octets",
            Self::NoAtSign => "the address has no @",
            Self::SecondAtSign => "the address has more than one @",
            Self::Control => "control characters are not allowed",
            Self::Space => "white space and display names are not allowed",
            Self::Invisible => "invisible characters are not allowed",
            Self::Bidi => "characters that change the text direction are not allowed",
            Self::Quoted => "quoted local parts are not accepted",
            Self::Comment => "comments are not accepted",
            Self::AngleBracket => "give the bare address without brackets",
            Self::List => "give one address, not a list",
            Self::Route => "routes and ports are not accepted",
            Self::AddressLiteral => "address literals are not accepted",
            Self::Backslash => "escapes are not accepted",
            Self::EncodedWord => "encoded words are not accepted",
            Self::EmptyLocal => "the address has nothing before the @",
            Self::LocalTooLong => "the local part is longer than 64 octets",
            Self::LocalDots => "the local part has a misplaced dot",
            Self::LocalCharacter => "the local part has a character that is not allowed",
            Self::EmptyDomain => "the address has nothing after the @",
            Self::DomainTooLong => "the domain is longer than 253 octets",
            Self::EmptyLabel => "the domain has an empty label",
            Self::TrailingDot => "the domain ends with a dot",
            Self::LabelTooLong => "a label of the domain is longer than 63 octets",
            Self::LabelHyphen => "a label of the domain starts or ends with a hyphen",
            Self::DomainCharacter => "the domain has a character that host names can't have",
            Self::BadIdna => "the domain is not a valid internationalised name",
            Self::NoDot => "the domain has no dot",
            Self::NumericTopLevel => "the domain ends with a number",
            Self::SpecialUse => "no public mail can reach this domain",
        })
    }
}
