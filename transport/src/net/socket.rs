//! UDP sockets of all lanes on one port, and the steering that keeps a connection on its lane.
//!
//! The kernel spreads datagrams over a `SO_REUSEPORT` group by 4-tuple, so a phone that changes
//! network would reach a lane that does not know its connection. A classic BPF program on the group
//! therefore picks the socket by the destination connection id ([`steering`]; it sees the UDP
//! payload and needs no privileges), and each endpoint draws ids that map to its own lane
//! ([`ids`]).
//!
//! A client's first packets carry an id of its own choice. They are spread by that id, and the
//! endpoint that they reach answers with an id that maps to its lane.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use socket2::{Domain, Protocol, Socket, Type};

mod filter;
mod filtering;
mod ids;
mod kernel_drop;
mod steering;
pub(crate) use filtering::{FilterParts, FilteringSocket};
pub(crate) use ids::{IdMark, LaneConnectionIds};
pub(crate) use kernel_drop::KernelDrop;
pub(crate) use steering::Steering;

/// Receive buffer of a lane's socket; the kernel doubles it for its own overhead. Holds about 1,300
/// small datagrams or 450 full ones: 20 ms of requests, or 140 ms of handshakes, enough for phones
/// that are woken at the same moment. A larger buffer would not get datagrams served sooner, but
/// they would be stale when read: under overload the buffer is always full, and its senders have
/// sent the same again or given up.
const RECEIVE_BUFFER_BYTES: usize = 512 << 10;
/// Send buffer of a lane: a burst of 3,000 full datagrams. The kernel may grant less.
const SEND_BUFFER_BYTES: usize = 4 << 20;

/// Binds one socket per lane to `address`, in lane order. With port 0 the first bind picks the
/// port.
///
/// The first socket is bound exclusively and shares its port only afterwards: if another process,
/// even one of the same user, already holds the port, this fails instead of silently joining.
pub(crate) fn bind_lanes(address: SocketAddr, steering: &Steering) -> io::Result<Vec<UdpSocket>> {
    let lanes = steering.lanes();
    let first = open(address)?;
    first.bind(&address.into())?;
    first.set_reuse_port(true)?;
    let bound: UdpSocket = first.into();
    let address = bound.local_addr()?;
    let mut sockets = vec![bound];
    for _ in 1..lanes {
        let next = open(address)?;
        next.set_reuse_port(true)?;
        next.bind(&address.into())?;
        sockets.push(next.into());
    }
    if lanes > 1 {
        steer(&sockets[0], steering)?;
    }
    Ok(sockets)
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        // `[::]` serves both families; any other IPv6 address serves only its own.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    Ok(socket)
}

/// Attaches the steering program to the group that `socket` belongs to.
fn steer(socket: &UdpSocket, steering: &Steering) -> io::Result<()> {
    let mut program = steering.program();
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the descriptor is open for as long as `socket` lives, the option takes a `sock_fprog`,
    // and the kernel copies the program during the call.
    #[allow(unsafe_code, reason = "no safe wrapper offers SO_ATTACH_REUSEPORT_CBPF")]
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            std::ptr::from_ref(&filter).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests;
