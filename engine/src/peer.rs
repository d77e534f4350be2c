//! Peers: the network parties that windows, strikes and bans apply to.
//!
//! ```text
//!   203.0.113.7, ::ffff:203.0.113.7  ──▶  203.0.113.7/32                            thresholds × 1
//!   2001:db8:1:2::9                  ──▶  2001:db8:1:2::/64                         × 1
//!                                         └ 2001:db8:1::/56                         × 4
//!                                           └ 2001:db8:1::/48                       × 16
//! ```
//!
//! One IPv6 line comes with 2⁶⁴ addresses, often with 256 subnets, sometimes with 65,536. So a
//! request is charged to all three prefixes at once, and each has its own windows, strikes and ban.
//! A ban of a /48 covers its subnets; a ban of a /64 does not affect its neighbours.
//!
//! Addresses that embed an IPv4 address in other ways are treated as plain IPv6: a 6to4 host
//! (`2002::/16`) is in the one /48 derived from its IPv4 address; Teredo (`2001::/32`) and NAT64
//! (`64:ff9b::/96`) sources never reach a server outside the translator's own network.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The width of a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// One IPv4 address.
    V4,
    /// One IPv6 subnet.
    V6Net64,
    /// The usual size for one customer line.
    V6Net56,
    /// The usual size for one site.
    V6Net48,
}

impl Level {
    /// The factor applied to a peer's thresholds for this prefix.
    pub const fn factor(self) -> u32 {
        match self {
            Self::V4 | Self::V6Net64 => 1,
            Self::V6Net56 => 4,
            Self::V6Net48 => 16,
        }
    }

    const fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6Net64 => 64,
            Self::V6Net56 => 56,
            Self::V6Net48 => 48,
        }
    }

    /// The bits of an IPv6 address's upper half that belong to a prefix of this width.
    const fn mask(self) -> u64 {
        match self {
            Self::V4 | Self::V6Net64 => u64::MAX,
            Self::V6Net56 => u64::MAX << 8,
            Self::V6Net48 => u64::MAX << 16,
        }
    }
}

/// A network of one of the four widths. `Debug` redacts it; `Display` is for operators.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    /// An IPv4 address, or the upper half of an IPv6 address with the host part cleared.
    bits: u64,
    level: Level,
}

/// Not derived, so that it hashes one word instead of two: this happens for every datagram.
impl Hash for Prefix {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Wider prefixes have zeros in the bits that the level changes, so different prefixes
        // rarely collide.
        state.write_u64(self.bits ^ u64::from(self.level.factor()));
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prefix({:?}, redacted)", self.level)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.level.bits();
        match self.level {
            Level::V4 => write!(f, "{}/{bits}", Ipv4Addr::from_bits(self.bits as u32)),
            _ => write!(f, "{}/{bits}", Ipv6Addr::from_bits(u128::from(self.bits) << 64)),
        }
    }
}

impl Prefix {
    /// Its width.
    pub const fn level(self) -> Level {
        self.level
    }

    /// Its addresses, as they appear in packets.
    pub const fn sources(self) -> Sources {
        match self.level {
            Level::V4 => Sources::V4(self.bits as u32),
            level => Sources::V6 { first: self.bits, last: self.bits | !level.mask() },
        }
    }

    /// Whether `address` lies in it.
    pub fn covers(self, address: IpAddr) -> bool {
        Peer::from(address).at(self.level) == Some(self)
    }

    /// Whether `127.0.0.1` or `::1` lies in it.
    pub(crate) fn is_of_localhost(self) -> bool {
        match self.level {
            Level::V4 => self.bits == u64::from(Ipv4Addr::LOCALHOST.to_bits()),
            // The upper half of `::1`; its /56 and its /48 have the same bits.
            _ => self.bits == 0,
        }
    }

    /// The prefix as an [`IpNet`].
    pub(crate) fn net(self) -> Option<IpNet> {
        let width = self.level.bits();
        match self.level {
            Level::V4 => Ipv4Net::new(Ipv4Addr::from_bits(self.bits as u32), width).ok().map(IpNet::V4),
            _ => Ipv6Net::new(Ipv6Addr::from_bits(u128::from(self.bits) << 64), width).ok().map(IpNet::V6),
        }
    }

    /// The widest prefix around it, which determines the shard.
    pub(crate) fn network(self) -> Self {
        match self.level {
            Level::V4 => self,
            _ => Self { bits: self.bits & Level::V6Net48.mask(), level: Level::V6Net48 },
        }
    }

    /// Nine bytes that name it, for keyed hashing.
    pub(crate) fn bytes(self) -> [u8; 9] {
        let mut bytes = [self.level.bits(); 9];
        bytes[..8].copy_from_slice(&self.bits.to_be_bytes());
        bytes
    }
}

/// The addresses of a [`Prefix`], for code that matches packets itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sources {
    /// One IPv4 address.
    V4(u32),
    /// IPv6 addresses, given by their upper halves. The lower half is arbitrary, except where the
    /// address would be IPv4-mapped.
    V6 {
        /// The lowest upper half.
        first: u64,
        /// The highest upper half.
        last: u64,
    },
}

/// The text is neither an address nor a prefix of a width that can be banned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MalformedPrefix;

impl fmt::Display for MalformedPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an IPv4 address, nor an IPv6 address or network (/64, /56, /48)")
    }
}

