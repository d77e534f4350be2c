//! The `Origin` header and the rules a restricted key is bound to.
//!
//! Header and rule meet as the same thing, a host in lower-case A-labels; everything else of the
//! header falls away. The check stops other people's web pages. It does not stop scripts, which
//! send what they like: the limits must hold without it.

mod rule;
mod rules;
mod whatwg;

#[cfg(test)]
mod tests;

pub use rule::{OriginRule, RuleFault};
pub use rules::OriginRules;

use std::borrow::Cow;
use std::fmt;

/// Longest header value that is read, in octets: the longest host with scheme, port and room for a
/// path that some non-browser sends.
pub const MAX_ORIGIN: usize = 1024;

/// Where a request says it comes from: `Origin` as the browser sent it, and the host in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    text: &'a str,
    place: Place<'a>,
}

/// What a rule is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// Lower-case A-labels without a trailing dot.
    Host(Cow<'a, str>),
    /// The id of a browser extension, lower case.
    Extension(Cow<'a, str>),
}

/// Why an `Origin` was refused before any rule was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OriginFault {
    /// More than one `Origin` header.
    Repeated,
    /// No octets.
    Empty,
    /// Over [`MAX_ORIGIN`] octets.
    TooLong,
    /// `null`: a sandbox, a file, a redirect; anyone can be that.
    Null,
    /// Control, white space, or an octet beyond ASCII: no browser sends these.
    Octet,
    /// A comma: a list of origins.
    List,
    /// Not a URL as WHATWG reads it; also a bad port.
    Malformed,
    /// Port 0, which nothing can be served from.
    PortZero,
    /// A scheme that is not on the list, or an opaque one.
    Scheme,
    /// No host.
    NoHost,
    /// An IP address, however written.
    Address,
    /// A host with an empty label or a character no host name holds.
    HostName,
    /// An extension scheme whose host is no extension id.
    ExtensionId,
}

impl fmt::Display for OriginFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Repeated => "more than one Origin header",
            Self::Empty => "the origin is empty",
            Self::TooLong => "the origin is too long",
            Self::Null => "the origin is null",
            Self::Octet => "the origin holds an octet no browser sends",
            Self::List => "the origin is a list",
            Self::Malformed => "the origin is no URL",
            Self::PortZero => "the origin has port 0",
            Self::Scheme => "the scheme of the origin is not allowed",
            Self::NoHost => "the origin has no host",
            Self::Address => "the origin is an IP address",
            Self::HostName => "the host of the origin is no domain name",
            Self::ExtensionId => "the origin is no extension id",
        })
    }
}

impl std::error::Error for OriginFault {}

impl<'a> Origin<'a> {
    /// Reads the one `Origin` among all headers of that name. `Ok(None)` if there is none; then no
    /// other header (`Referer`, `Host`) stands in for it.
    ///
    /// # Errors
    /// [`OriginFault::Repeated`] for two, even equal ones; else as [`parse`](Self::parse).
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
        // What browsers send needs no URL parser.
        if let Some(host) = plain_host(text) {
            return Ok(Self { text, place: Place::Host(Cow::Borrowed(host)) });
        }
        Self::parse_whatwg(text)
    }

    /// The way of every value, which the short one must agree with.
    fn parse_whatwg(text: &'a str) -> Result<Self, OriginFault> {
        if text == "null" {
            return Err(OriginFault::Null);
        }
        // The URL parser would trim or drop white space, and map what lies beyond ASCII.
        if !text.bytes().all(|octet| octet.is_ascii_graphic()) {
            return Err(OriginFault::Octet);
        }
        if text.contains(',') {
            return Err(OriginFault::List);
        }
        Ok(Self { text, place: whatwg::place(text)? })
    }

    /// The value exactly as it came: what `Access-Control-Allow-Origin` echoes.
    #[must_use]
    pub const fn as_sent(&self) -> &'a str {
        self.text
    }

    pub(crate) const fn place(&self) -> &Place<'a> {
        &self.place
    }
}

/// The host of `http[s]://host[:port]` in plain lower-case letters, digits, hyphens and dots;
/// `None` sends the value the long way.
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
            // An empty label; and `--` may be `xn--`, which must be decoded to be believed.
            (b'.', b'.') | (b'-', b'-') => return None,
            (b'.', _) => label_start = octet,
            _ => {}
        }
        if !matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.') {
            return None;
        }
        last = octet;
    }
    // A last label that starts with a digit may be an IPv4 address in one of its many spellings.
    (last != b'.' && label_start.is_ascii_lowercase()).then_some(host)
}
