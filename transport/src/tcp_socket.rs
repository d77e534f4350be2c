//! TCP listeners of all lanes on one port.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use crate::limits;

/// Binds one listener per lane; the kernel spreads new connections over them. The UDP sockets of the
/// same port were bound first and refuse a second server.
pub fn bind_lanes(address: SocketAddr, lanes: usize) -> io::Result<Vec<TcpListener>> {
    (0..lanes).map(|_| listen(address)).collect()
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_nonblocking(true)?;
    // A restarted server need not wait for the old connections' last packets.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(limits::TCP_BACKLOG)?;
    Ok(socket.into())
}
