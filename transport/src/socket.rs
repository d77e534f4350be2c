//! UDP sockets of all lanes on one port, and the steering that keeps a phone on its lane.
//!
//! The kernel spreads datagrams over a `SO_REUSEPORT` group by 4-tuple, so a phone that changes network
//! would land on a lane that has never heard of its connection. Every endpoint therefore writes its lane
//! into the first byte of its connection ids, and a classic BPF program on the group picks the socket
//! from that byte (it sees the UDP payload; no privilege is needed):
//!
//! ```text
//!   short header   0xxxxxxx | L....... | …                      byte 1
//!   long header    1xxxxxxx | version (4) | length | L....... |  byte 6
//!   lane = L mod lanes
//! ```
//!
//! A client's first packets carry an id of its own choosing; they are spread by it, and the endpoint
//! they reach answers with an id that leads back to itself. A datagram too short to tell goes to lane 0.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use quinn::{ConnectionId, ConnectionIdGenerator};
use socket2::{Domain, Protocol, Socket, Type};

mod deaf;
mod filter;
mod kernel_drop;
pub(crate) use deaf::{DeafSocket, Ears};
pub use kernel_drop::KernelDrop;

/// Bytes of our connection ids: one for the lane, seven to be unlike any other.
const CONNECTION_ID_BYTES: usize = 8;
/// What the kernel keeps for a lane that is busy; it counts twice as much for its own overhead. Some 1,300 small
/// datagrams or 450 full ones: 20 ms of requests, or 140 ms of handshakes, as many as phones that are woken in the
/// same moment make. More would not be served sooner but be stale when it is read: in an overload this line is
/// always full, and who waits in it has sent the same again or given up.
const RECEIVE_BUFFER_BYTES: usize = 512 << 10;
/// What a lane may send in one burst: 3,000 full datagrams. The kernel may grant less.
const SEND_BUFFER_BYTES: usize = 4 << 20;

/// Binds one socket per lane to `address`, in lane order. With port 0 the first bind picks the port.
///
/// The first socket is bound alone and shares its port only afterwards: if anybody else, even a process
/// of the same user, holds the port already, this fails instead of silently joining.
pub fn bind_lanes(address: SocketAddr, lanes: usize) -> io::Result<Vec<UdpSocket>> {
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
        steer(&sockets[0], lanes)?;
    }
    Ok(sockets)
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        // `[::]` serves both families; a single IPv6 address serves one.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    Ok(socket)
}

/// Attaches the steering program to the group that `socket` belongs to.
fn steer(socket: &UdpSocket, lanes: usize) -> io::Result<()> {
    const LOAD_BYTE: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
    const JUMP_IF_SET: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
    const MODULO: u16 = (libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K) as u16;
    const RETURN_A: u16 = (libc::BPF_RET | libc::BPF_A) as u16;
    const JUMP: u16 = (libc::BPF_JMP | libc::BPF_JA) as u16;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut program = [
        step(LOAD_BYTE, 0, 0, 0),
        step(JUMP_IF_SET, 0, 2, 0x80),
        step(LOAD_BYTE, 0, 0, 6),
        step(JUMP, 0, 0, 1),
        step(LOAD_BYTE, 0, 0, 1),
        step(MODULO, 0, 0, lanes as u32),
        step(RETURN_A, 0, 0, 0),
    ];
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

/// Writes a lane into connection ids, where the steering program looks for it.
pub struct LaneConnectionIds {
    lane: usize,
    lanes: usize,
}

impl LaneConnectionIds {
    /// Ids that lead to `lane` of `lanes`.
    pub fn new(lane: usize, lanes: usize) -> Self {
        Self { lane, lanes }
    }
}

impl ConnectionIdGenerator for LaneConnectionIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = [0; CONNECTION_ID_BYTES];
        if getrandom::fill(&mut id).is_err() {
            // Guessable connection ids let strangers disturb connections.
            std::process::abort();
        }
        // Any first byte that is this lane modulo the number of lanes; the highest ones that would
        // leave the byte's range fall back by one round.
        let random = usize::from(id[0]);
        let byte = random - random % self.lanes + self.lane;
        id[0] = u8::try_from(byte).unwrap_or_else(|_| (byte - self.lanes) as u8);
        ConnectionId::new(&id)
    }

    fn cid_len(&self) -> usize {
        CONNECTION_ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connection_id_leads_back_to_its_lane() {
        for lanes in [1, 2, 3, 7, 8, 255, 256] {
            for lane in [0, lanes / 2, lanes - 1] {
                let mut ids = LaneConnectionIds::new(lane, lanes);
                for _ in 0..500 {
                    assert_eq!(usize::from(ids.generate_cid()[0]) % lanes, lane);
                }
            }
        }
    }

    #[test]
    fn a_second_server_does_not_join_a_port_in_use() {
        let held = bind_lanes("127.0.0.1:0".parse().unwrap(), 2).unwrap();
        let address = held[0].local_addr().unwrap();
        assert_eq!(bind_lanes(address, 2).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn datagrams_are_steered_by_the_connection_id_not_by_their_source() {
        let lanes = 4;
        let sockets = bind_lanes("127.0.0.1:0".parse().unwrap(), lanes).unwrap();
        let address = sockets[0].local_addr().unwrap();
        for round in 0..64usize {
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            let lane = round % lanes;
            let byte = LaneConnectionIds::new(lane, lanes).generate_cid()[0];
            let (short, long) = ([0x40, byte, 1, 2, 3, 4, 5, 6], [0xc0, 0, 0, 0, 1, 8, byte, 9]);
            for datagram in [short, long] {
                client.send_to(&datagram, address).unwrap();
                sockets[lane].set_nonblocking(false).unwrap();
                sockets[lane].set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                let mut buffer = [0; 16];
                assert_eq!(sockets[lane].recv(&mut buffer).unwrap(), 8);
                assert_eq!(buffer[..8], datagram);
            }
        }
    }
}
