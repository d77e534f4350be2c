//! One entry of a key's origin list: a raw domain, a wildcard, `localhost`, or an extension id.

use super::whatwg::{is_chrome_id, is_moz_id, parse_host};
use super::{Origin, OriginFault, OriginHost};
use std::fmt;
use std::net::Ipv6Addr;

/// An origin that a rule can name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OriginRule {
    /// `mybrand.com` or `localhost`: exactly that host.
    Host(Box<str>),
    /// `*.mybrand.com`, stored without its `*.`: one or more labels below, not the domain itself.
    Below(Box<str>),
    /// The bare id of a Chrome or Firefox extension.
    Extension(Box<str>),
}

/// Why a text is not a rule. Shown to the operator when the rule is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RuleFault {
    /// No characters.
    Empty,
    /// `https://…`, also `chrome-extension://…`.
    Scheme,
    /// `user@…`.
    UserInfo,
    /// `…:8443`.
    Port,
    /// `…/path`, `…?query`, `…#fragment`.
    Path,
    /// `*` alone, or a `*` that is not the whole first label.
    Wildcard,
    /// A wildcard over part of an IP address.
    WildcardAddress,
    /// A wildcard over a public suffix, below which the names belong to strangers.
    WildcardPublicSuffix,
    /// An IP address.
    Address,
    /// A name without a dot that is not `localhost`.
    NoDot,
    /// Any other text that is not a domain name.
    NotADomain,
}

impl fmt::Display for RuleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the rule is empty",
            Self::Scheme => "give the domain without a scheme, an extension by its bare id",
            Self::UserInfo => "give the domain without a user name",
            Self::Port => "give the domain without a port: every port of it is allowed",
            Self::Path => "give the domain without path, query or fragment",
            Self::Wildcard => "a wildcard must be the whole first label, as in *.mybrand.com",
            Self::WildcardAddress => "an IP address can't have a wildcard",
            Self::WildcardPublicSuffix => {
                "below a public suffix the names belong to strangers: give your own domain"
            }
            Self::Address => "give a domain name, not an IP address",
            Self::NoDot => "the domain has no dot; only localhost needs none",
            Self::NotADomain => "the rule is not a domain name",
        })
    }
}

impl std::error::Error for RuleFault {}

impl OriginRule {
    /// Parses a rule; case, U-labels and a trailing dot are normalised.
    ///
    /// # Errors
    /// The reason, for the operator.
    pub fn parse(text: &str) -> Result<Self, RuleFault> {
        refuse_url_parts(text)?;
        if is_chrome_id(text) || is_moz_id(text) {
            return Ok(Self::Extension(text.into()));
        }
        match text.strip_prefix("*.") {
            Some(base) => Self::below(base),
            None if text.contains('*') => Err(RuleFault::Wildcard),
            None => match rule_host(text)? {
                host if host == "localhost" || host.contains('.') => Ok(Self::Host(host.into())),
                _ => Err(RuleFault::NoDot),
            },
        }
    }

    fn below(base: &str) -> Result<Self, RuleFault> {
        if base.contains('*') {
            return Err(RuleFault::Wildcard);
        }
        // Also `*.0.1`, which WHATWG turns into an address.
        let base = rule_host(base).map_err(|fault| match fault {
            RuleFault::Address => RuleFault::WildcardAddress,
            other => other,
        })?;
        match psl::suffix_str(&base) {
            Some(suffix) if suffix != base => Ok(Self::Below(base.into())),
            _ => Err(RuleFault::WildcardPublicSuffix),
        }
    }

    /// Whether the rule names `origin`.
    #[must_use]
    pub fn allows(&self, origin: &Origin<'_>) -> bool {
        match (self, origin.place()) {
            (Self::Host(rule), OriginHost::Host(host)) => **rule == **host,
            (Self::Below(base), OriginHost::Host(host)) => host
                .strip_suffix(&**base)
                .and_then(|labels| labels.strip_suffix('.'))
                .is_some_and(|labels| !labels.is_empty()),
            (Self::Extension(rule), OriginHost::Extension(id)) => **rule == **id,
            (Self::Host(_) | Self::Below(_), OriginHost::Extension(_))
            | (Self::Extension(_), OriginHost::Host(_)) => false,
        }
    }
}

impl fmt::Display for OriginRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(text) | Self::Extension(text) => f.write_str(text),
            Self::Below(base) => write!(f, "*.{base}"),
        }
    }
}

/// Detects the part of a URL that was pasted along, so that the error names it.
fn refuse_url_parts(text: &str) -> Result<(), RuleFault> {
    if text.is_empty() {
        return Err(RuleFault::Empty);
    }
    if text.contains("://") || text.starts_with("//") {
        return Err(RuleFault::Scheme);
    }
    if text.contains(['/', '\\', '?', '#']) {
        return Err(RuleFault::Path);
    }
    if text.contains('@') {
        return Err(RuleFault::UserInfo);
    }
    let unbracketed = text.trim_start_matches('[').trim_end_matches(']');
    if unbracketed.parse::<Ipv6Addr>().is_ok() || text.starts_with('[') {
        return Err(RuleFault::Address);
    }
    if text.contains(':') {
        return Err(RuleFault::Port);
    }
    Ok(())
}

fn rule_host(text: &str) -> Result<String, RuleFault> {
    // The operator means what is visible: no escapes, no white space, no invisible characters.
    let odd = |c: char| c == '%' || c.is_whitespace() || c.is_control() || is_dropped(c);
    if text.contains(odd) {
        return Err(RuleFault::NotADomain);
    }
    parse_host(text).map_err(|fault| match fault {
        OriginFault::Address => RuleFault::Address,
        _ => RuleFault::NotADomain,
    })
}

/// Characters that UTS 46 would drop silently.
fn is_dropped(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fe00}'..='\u{fe0f}')
}
