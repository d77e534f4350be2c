//! A client that is not ours, over each wire: the `h3` crate on quinn, hyper on tokio-rustls.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use http::{HeaderMap, Request, StatusCode};
use quinn::crypto::rustls::QuicClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;

use crate::DevServer;
use crate::tcp::{Ports, TcpLine};

/// Where the `h3` crate takes requests.
pub type Requests = h3::client::SendRequest<h3_quinn::OpenStreams, Bytes>;

/// What a phone speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// HTTP/3 over QUIC.
    H3,
    /// HTTP/2 over TLS.
    H2,
    /// HTTP/1.1 over TLS.
    H1,
}

impl Wire {
    /// All three.
    pub const ALL: [Self; 3] = [Self::H3, Self::H2, Self::H1];
}

/// One test per wire for each behaviour, so that a failure names the wire.
#[macro_export]
macro_rules! over_every_wire {
    ($($behaviour:ident),* $(,)?) => {
        $(mod $behaviour {
            use $crate::phone::Wire;

            #[tokio::test]
            async fn over_h3() {
                super::$behaviour(Wire::H3).await;
            }

            #[tokio::test]
            async fn over_h2() {
                super::$behaviour(Wire::H2).await;
            }

            #[tokio::test]
            async fn over_h1() {
                super::$behaviour(Wire::H1).await;
            }
        })*
    };
}

/// One connection to a server, and what each request on it carries.
#[derive(Clone)]
pub struct Phone {
    line: Line,
    /// The API key of each request; empty for none.
    pub key: String,
    /// More header fields of each request.
    pub headers: Vec<(String, String)>,
    authority: String,
}

#[derive(Clone)]
enum Line {
    Quic(QuicLine),
    Tcp(TcpLine),
}

/// An HTTP/3 connection.
#[derive(Clone)]
pub struct QuicLine {
    /// The HTTP/3 client on it.
    pub requests: Requests,
    /// The QUIC connection.
    pub connection: quinn::Connection,
    /// The socket under it.
    pub endpoint: quinn::Endpoint,
}

/// One answer.
#[derive(Debug, Clone)]
pub struct Heard {
    /// The HTTP status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub bytes: Vec<u8>,
    /// The body, if it is JSON.
    pub body: Value,
}

impl Heard {
    /// The status and the problem's code; an empty one where the body names none.
    pub fn code(&self) -> (u16, &str) {
        (self.status.as_u16(), self.body["code"].as_str().unwrap_or(""))
    }

    /// The value of this header field; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A TLS client configuration that trusts the server's CA and offers these protocols.
pub fn tls_config(server: &DevServer, protocols: &[&str]) -> rustls::ClientConfig {
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(server.text("ca")).unwrap()).unwrap();
    let mut tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    tls.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    tls
}

/// A quinn client configuration that trusts the server's CA and speaks h3.
pub fn client_config(server: &DevServer) -> quinn::ClientConfig {
    let tls = QuicClientConfig::try_from(tls_config(server, &["h3"])).unwrap();
    quinn::ClientConfig::new(Arc::new(tls))
}

/// A QUIC connection from `127.0.0.1`, without HTTP/3 on it yet.
pub async fn connect(server: &DevServer) -> (quinn::Endpoint, quinn::Connection) {
    connect_from(server, Ipv4Addr::LOCALHOST).await
}

/// A QUIC connection from any loopback address.
pub async fn connect_from(
    server: &DevServer,
    source: impl Into<IpAddr>,
) -> (quinn::Endpoint, quinn::Connection) {
    let source: IpAddr = source.into();
    let mut endpoint = quinn::Endpoint::client(SocketAddr::from((source, 0))).unwrap();
    endpoint.set_default_client_config(client_config(server));
    let connection = endpoint.connect(server.h3(), "localhost").unwrap().await.unwrap();
    (endpoint, connection)
}

impl QuicLine {
    async fn connect(server: &DevServer, source: impl Into<IpAddr>) -> Self {
        let (endpoint, connection) = connect_from(server, source).await;
        Self::on(endpoint, connection).await
    }

    async fn on(endpoint: quinn::Endpoint, connection: quinn::Connection) -> Self {
        let (mut driver, requests) =
            h3::client::new(h3_quinn::Connection::new(connection.clone())).await.unwrap();
        tokio::spawn(async move { std::future::poll_fn(|context| driver.poll_close(context)).await });
        Self { requests, connection, endpoint }
    }

    async fn send(&self, request: Request<Bytes>) -> (StatusCode, HeaderMap, Vec<u8>) {
        let (head, body) = request.into_parts();
        let request = Request::from_parts(head, ());
        let mut stream = self.requests.clone().send_request(request).await.unwrap();
        // A server that has answered already may have stopped the stream; h3 takes the connection down
        // if such a stream is finished.
        if body.is_empty() || stream.send_data(body).await.is_ok() {
            let _stopped = stream.finish().await;
        }
        let response = stream.recv_response().await.unwrap();
        let mut bytes = Vec::new();
        while let Some(mut chunk) = stream.recv_data().await.unwrap() {
            bytes.extend_from_slice(&chunk.copy_to_bytes(chunk.remaining()));
        }
        (response.status(), response.headers().clone(), bytes)
    }
}

