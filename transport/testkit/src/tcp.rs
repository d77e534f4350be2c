//! TLS over TCP to a server: raw for attacks, with hyper's client on it for behaviour.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::DevServer;
use crate::phone::tls_config;

/// A client's TLS stream.
pub type Tls = TlsStream<TcpStream>;

/// A TLS connection that offers these protocols.
pub async fn connect(server: &DevServer, protocols: &[&str]) -> Tls {
    try_connect(server, protocols, Ipv4Addr::LOCALHOST).await.unwrap()
}

/// The same from any loopback address; the server may refuse it.
pub async fn try_connect(server: &DevServer, protocols: &[&str], source: Ipv4Addr) -> std::io::Result<Tls> {
    let tls = Arc::new(tls_config(server, protocols));
    let dial = Dial { address: server.tcp(), tls, source: source.into(), ports: Ports::default() };
    dial.connect().await
}

/// The ports at this end of one connection after another.
pub type Ports = Arc<std::sync::Mutex<Vec<u16>>>;

/// How to reach a server again.
#[derive(Clone)]
struct Dial {
    address: SocketAddr,
    tls: Arc<rustls::ClientConfig>,
    source: IpAddr,
    ports: Ports,
}

impl Dial {
    fn new(server: &DevServer, protocol: &str, source: IpAddr) -> Self {
        let tls = Arc::new(tls_config(server, &[protocol]));
        Self { address: server.tcp(), tls, source, ports: Ports::default() }
    }

    async fn connect(&self) -> std::io::Result<Tls> {
        let socket = if self.source.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.bind(SocketAddr::from((self.source, 0)))?;
        let stream = socket.connect(self.address).await?;
        self.ports.lock().unwrap().push(stream.local_addr()?.port());
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(self.tls.clone()).connect(name, stream).await
    }

    async fn http1(&self) -> http1::SendRequest<Full<Bytes>> {
        let stream = TokioIo::new(self.connect().await.unwrap());
        let (sender, connection) = http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        sender
    }
}

/// hyper on one connection; HTTP/1.1 comes back when the server has closed it.
#[derive(Clone)]
pub enum TcpLine {
    /// HTTP/1.1, one request after the other.
    Http1(Arc<Http1Line>),
    /// HTTP/2.
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// An HTTP/1.1 connection, and how to open the next one.
pub struct Http1Line {
    dial: Dial,
    sender: Mutex<http1::SendRequest<Full<Bytes>>>,
}

impl TcpLine {
    /// HTTP/1.1 from this address; the ports grow with each connection.
    pub async fn http1_from(server: &DevServer, source: IpAddr) -> (Self, Ports) {
        let dial = Dial::new(server, "http/1.1", source);
        let ports = dial.ports.clone();
        let sender = Mutex::new(dial.http1().await);
        (Self::Http1(Arc::new(Http1Line { dial, sender })), ports)
    }

    /// HTTP/2 from this address, and its port.
    pub async fn http2_from(server: &DevServer, source: IpAddr) -> (Self, Ports) {
        let dial = Dial::new(server, "h2", source);
        let stream = TokioIo::new(dial.connect().await.unwrap());
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        (Self::Http2(sender), dial.ports)
    }

    /// Sends one request and reads its answer.
    pub async fn send(&self, request: Request<Bytes>) -> (StatusCode, HeaderMap, Vec<u8>) {
        let (head, body) = request.into_parts();
        let request = Request::from_parts(head, Full::new(body));
        let response = match self {
            Self::Http2(sender) => sender.clone().send_request(request).await.unwrap(),
            Self::Http1(line) => {
                let mut sender = line.sender.lock().await;
                if sender.ready().await.is_err() {
                    *sender = line.dial.http1().await;
                }
                sender.send_request(origin_form(request)).await.unwrap()
            }
        };
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (head.status, head.headers, bytes.to_vec())
    }
}

/// HTTP/1.1 says the authority in `host`.
fn origin_form(mut request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
    let uri = std::mem::take(request.uri_mut());
    let authority = uri.authority().unwrap().as_str().parse().unwrap();
    request.headers_mut().insert("host", authority);
    let target = uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(target);
    request
}
