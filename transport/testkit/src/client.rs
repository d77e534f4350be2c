//! Clients with a trust of their own, for changing certificates: rustls and hand-written HTTP/1.1 on TCP, HTTP/3.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use quinn::crypto::rustls::QuicClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};
use serde_json::{Value, json};

use crate::phone::Phone;
use crate::{DevServer as Server, PATIENCE};

type Tls = StreamOwned<ClientConnection, TcpStream>;
/// Header fields of a request: names and values.
pub type Fields<'a> = &'a [(&'a str, &'a str)];

/// A TLS client that trusts these and remembers its sessions.
pub fn trusting(roots: &[CertificateDer<'static>], protocol: &[u8]) -> Arc<ClientConfig> {
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut store = RootCertStore::empty();
    roots.iter().for_each(|root| store.add(root.clone()).unwrap());
    let mut tls = ClientConfig::builder().with_root_certificates(store).with_no_client_auth();
    tls.alpn_protocols = vec![protocol.to_vec()];
    Arc::new(tls)
}

/// One HTTP/1.1 connection.
pub struct Tcp {
    stream: Tls,
    authority: String,
    key: String,
}

impl Tcp {
    /// Connects; an error if the certificate is not trusted.
    pub fn connect(server: &Server, tls: &Arc<ClientConfig>) -> std::io::Result<Self> {
        let name = ServerName::try_from("localhost").unwrap();
        let mut connection = ClientConnection::new(tls.clone(), name).unwrap();
        let mut socket = TcpStream::connect(server.tcp())?;
        socket.set_read_timeout(Some(PATIENCE))?;
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        let authority = format!("localhost:{}", server.tcp().port());
        let key = server.text("secret_key").to_owned();
        Ok(Self { stream: StreamOwned::new(connection, socket), authority, key })
    }

    /// The certificate that the server showed.
    pub fn shown(&self) -> CertificateDer<'static> {
        self.stream.conn.peer_certificates().unwrap()[0].clone().into_owned()
    }

    /// Whether the TLS session of an earlier connection was resumed.
    pub fn was_resumed(&self) -> bool {
        self.stream.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Sends a request and reads its answer; the connection stays.
    pub fn send(&mut self, method: &str, path: &str, fields: Fields<'_>, body: &str) -> (u16, Value) {
        let Self { authority, key, .. } = self;
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {key}\r\nContent-Length: {}\r\n",
            body.len()
        );
        if !body.is_empty() {
            head.push_str("Content-Type: application/json\r\n");
        }
        fields.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        self.stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
        self.answer()
    }

    /// Asks for a code for this recipient; returns status and body.
    pub fn issue(&mut self, recipient: &str, fields: Fields<'_>) -> (u16, Value) {
        self.send("POST", "/v1/verifications", fields, &json!({"recipient": recipient}).to_string())
    }

    fn answer(&mut self) -> (u16, Value) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        let length = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let length: usize = length.map(|(_, value)| value.parse().unwrap()).next_back().unwrap_or(0);
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }
}

/// One HTTP/3 connection, by the client that [`Phone`] is, with the caller's trust.
pub struct Quic(Phone);

impl Quic {
    /// Connects; `None` if the certificate is not trusted.
    pub async fn connect(server: &Server, tls: &Arc<ClientConfig>) -> Option<Self> {
        let mut endpoint = quinn::Endpoint::client(([127, 0, 0, 1], 0).into()).unwrap();
        let tls = QuicClientConfig::try_from(tls.clone()).unwrap();
        endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(tls)));
        let connection = endpoint.connect(server.h3(), "localhost").unwrap().await.ok()?;
        Some(Self(Phone::on_quic(server, endpoint, connection).await))
    }

    /// The certificate that the server showed.
    pub fn shown(&self) -> CertificateDer<'static> {
        let identity = self.0.quic().connection.peer_identity().unwrap();
        identity.downcast::<Vec<CertificateDer<'static>>>().unwrap()[0].clone()
    }

    /// Asks for a code for this recipient; returns status and body.
    pub async fn issue(&self, recipient: &str, fields: Fields<'_>) -> (u16, Value) {
        let phone = fields.iter().fold(self.0.clone(), |phone, (name, value)| phone.with(name, value));
        let heard = phone.post("/v1/verifications", &json!({"recipient": recipient})).await;
        (heard.status.as_u16(), heard.body)
    }
}

/// Status and problem code.
pub fn outcome((status, body): &(u16, Value)) -> (u16, &str) {
    (*status, body["code"].as_str().unwrap_or(""))
}
