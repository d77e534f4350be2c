//! The proxies whose word is believed: CIDR blocks from the config.

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use crate::limits::TRUSTED_PROXIES;

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
