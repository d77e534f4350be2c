//! Parses one hop.

use std::net::{IpAddr, Ipv6Addr};

/// An address, optionally with a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`,
/// `[2001:db8::1]:80`. `None` also for an address with a zone id (meaningful on its own host only),
/// `unknown`, and hidden names.
pub(super) fn node(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        return is_port(port).then(|| IpAddr::V6(address).to_canonical());
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let colon = text.find(':')?;
    let address = text[..colon].parse().ok()?;
    is_port(&text[colon..]).then_some(IpAddr::V4(address))
}

/// Nothing, `:` and a port number, or `:` and an obfuscated port (RFC 7239, 6).
fn is_port(text: &str) -> bool {
    match text.strip_prefix(':') {
        None => text.is_empty(),
        Some(hidden) if hidden.starts_with('_') => {
            hidden.len() > 1 && hidden.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        }
        Some(port) => {
            (1..=5).contains(&port.len())
                && port.bytes().all(|b| b.is_ascii_digit())
                && port.parse::<u16>().is_ok()
        }
    }
}
