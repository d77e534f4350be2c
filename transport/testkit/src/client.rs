//! Clients that are not ours: rustls and hand-written HTTP/1.1 on TCP, the `h3` crate on quinn.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use quinn::crypto::rustls::QuicClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};
use serde_json::{Value, json};

use crate::{DevServer as Server, PATIENCE};

type Tls = StreamOwned<ClientConnection, TcpStream>;
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

/// One HTTP/3 connection.
pub struct Quic {
    requests: h3::client::SendRequest<h3_quinn::OpenStreams, Bytes>,
    connection: quinn::Connection,
    _endpoint: quinn::Endpoint,
    authority: String,
    key: String,
}

impl Quic {
    /// Connects; `None` if the certificate is not trusted.
    pub async fn connect(server: &Server, tls: &Arc<ClientConfig>) -> Option<Self> {
        let mut endpoint = quinn::Endpoint::client(([127, 0, 0, 1], 0).into()).unwrap();
        let tls = QuicClientConfig::try_from(tls.clone()).unwrap();
        endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(tls)));
        let connection = endpoint.connect(server.h3(), "localhost").unwrap().await.ok()?;
        let (mut driver, requests) =
            h3::client::new(h3_quinn::Connection::new(connection.clone())).await.unwrap();
        tokio::spawn(async move { std::future::poll_fn(|context| driver.poll_close(context)).await });
        let authority = format!("localhost:{}", server.h3().port());
        let key = server.text("secret_key").to_owned();
        Some(Self { requests, connection, _endpoint: endpoint, authority, key })
    }

    /// The certificate that the server showed.
    pub fn shown(&self) -> CertificateDer<'static> {
        let identity = self.connection.peer_identity().unwrap();
        identity.downcast::<Vec<CertificateDer<'static>>>().unwrap()[0].clone()
    }

    pub async fn issue(&self, recipient: &str, fields: Fields<'_>) -> (u16, Value) {
        let mut request = http::Request::post(format!("https://{}/v1/verifications", self.authority))
            .header("authorization", format!("Bearer {}", self.key))
            .header("content-type", "application/json");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let mut stream = self.requests.clone().send_request(request.body(()).unwrap()).await.unwrap();
        let body = json!({"recipient": recipient}).to_string();
        // A server that has answered already may have stopped the stream.
        let _stopped = stream.send_data(Bytes::from(body)).await;
        let _stopped = stream.finish().await;
        let status = stream.recv_response().await.unwrap().status().as_u16();
        let mut bytes = Vec::new();
        while let Some(mut chunk) = stream.recv_data().await.unwrap() {
            bytes.extend_from_slice(&chunk.copy_to_bytes(chunk.remaining()));
        }
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }
}

/// Status and problem code.
pub fn outcome((status, body): &(u16, Value)) -> (u16, &str) {
    (*status, body["code"].as_str().unwrap_or(""))
}
