//! Many peers on one machine: any `127.x.y.z` can be a source address.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use quinn::{ConnectionError, VarInt};
use tokio::time::timeout;

use crate::phone::client_config;
use crate::{DevServer, raw};

/// Longer than anything here takes on a busy machine, shorter than any timeout of the server's.
pub const PATIENCE: Duration = Duration::from_secs(8);

/// H3_EXCESSIVE_LOAD, as a connection that must go is told.
pub const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(0x107);

/// A QUIC connection that the server has welcomed.
pub struct Welcomed {
    /// The endpoint, which has to outlive its connection.
    pub endpoint: quinn::Endpoint,
    /// The connection.
    pub connection: quinn::Connection,
    /// The server's control stream, which comes first.
    _control: quinn::RecvStream,
}

/// Shakes hands from this address and waits to be welcomed.
pub async fn knock(server: &DevServer, source: impl Into<IpAddr>) -> Result<Welcomed, ConnectionError> {
    let mut endpoint = quinn::Endpoint::client(SocketAddr::from((source.into(), 0))).unwrap();
    endpoint.set_default_client_config(client_config(server));
    let connection = endpoint.connect(server.h3(), "localhost").unwrap().await?;
    let control = connection.accept_uni().await?;
    Ok(Welcomed { endpoint, connection, _control: control })
}

/// The same, and has a request accepted on it: from then on the connection is in use, and nobody displaces it.
pub async fn knock_and_ask(
    server: &DevServer,
    source: impl Into<IpAddr>,
) -> Result<Welcomed, ConnectionError> {
    let welcomed = knock(server, source).await?;
    let bearer = format!("Bearer {}", server.text("secret_key"));
    let mut fields = raw::HEAD.to_vec();
    fields[3] = (":path", "/v1/verifications/vrf_0000000000000000000000");
    fields.push(("authorization", &bearer));
    let (mut send, mut recv) = welcomed.connection.open_bi().await?;
    // Should the connection end meanwhile, its end is what is told.
    let _broken = send.write_all(&raw::headers(&raw::section(&fields))).await;
    let _broken = send.finish();
    match recv.read_to_end(1 << 16).await {
        Ok(answer) => assert!(!answer.is_empty()),
        Err(_) => return Err(welcomed.connection.closed().await),
    }
    Ok(welcomed)
}

/// Shakes hands until this address is refused for having done so too often; with `bans.strikes` of one, that
/// is its ban.
pub async fn knock_too_often(server: &DevServer, source: Ipv4Addr) {
    for _ in 0..50 {
        match timeout(PATIENCE, knock(server, source)).await {
            Ok(Ok(_)) => {}
            Ok(Err(ConnectionError::ApplicationClosed(close))) => {
                assert_eq!(close.error_code, EXCESSIVE_LOAD);
                return;
            }
            Ok(Err(other)) => panic!("{other}"),
            // Banned by a knock before, whose word of it was lost.
            Err(_) => return,
        }
    }
    panic!("{source} may shake hands for ever");
}

/// Awaits the end of this connection by the server's word.
pub async fn shown_out(connection: &quinn::Connection) {
    match timeout(PATIENCE, connection.closed()).await.expect("it is closed") {
        ConnectionError::ApplicationClosed(close) => assert_eq!(close.error_code, EXCESSIVE_LOAD),
        other => panic!("{other}"),
    }
}

/// First bytes of connection ids, so many that every lane of a few is led to by one of them: which is led where, the
/// server draws at its start. Of two lanes, one is missed once in 2,000,000 starts.
pub const IDS: std::ops::Range<u8> = 0..22;

/// A socket that asks a lane which QUIC versions it speaks: the cheapest question that is answered.
pub struct Prober {
    socket: UdpSocket,
    server: SocketAddr,
}

impl Prober {
    /// A socket at this address.
    pub fn new(server: &DevServer, source: Ipv4Addr) -> Self {
        let socket = UdpSocket::bind((source, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, server: server.h3() }
    }

    /// Asks the lane that a connection id with this byte leads to.
    pub fn ask(&self, id: u8) {
        let mut question = [0; 1_200];
        question[..8].copy_from_slice(&[0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8, id, 1]);
        self.socket.send_to(&question, self.server).unwrap();
    }

    /// Waits for one answer.
    pub fn hears(&self) -> bool {
        self.socket.recv(&mut [0; 2_048]).is_ok()
    }

    /// Whether an answer is there already; takes all that are.
    pub fn has_heard(&self) -> bool {
        self.socket.set_nonblocking(true).unwrap();
        let answers = std::iter::from_fn(|| self.socket.recv(&mut [0; 2_048]).ok()).count();
        self.socket.set_nonblocking(false).unwrap();
        answers > 0
    }
}

/// Whether the lane that this id leads to answers this address. A lane reads what comes in order, so once it has
/// answered somebody who asked later, there is nothing left to wait for.
pub fn is_answered(server: &DevServer, source: Ipv4Addr, id: u8) -> bool {
    let (asking, later) = (Prober::new(server, source), Prober::new(server, Ipv4Addr::new(127, 99, 99, 99)));
    asking.ask(id);
    // A lane that much has been sent to may have had no room for the question.
    later.socket.set_read_timeout(Some(PATIENCE / 16)).unwrap();
    let answered = (0..16).any(|_| {
        later.ask(id);
        later.hears()
    });
    assert!(answered, "the lane of id {id} answers nobody");
    asking.has_heard()
}