impl std::error::Error for MalformedPrefix {}

/// Parses `203.0.113.7`, `203.0.113.7/32`, `2001:db8::9` (its /64), `2001:db8::/48`.
impl FromStr for Prefix {
    type Err = MalformedPrefix;

    fn from_str(text: &str) -> Result<Self, MalformedPrefix> {
        let (address, width) = text.split_once('/').map_or((text, None), |(a, width)| (a, Some(width)));
        let peer = Peer::from(address.parse::<IpAddr>().map_err(|_| MalformedPrefix)?);
        let level = match (width, peer.0.level) {
            (None, level) => level,
            (Some("32"), Level::V4) => Level::V4,
            (Some("64"), Level::V6Net64) => Level::V6Net64,
            (Some("56"), Level::V6Net64) => Level::V6Net56,
            (Some("48"), Level::V6Net64) => Level::V6Net48,
            _ => return Err(MalformedPrefix),
        };
        peer.at(level).ok_or(MalformedPrefix)
    }
}

/// One network party: an IPv4 address or an IPv6 /64. Its wider networks are derived from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer(Prefix);

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(Prefix { bits: u64::from(v4.to_bits()), level: Level::V4 }),
            IpAddr::V6(v6) => Self(Prefix { bits: (v6.to_bits() >> 64) as u64, level: Level::V6Net64 }),
        }
    }
}

impl Peer {
    /// The /32 or /64.
    pub const fn unit(self) -> Prefix {
        self.0
    }

    /// The usual size for one customer line: an IPv4 address, or an IPv6 /56.
    pub fn line(self) -> Prefix {
        self.at(Level::V6Net56).unwrap_or(self.0)
    }

    /// Its prefixes, the narrowest first: one for IPv4, three for IPv6.
    pub fn prefixes(self) -> impl Iterator<Item = Prefix> {
        const V6: [Level; 3] = [Level::V6Net64, Level::V6Net56, Level::V6Net48];
        let levels: &[Level] = if self.0.level == Level::V4 { &[Level::V4] } else { &V6 };
        levels.iter().map(move |&level| Prefix { bits: self.0.bits & level.mask(), level })
    }

    fn at(self, level: Level) -> Option<Prefix> {
        self.prefixes().find(|prefix| prefix.level == level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Peer {
        Peer::from(text.parse::<IpAddr>().unwrap())
    }

    fn shown(peer: Peer) -> Vec<String> {
        peer.prefixes().map(|prefix| prefix.to_string()).collect()
    }

    #[test]
    fn an_address_is_charged_to_every_network_around_it() {
        assert_eq!(shown(peer("203.0.113.7")), ["203.0.113.7/32"]);
        assert_eq!(shown(peer("::ffff:203.0.113.7")), ["203.0.113.7/32"]);
        assert_eq!(
            shown(peer("2001:db8:1:2345:6::9")),
            ["2001:db8:1:2345::/64", "2001:db8:1:2300::/56", "2001:db8:1::/48"]
        );
        assert_eq!(peer("2001:db8::1"), peer("2001:db8::ffff:0:2"));
        assert_ne!(peer("2001:db8::1"), peer("2001:db8:0:1::1"));
    }

    #[test]
    fn a_prefix_covers_its_own_addresses_only() {
        let (site, subnet): (Prefix, Prefix) =
            ("2001:db8:1::/48".parse().unwrap(), "2001:db8:1:2::/64".parse().unwrap());
        let inside = "2001:db8:1:2::77".parse().unwrap();
        assert!(site.covers(inside) && subnet.covers(inside));
        assert!(site.covers("2001:db8:1:3::1".parse().unwrap()));
        assert!(!subnet.covers("2001:db8:1:3::1".parse().unwrap()));
        assert!(!site.covers("2001:db8:2::1".parse().unwrap()));
        assert!(!site.covers("1.2.3.4".parse().unwrap()));
        let v4: Prefix = "1.2.3.4".parse().unwrap();
        assert!(v4.covers("::ffff:1.2.3.4".parse().unwrap()));
        assert!(!v4.covers("::1.2.3.4".parse().unwrap()), "no mapped address");
    }

    #[test]
    fn an_operator_names_what_can_be_banned() {
        for (text, read) in [
            ("1.2.3.4", "1.2.3.4/32"),
            ("1.2.3.4/32", "1.2.3.4/32"),
            ("::ffff:1.2.3.4", "1.2.3.4/32"),
            ("2001:db8::9", "2001:db8::/64"),
            ("2001:db8:0:345::9/56", "2001:db8:0:300::/56"),
            ("2001:db8::/48", "2001:db8::/48"),
        ] {
            assert_eq!(text.parse::<Prefix>().unwrap().to_string(), read);
        }
        for text in ["", "1.2.3", "1.2.3.4/24", "2001:db8::/32", "2001:db8::/", "fe80::1%eth0", "1.2.3.4/64"]
        {
            assert_eq!(text.parse::<Prefix>(), Err(MalformedPrefix), "{text}");
        }
    }

    #[test]
    fn a_peer_is_never_printed_by_accident() {
        let text = format!("{:?} {:?}", peer("203.0.113.7"), peer("2001:db8::1").unit());
        assert!(!text.contains("113") && !text.contains("db8"), "{text}");
    }
}
