//! The `Origin` header and the rules a restricted key is bound to.
//!
//! Header and rule are both reduced to a host in lower-case A-labels; the rest of the header is
//! discarded. The check stops other people's web pages. It does not stop scripts, which can send
//! any header: the limits must hold without it.

mod rule;
mod rules;
mod whatwg;

#[cfg(test)]
mod tests;

pub use rule::{OriginRule, RuleFault};
pub use rules::OriginRules;

use std::borrow::Cow;
use std::fmt;

/// Longest header value that is parsed, in octets: the longest host with scheme, port, and some
/// room for a path, which some non-browsers send.
pub const MAX_ORIGIN: usize = 1024;

/// The origin of a request: `Origin` as the browser sent it, and its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    text: &'a str,
    place: OriginHost<'a>,
}

/// The part of an origin that rules are compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OriginHost<'a> {
    /// Lower-case A-labels without a trailing dot.
    Host(Cow<'a, str>),
    /// The id of a browser extension, lower case.
    Extension(Cow<'a, str>),
}

/// Why an `Origin` was refused before any rule was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OriginFault {
    /// More than one `Origin` header.
    Repeated,
    /// No octets.
    Empty,
    /// Over [`MAX_ORIGIN`] octets.
    TooLong,
    /// `null`: a sandbox, a file or a redirect; anyone can produce it.
    Null,
    /// A control character, white space, or an octet beyond ASCII: no browser sends these.
    Octet,
    /// A comma: a list of origins.
    List,
    /// Not a URL by the WHATWG standard, or an invalid port.
    Malformed,
    /// Port 0, on which nothing can be served.
    PortZero,
    /// A scheme that is not on the list, or an opaque origin.
    Scheme,
    /// No host.
    NoHost,
    /// An IP address, in any notation.
    Address,
    /// A host with an empty label or a character not allowed in host names.
    HostName,
    /// An extension scheme whose host is not an extension id.
    ExtensionId,
}

impl fmt::Display for OriginFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Repeated => "more than one Origin header",
            Self::Empty => "the origin is empty",
            Self::TooLong => "the origin is too long",
            Self::Null => "the origin is null",
            Self::Octet => "the origin has an octet that no browser sends",
            Self::List => "the origin is a list",
            Self::Malformed => "the origin is not a URL",
            Self::PortZero => "the origin has port 0",
            Self::Scheme => "the scheme of the origin is not allowed",
            Self::NoHost => "the origin has no host",
            Self::Address => "the origin is an IP address",
            Self::HostName => "the host of the origin is not a domain name",
            Self::ExtensionId => "the origin is not an extension id",
        })
    }
}

impl std::error::Error for OriginFault {}

impl<'a> Origin<'a> {
    /// Reads the single `Origin` among all headers of that name. `Ok(None)` if there is none; no
    /// other header (`Referer`, `Host`) is used in its place.
    ///
    /// # Errors
    /// [`OriginFault::Repeated`] for more than one, even equal ones; otherwise as
    /// [`parse`](Self::parse).
    pub fn from_headers(mut values: impl Iterator<Item = &'a [u8]>) -> Result<Option<Self>, OriginFault> {
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => Self::parse(value).map(Some),
            (Some(_), Some(_)) => Err(OriginFault::Repeated),
        }
    }

    /// Reads an `Origin` value as the WHATWG URL Standard would.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn parse(value: &'a [u8]) -> Result<Self, OriginFault> {
        if value.is_empty() {
            return Err(OriginFault::Empty);
        }
        if value.len() > MAX_ORIGIN {
            return Err(OriginFault::TooLong);
        }
        let text = std::str::from_utf8(value).map_err(|_| OriginFault::Octet)?;
        // Fast path: what browsers send needs no URL parser.
        if let Some(host) = plain_host(text) {
            return Ok(Self { text, place: OriginHost::Host(Cow::Borrowed(host)) });
        }
        Self::parse_whatwg(text)
    }

    /// The general parser. The fast path must agree with it.
    fn parse_whatwg(text: &'a str) -> Result<Self, OriginFault> {
        if text == "null" {
            return Err(OriginFault::Null);
        }
        // The URL parser would trim or drop white space, and map non-ASCII characters.
        if !text.bytes().all(|octet| octet.is_ascii_graphic()) {
            return Err(OriginFault::Octet);
        }
        if text.contains(',') {
            return Err(OriginFault::List);
        }
        Ok(Self { text, place: whatwg::place(text)? })
    }

    /// The value exactly as it was sent, for `Access-Control-Allow-Origin`.
    #[must_use]
    pub const fn as_sent(&self) -> &'a str {
        self.text
    }

    pub(crate) const fn place(&self) -> &OriginHost<'a> {
        &self.place
    }
}

/// The host of `http[s]://host[:port]` in plain lower-case letters, digits, hyphens and dots;
/// `None` if the general parser is needed.
fn plain_host(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let host = match rest.split_once(':') {
        None => rest,
        Some((host, port)) => {
            let first_counts = matches!(port.as_bytes(), [b'1'..=b'9', ..]);
            let in_range = port.len() <= 5 && port.parse::<u16>().is_ok();
            (first_counts && in_range).then_some(host)?
        }
    };
    let mut last = b'.';
    let mut label_start = b'.';
    for octet in host.bytes() {
        match (last, octet) {
            // An empty label; or `--`, which may belong to `xn--`, whose label must be decoded to
            // be valid.
            (b'.', b'.') | (b'-', b'-') => return None,
            (b'.', _) => label_start = octet,
            _ => {}
        }
        if !matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.') {
            return None;
        }
        last = octet;
    }
    // A last label that starts with a digit may be an IPv4 address in one of its many notations.
    (last != b'.' && label_start.is_ascii_lowercase()).then_some(host)
}
