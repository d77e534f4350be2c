//! Who the peer is when a proxy stands between: `Forwarded` (RFC 7239) and `X-Forwarded-For`.
//!
//! ```text
//!   network peer trusted? ── no ──▶ it is the peer; nothing it sends is read
//!        │ yes
//!        ▼
//!   last hop ─ trusted? ─ yes ─▶ the one before ─ … ─ none left ─▶ the left-most hop is the peer
//!        │          └─ no ──▶ it is the peer
//!        └ unreadable, hidden (`unknown`, `_name`) ──▶ the proxy that wrote it is the peer
//! ```
//!
//! A list is read from its right end, the only end that a proxy we trust has written; what stands left
//! of the first untrusted hop is whatever that hop chose to send, and is never looked at. So that an open
//! quote in there can't swallow what the proxy added, even the cuts between elements are looked for from
//! the right.
//!
//! Two lists that name different peers are refused, not ranked: a proxy that writes only one of them
//! passes the other through as it came, so preferring either would let the caller behind such a proxy
//! choose whose limits are charged. `X-Real-IP`, `CF-Connecting-IP` and their kin are not read at all.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

use crate::limits::{FORWARDED_HOPS, TRUSTED_PROXIES};

/// Whose word on where a request came from is believed. Immutable; usually empty.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<IpNet>);

/// Why a list of trusted proxies can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyFault {
    /// Neither `192.0.2.0/24` nor an address.
    NotABlock,
    /// `192.0.2.1/24`: was the host meant, or the network?
    HostBits,
    /// Everybody: then everybody chooses his own address.
    Everybody,
    /// More than [`TRUSTED_PROXIES`].
    TooMany,
}

impl fmt::Display for ProxyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotABlock => f.write_str("not an address or a block such as 192.0.2.0/24"),
            Self::HostBits => f.write_str("the block has host bits set; write 192.0.2.0/24 or 192.0.2.1/32"),
            Self::Everybody => f.write_str("trusts everybody, so that everybody chooses his own address"),
            Self::TooMany => write!(f, "more than {TRUSTED_PROXIES} blocks"),
        }
    }
}

impl TrustedProxies {
    /// Reads a list of CIDR blocks and single addresses.
    ///
    /// # Errors
    /// The index of the first entry that can't be used, and why.
    pub fn parse<S: AsRef<str>>(entries: &[S]) -> Result<Self, (usize, ProxyFault)> {
        if entries.len() > TRUSTED_PROXIES {
            return Err((TRUSTED_PROXIES, ProxyFault::TooMany));
        }
        let blocks = entries.iter().enumerate();
        let blocks = blocks.map(|(at, entry)| block(entry.as_ref()).map_err(|fault| (at, fault)));
        blocks.collect::<Result<_, _>>().map(Self)
    }

    /// Whether this (canonical) address is a trusted proxy's.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|block| block.contains(&address))
    }
}

fn block(text: &str) -> Result<IpNet, ProxyFault> {
    let text = text.trim();
    let block = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse().map_err(|_| ProxyFault::NotABlock)?,
    };
    let block = canonical(block);
    if block.prefix_len() == 0 {
        return Err(ProxyFault::Everybody);
    }
    if block.network() != block.addr() {
        return Err(ProxyFault::HostBits);
    }
    Ok(block)
}

/// `::ffff:192.0.2.0/120` is `192.0.2.0/24`, as a mapped address is its IPv4 address.
fn canonical(block: IpNet) -> IpNet {
    let mapped = block.addr().to_canonical();
    match (block, mapped, block.prefix_len().checked_sub(96)) {
        (IpNet::V6(_), IpAddr::V4(address), Some(prefix)) => {
            Ipv4Net::new(address, prefix).map_or(block, IpNet::V4)
        }
        _ => block,
    }
}

/// `Forwarded` and `X-Forwarded-For` name different peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contradiction;

/// The peer of a request that came from `network`, with the whole value of each list (`None`: not sent).
///
/// # Errors
/// Both lists are there and name different peers (see the module's doc for why neither may win).
pub fn peer(
    network: IpAddr,
    trusted: &TrustedProxies,
    forwarded: Option<&[u8]>,
    x_forwarded_for: Option<&[u8]>,
) -> Result<IpAddr, Contradiction> {
    let network = network.to_canonical();
    if !trusted.contains(network) {
        return Ok(network);
    }
    let by_forwarded =
        forwarded.map(|list| walk(network, trusted, Elements(Some(list)).map(node_of_element)));
    let by_x_forwarded_for = x_forwarded_for.map(|list| walk(network, trusted, hops(list)));
    match (by_forwarded, by_x_forwarded_for) {
        (Some(one), Some(other)) if one != other => Err(Contradiction),
        (named, other) => Ok(named.or(other).unwrap_or(network)),
    }
}

