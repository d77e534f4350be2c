//! Lists of networks from the config: CIDR blocks and single addresses.

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use crate::limits::CONFIGURED_BLOCKS;
use crate::peer::Prefix;

/// A list of networks. Immutable; usually empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blocks(Vec<IpNet>);

/// Why a list of networks can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockFault {
    /// Neither `192.0.2.0/24` nor an address.
    NotABlock,
    /// `192.0.2.1/24`: was the host meant, or the network?
    HostBits,
    /// Every address; no list here may cover every address.
    Everybody,
    /// More than [`CONFIGURED_BLOCKS`].
    TooMany,
}

impl fmt::Display for BlockFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotABlock => f.write_str("not an address or a block such as 192.0.2.0/24"),
            Self::HostBits => f.write_str("the block has host bits set; write 192.0.2.0/24 or 192.0.2.1/32"),
            Self::Everybody => f.write_str("covers every address"),
            Self::TooMany => write!(f, "more than {CONFIGURED_BLOCKS} blocks"),
        }
    }
}

impl Blocks {
    /// Reads a list of CIDR blocks and single addresses.
    ///
    /// # Errors
    /// The index of the first entry that can't be used, and why.
    pub fn parse<S: AsRef<str>>(entries: &[S]) -> Result<Self, (usize, BlockFault)> {
        if entries.len() > CONFIGURED_BLOCKS {
            return Err((CONFIGURED_BLOCKS, BlockFault::TooMany));
        }
        let blocks = entries.iter().enumerate();
        let blocks = blocks.map(|(at, entry)| block(entry.as_ref()).map_err(|fault| (at, fault)));
        blocks.collect::<Result<_, _>>().map(Self)
    }

    /// The blocks of both lists.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self(self.0.iter().chain(&other.0).copied().collect())
    }

    /// Whether this (canonical) address lies in one of the blocks.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|block| block.contains(&address))
    }

    /// Whether one of the blocks shares an address with this network.
    pub fn overlap(&self, prefix: Prefix) -> bool {
        let shares = |net: &IpNet| self.0.iter().any(|block| block.contains(net) || net.contains(block));
        !self.0.is_empty() && prefix.net().is_some_and(|net| shares(&net))
    }
}

fn block(text: &str) -> Result<IpNet, BlockFault> {
    let text = text.trim();
    let block = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse().map_err(|_| BlockFault::NotABlock)?,
    };
    let block = canonical(block);
    if block.prefix_len() == 0 {
        return Err(BlockFault::Everybody);
    }
    if block.network() != block.addr() {
        return Err(BlockFault::HostBits);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_overlap_if_either_contains_the_other() {
        let blocks = Blocks::parse(&["192.0.2.0/24", "2001:db8:a:100::/64", "2001:db8:c00::/40"]).unwrap();
        for (prefix, overlaps) in [
            ("192.0.2.9", true),
            ("192.0.3.9", false),
            ("2001:db8:a:100::9/64", true),
            ("2001:db8:a:101::9/64", false),
            ("2001:db8:a:101::9/56", true),
            ("2001:db8:a:2ff::9/56", false),
            ("2001:db8:a::/48", true),
            ("2001:db8:cc1::/48", true),
            ("2001:db8:100::/48", false),
        ] {
            assert_eq!(blocks.overlap(prefix.parse().unwrap()), overlaps, "{prefix}");
        }
        assert!(!Blocks::default().overlap("192.0.2.9".parse().unwrap()));
    }
}
