//! The general parser for origins: the WHATWG URL parser, then this service's own requirements.

use super::{OriginFault, OriginHost};
use std::borrow::Cow;
use url::{Host, ParseError, Url};

/// How this service treats a scheme.
enum Scheme {
    /// A web page; the URL parser has normalised the host.
    Web,
    /// An app's web view (`capacitor://localhost`); the URL parser leaves the host as it is.
    App,
    /// A page of a browser extension; the host is its id.
    Extension(fn(&str) -> bool),
}

fn scheme(name: &str) -> Option<Scheme> {
    Some(match name {
        "http" | "https" => Scheme::Web,
        "capacitor" | "ionic" | "tauri" => Scheme::App,
        "chrome-extension" => Scheme::Extension(is_chrome_id),
        "moz-extension" => Scheme::Extension(is_moz_id),
        _ => return None,
    })
}

/// The host or extension an origin names. Userinfo, port, path, query and fragment are discarded.
pub(super) fn place(text: &str) -> Result<OriginHost<'static>, OriginFault> {
    let url = Url::parse(text).map_err(|error| match error {
        ParseError::EmptyHost => OriginFault::NoHost,
        ParseError::RelativeUrlWithoutBase => OriginFault::Scheme,
        _ => OriginFault::Malformed,
    })?;
    let scheme = scheme(url.scheme()).ok_or(OriginFault::Scheme)?;
    if url.port() == Some(0) {
        return Err(OriginFault::PortZero);
    }
    let host = match url.host().ok_or(OriginFault::NoHost)? {
        Host::Domain("") => return Err(OriginFault::NoHost),
        Host::Domain(host) => host.to_ascii_lowercase(),
        Host::Ipv4(_) | Host::Ipv6(_) => return Err(OriginFault::Address),
    };
    match scheme {
        Scheme::Web => host_name(&host).map(OriginHost::Host),
        // An opaque host can be anything; parsing it as a web host refuses addresses and escapes.
        Scheme::App if host.contains('%') => Err(OriginFault::HostName),
        Scheme::App => parse_host(&host).map(|host| OriginHost::Host(Cow::Owned(host))),
        Scheme::Extension(is_id) if is_id(&host) => Ok(OriginHost::Extension(Cow::Owned(host))),
        Scheme::Extension(_) => Err(OriginFault::ExtensionId),
    }
}

/// A host as in a web URL: percent-decoded, UTS 46, lower-case A-labels, not an address.
pub(super) fn parse_host(host: &str) -> Result<String, OriginFault> {
    match Host::parse(host) {
        Ok(Host::Domain(name)) => host_name(&name).map(Cow::into_owned),
        Ok(Host::Ipv4(_) | Host::Ipv6(_)) => Err(OriginFault::Address),
        Err(_) => Err(OriginFault::HostName),
    }
}

/// Drops one trailing dot and refuses what DNS can't hold. `_` is allowed: real hosts have it, and
/// `mybrand.com_.evil.com` is below `evil.com` whatever precedes it.
fn host_name(host: &str) -> Result<Cow<'static, str>, OriginFault> {
    let name = host.strip_suffix('.').unwrap_or(host);
    let fits = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|octet| matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
    };
    if name.split('.').all(fits) { Ok(Cow::Owned(name.to_owned())) } else { Err(OriginFault::HostName) }
}

/// 32 letters from `a` to `p`: 128 bits in Chrome's own hexadecimal
/// (<https://developer.chrome.com/docs/extensions/reference/manifest/key>).
pub(super) fn is_chrome_id(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|octet| matches!(octet, b'a'..=b'p'))
}

/// The UUID that Firefox draws for an extension at each installation
/// (<https://developer.mozilla.org/docs/Mozilla/Add-ons/WebExtensions/manifest.json/web_accessible_resources>).
pub(super) fn is_moz_id(id: &str) -> bool {
    const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
    let is_hex = |octet: u8| matches!(octet, b'0'..=b'9' | b'a'..=b'f');
    id.split('-').map(str::len).eq(GROUPS) && id.bytes().all(|octet| octet == b'-' || is_hex(octet))
}