/// Goes from hop to hop, the last one first, as far as trust reaches.
fn walk(
    network: IpAddr,
    trusted: &TrustedProxies,
    from_the_right: impl Iterator<Item = Option<IpAddr>>,
) -> IpAddr {
    let mut peer = network;
    for hop in from_the_right.take(FORWARDED_HOPS) {
        let Some(address) = hop else { return peer };
        peer = address;
        if !trusted.contains(address) {
            return peer;
        }
    }
    peer
}

/// The hops of `X-Forwarded-For`, last first; `None` for what is no address.
fn hops(list: &[u8]) -> impl Iterator<Item = Option<IpAddr>> {
    list.rsplit(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|hop| !hop.is_empty()).map(node)
}

/// An address, perhaps with a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
/// `None` also for a zone id (only its own host knows what it means), `unknown`, and hidden names.
fn node(text: &[u8]) -> Option<IpAddr> {
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

/// Nothing, `:` and a port number, or a hidden port (RFC 7239, 6).
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

/// The elements of a `Forwarded` list, last first, each trimmed; empty ones are skipped (RFC 9110, 5.6.1).
struct Elements<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let rest = self.0?;
            let comma = last_bare_comma(rest);
            self.0 = comma.map(|at| &rest[..at]);
            let element = rest[comma.map_or(0, |at| at + 1)..].trim_ascii();
            if !element.is_empty() {
                return Some(element);
            }
        }
    }
}

/// The last comma outside quotes, seen from the right, where the quotes are the proxy's own.
fn last_bare_comma(list: &[u8]) -> Option<usize> {
    let mut quoted = false;
    for (at, &byte) in list.iter().enumerate().rev() {
        match byte {
            b'"' if quoted && is_escaped(list, at) => {}
            b'"' => quoted = !quoted,
            b',' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// Whether an odd number of backslashes stands before this place.
fn is_escaped(list: &[u8], at: usize) -> bool {
    list[..at].iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1
}

/// What one element's `for` names; `None` if it hides, is missing, said twice, or the element is broken.
fn node_of_element(element: &[u8]) -> Option<IpAddr> {
    let (mut rest, mut named) = (element, None);
    loop {
        let (pair, after) = pair(rest)?;
        if let Some((name, value)) = pair
            && name.eq_ignore_ascii_case(b"for")
            && named.replace(value).is_some()
        {
            return None;
        }
        match after.split_first() {
            None => break,
            Some((b';', next)) => rest = next,
            Some(_) => return None,
        }
    }
    match named? {
        Value::Quoted(text) => node(&text),
        // Brackets and colons are no token characters: only IPv4 without a port stands bare.
        Value::Token(text) => node(text),
    }
}

enum Value<'a> {
    Token(&'a [u8]),
    Quoted(Vec<u8>),
}

type Pair<'a> = Option<(&'a [u8], Value<'a>)>;

/// Reads `[token "=" (token / quoted-string)]` off the front. The outer `None`: neither.
fn pair(text: &[u8]) -> Option<(Pair<'_>, &[u8])> {
    let text = text.trim_ascii_start();
    if matches!(text.first(), None | Some(b';')) {
        return Some((None, text));
    }
    let (name, rest) = token(text)?;
    let rest = rest.strip_prefix(b"=")?;
    let (value, rest) = match rest.strip_prefix(b"\"") {
        Some(quoted) => unquote(quoted).map(|(value, rest)| (Value::Quoted(value), rest))?,
        None => token(rest).map(|(value, rest)| (Value::Token(value), rest))?,
    };
    Some((Some((name, value)), rest.trim_ascii_start()))
}

/// One or more token characters (RFC 9110, 5.6.2), and what follows.
fn token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let end = text.iter().position(|byte| !is_token(byte)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// The rest of a quoted string whose first quote is behind us, and what follows its last.
fn unquote(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (mut value, mut at) = (Vec::new(), 0);
    loop {
        match *text.get(at)? {
            b'"' => return Some((value, &text[at + 1..])),
            b'\\' => {
                value.push(*text.get(at + 1)?);
                at += 2;
            }
            byte => {
                value.push(byte);
                at += 1;
            }
        }
    }
}
