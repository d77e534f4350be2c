//! The sockets of all lanes.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use super::StartFault;
use crate::limits;
use crate::net::socket::{self, Steering};
use crate::net::tcp_socket;

/// One UDP socket and one TCP listener for each address and lane.
pub(super) struct Listeners {
    /// The addresses of HTTP/3, in the order of `listen`.
    pub(super) h3: Vec<SocketAddr>,
    /// The addresses of TCP, in the order of `listen`.
    pub(super) tcp: Vec<SocketAddr>,
    pub(super) steering: Steering,
    sockets: Sockets,
}

type Sockets = (Vec<Vec<UdpSocket>>, Vec<Vec<TcpListener>>);

impl Listeners {
    /// Binds UDP and TCP on the same port numbers. With several addresses on port 0, all of them get the port that the
    /// first one found.
    pub(super) fn bind(listen: &[SocketAddr], lanes: usize) -> Result<Self, StartFault> {
        let steering = Steering::draw(lanes);
        let sockets = bind(listen, &steering)?;
        let h3 = addresses(&sockets.0, |socket| socket.local_addr())?;
        let tcp = addresses(&sockets.1, |listener| listener.local_addr())?;
        Ok(Self { h3, tcp, steering, sockets })
    }

    /// The sockets by lane instead of by address.
    pub(super) fn by_lane(self) -> impl Iterator<Item = (Vec<UdpSocket>, Vec<TcpListener>)> {
        let (lanes, (udp, tcp)) = (self.steering.lanes(), self.sockets);
        by_lane(udp, lanes).into_iter().zip(by_lane(tcp, lanes))
    }
}

fn bind(listen: &[SocketAddr], steering: &Steering) -> Result<Sockets, StartFault> {
    let picks_port = listen.iter().any(|address| address.port() == 0);
    let tries = if picks_port { limits::PORT_TRIES } else { 1 };
    let mut last = StartFault::Machine("listen", io::ErrorKind::AddrNotAvailable);
    for _ in 0..tries {
        match try_bind(listen, steering) {
            Ok(sockets) => return Ok(sockets),
            Err(fault) => last = fault,
        }
    }
    Err(last)
}

fn try_bind(listen: &[SocketAddr], steering: &Steering) -> Result<Sockets, StartFault> {
    let (mut udp, mut tcp, mut picked) = (Vec::new(), Vec::new(), 0);
    for address in listen {
        let mut address = *address;
        if address.port() == 0 {
            address.set_port(picked);
        }
        let fault = |fault: io::Error| StartFault::Listen(address, fault.kind());
        let sockets = socket::bind_lanes(address, steering).map_err(fault)?;
        let bound = sockets[0].local_addr().map_err(fault)?;
        picked = bound.port();
        tcp.push(tcp_socket::bind_lanes(bound, steering.lanes()).map_err(fault)?);
        udp.push(sockets);
    }
    Ok((udp, tcp))
}

fn addresses<T>(
    sockets: &[Vec<T>],
    read: impl Fn(&T) -> io::Result<SocketAddr>,
) -> Result<Vec<SocketAddr>, StartFault> {
    let first = sockets.iter().filter_map(|of_address| of_address.first());
    let read: io::Result<Vec<SocketAddr>> = first.map(read).collect();
    read.map_err(|fault| StartFault::Machine("listen", fault.kind()))
}

/// From a list per address to a list per lane.
fn by_lane<T>(sockets: Vec<Vec<T>>, lanes: usize) -> Vec<Vec<T>> {
    let mut lists: Vec<Vec<T>> = (0..lanes).map(|_| Vec::new()).collect();
    for of_address in sockets {
        lists.iter_mut().zip(of_address).for_each(|(list, socket)| list.push(socket));
    }
    lists
}