impl Phone {
    /// Connects over HTTP/3 with the secret live key.
    pub async fn connect(server: &DevServer) -> Self {
        Self::over(Wire::H3, server).await
    }

    /// Connects over HTTP/3 with another key.
    pub async fn connect_with(server: &DevServer, key: &str) -> Self {
        Self::connect(server).await.with_key(key)
    }

    /// Connects over this wire with the secret live key.
    pub async fn over(wire: Wire, server: &DevServer) -> Self {
        Self::over_from(wire, server, Ipv4Addr::LOCALHOST).await
    }

    /// Connects from any loopback address, with the secret live key.
    pub async fn over_from(wire: Wire, server: &DevServer, source: impl Into<IpAddr>) -> Self {
        Self::over_from_ports(wire, server, source.into()).await.0
    }

    /// Connects over this wire from any loopback address; tells from which ports.
    pub async fn over_from_ports(wire: Wire, server: &DevServer, source: IpAddr) -> (Self, Ports) {
        let (line, ports) = match wire {
            Wire::H3 => {
                let line = QuicLine::connect(server, source).await;
                let port = line.endpoint.local_addr().unwrap().port();
                (Line::Quic(line), Ports::new(vec![port].into()))
            }
            Wire::H2 => {
                let (line, ports) = TcpLine::http2_from(server, source).await;
                (Line::Tcp(line), ports)
            }
            Wire::H1 => {
                let (line, ports) = TcpLine::http1_from(server, source).await;
                (Line::Tcp(line), ports)
            }
        };
        (Self::on(line, server), ports)
    }

    /// Connects over HTTP/3 from any loopback address, with the secret live key.
    pub async fn connect_from(server: &DevServer, source: Ipv4Addr) -> Self {
        Self::on(Line::Quic(QuicLine::connect(server, source).await), server)
    }

    /// Speaks HTTP/3 on a connection that is there, with the secret live key.
    pub async fn on_quic(
        server: &DevServer,
        endpoint: quinn::Endpoint,
        connection: quinn::Connection,
    ) -> Self {
        Self::on(Line::Quic(QuicLine::on(endpoint, connection).await), server)
    }

    fn on(line: Line, server: &DevServer) -> Self {
        let authority = format!("localhost:{}", server.h3().port());
        // Only a development server says its keys.
        let key = server.ready["secret_key"].as_str().unwrap_or_default().to_owned();
        Self { line, key, headers: Vec::new(), authority }
    }

    /// The QUIC connection under an HTTP/3 phone.
    pub fn quic(&self) -> &QuicLine {
        match &self.line {
            Line::Quic(line) => line,
            Line::Tcp(_) => panic!("this phone is on TCP"),
        }
    }

    /// The same connection, with one more header on each request.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut other = self.clone();
        other.headers.push((name.to_owned(), value.to_owned()));
        other
    }

    /// The same connection, with another key.
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: key.to_owned(), ..self.clone() }
    }

    /// The same connection, as a page of an origin that the restricted live key lists.
    pub fn as_page(&self, server: &DevServer) -> Self {
        self.with_key(server.text("restricted_key")).with("origin", "https://mybrand.com")
    }

    /// The same connection, as a trusted proxy that passes on what came from this address.
    pub fn passing_on(&self, address: &str) -> Self {
        self.with("x-forwarded-for", address)
    }

    /// Sends a POST with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Heard {
        self.send("POST", path, Some(body.to_string().as_bytes())).await
    }

    /// Sends a GET.
    pub async fn get(&self, path: &str) -> Heard {
        self.send("GET", path, None).await
    }

    /// Sends one request and reads its answer.
    pub async fn send(&self, method: &str, path: &str, body: Option<&[u8]>) -> Heard {
        let mut request = Request::builder().method(method).uri(format!("https://{}{path}", self.authority));
        if !self.key.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.key));
        }
        if body.is_some() && !self.headers.iter().any(|(name, _)| name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Bytes::copy_from_slice(body.unwrap_or_default())).unwrap();
        let (status, headers, bytes) = match &self.line {
            Line::Quic(line) => line.send(request).await,
            Line::Tcp(line) => line.send(request).await,
        };
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Heard { status, headers, bytes, body }
    }

    /// Issues a code for this recipient and returns the verification's id.
    pub async fn issue(&self, recipient: &str) -> String {
        let heard = self.post("/v1/verifications", &serde_json::json!({"recipient": recipient})).await;
        assert_eq!(heard.status, 202, "{:?}", heard.body);
        heard.body["id"].as_str().unwrap().to_owned()
    }

    /// The same, for many at once.
    pub async fn issue_owned(&self, recipient: String) -> String {
        self.issue(&recipient).await
    }

    /// Checks a code as a backend may, without saying whose it is.
    pub async fn check(&self, id: &str, code: &str) -> Heard {
        self.post(&format!("/v1/verifications/{id}/check"), &serde_json::json!({"code": code})).await
    }

    /// Checks a code that was sent to this recipient.
    pub async fn check_of(&self, recipient: &str, id: &str, code: &str) -> Heard {
        let body = serde_json::json!({"code": code, "recipient": recipient});
        self.post(&format!("/v1/verifications/{id}/check"), &body).await
    }
}
