//! The sender of a datagram: an address and a port.

use std::net::{IpAddr, SocketAddr};

/// All bytes are initialised. A [`SocketAddr`] with an IPv4 address has a dozen padding bytes:
/// copied from a stack, they carry along what was there before, such as a code, and a table would
/// keep that for as long as the connection lives.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Sender([u8; 18]);

impl From<SocketAddr> for Sender {
    fn from(address: SocketAddr) -> Self {
        let ip = match address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let mut bytes = [0; 18];
        bytes[..16].copy_from_slice(&ip.octets());
        bytes[16..].copy_from_slice(&address.port().to_be_bytes());
        Self(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_is_one_sender_however_it_is_written() {
        let sender = |text: &str| Sender::from(text.parse::<SocketAddr>().unwrap());
        assert!(sender("192.0.2.7:443") == sender("[::ffff:192.0.2.7]:443"));
        for other in ["192.0.2.7:444", "192.0.2.8:443", "[2001:db8::7]:443"] {
            assert!(sender("192.0.2.7:443") != sender(other));
        }
    }
}
