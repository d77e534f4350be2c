//! TCP listeners of all lanes on one port.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use crate::limits;

/// Binds one listener per lane; the kernel spreads new connections over them.
///
/// As with UDP, the first listener is bound exclusively and shares its port only afterwards: if
/// another process listens there, even one of the same user with `SO_REUSEPORT`, this fails instead
/// of silently joining.
pub(crate) fn bind_lanes(address: SocketAddr, lanes: usize) -> io::Result<Vec<TcpListener>> {
    (0..lanes).map(|lane| listen(address, lane == 0)).collect()
}

fn listen(address: SocketAddr, alone: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_nonblocking(true)?;
    // Lets a restarted server bind while old connections are in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(!alone)?;
    socket.bind(&address.into())?;
    socket.set_reuse_port(true)?;
    socket.listen(limits::TCP_BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_second_server_does_not_join_a_port_in_use() {
        for address in ["127.0.0.1:0", "[::1]:0", "[::]:0"] {
            let held = bind_lanes(address.parse().unwrap(), 1).unwrap();
            let bound = held[0].local_addr().unwrap();
            assert_eq!(bind_lanes(bound, 2).unwrap_err().kind(), io::ErrorKind::AddrInUse, "{address}");
            drop(held);
            assert_eq!(bind_lanes(bound, 3).unwrap().len(), 3, "{address}");
        }
    }
}
