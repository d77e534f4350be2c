//! An HTTP/3 client that is not ours: the `h3` crate on quinn.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use http::{HeaderMap, Request, StatusCode};
use quinn::crypto::rustls::QuicClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;

use super::DevServer;

pub type Requests = h3::client::SendRequest<h3_quinn::OpenStreams, Bytes>;

/// One connection to a server.
#[derive(Clone)]
pub struct Phone {
    pub requests: Requests,
    pub connection: quinn::Connection,
    pub endpoint: quinn::Endpoint,
    pub key: String,
    pub headers: Vec<(String, String)>,
    authority: String,
}

/// One answer.
#[derive(Debug, Clone)]
pub struct Heard {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
    /// The body, if it is JSON.
    pub body: Value,
}

impl Heard {
    pub fn code(&self) -> (u16, &str) {
        (self.status.as_u16(), self.body["code"].as_str().unwrap_or(""))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A quinn client configuration that trusts the server's CA and speaks h3.
pub fn client_config(server: &DevServer) -> quinn::ClientConfig {
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(server.text("ca")).unwrap()).unwrap();
    let mut tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()))
}

/// A QUIC connection from `127.0.0.1`, without HTTP/3 on it yet.
pub async fn connect(server: &DevServer) -> (quinn::Endpoint, quinn::Connection) {
    connect_from(server, Ipv4Addr::LOCALHOST).await
}

/// A QUIC connection from any loopback address.
pub async fn connect_from(server: &DevServer, source: Ipv4Addr) -> (quinn::Endpoint, quinn::Connection) {
    let mut endpoint = quinn::Endpoint::client(SocketAddr::from((source, 0))).unwrap();
    endpoint.set_default_client_config(client_config(server));
    let connection = endpoint.connect(server.h3(), "localhost").unwrap().await.unwrap();
    (endpoint, connection)
}

impl Phone {
    /// Connects with the secret live key.
    pub async fn connect(server: &DevServer) -> Self {
        Self::connect_with(server, server.text("secret_key")).await
    }

    /// Connects with another key.
    pub async fn connect_with(server: &DevServer, key: &str) -> Self {
        let (endpoint, connection) = connect(server).await;
        let (mut driver, requests) =
            h3::client::new(h3_quinn::Connection::new(connection.clone())).await.unwrap();
        tokio::spawn(async move { std::future::poll_fn(|context| driver.poll_close(context)).await });
        let authority = format!("localhost:{}", server.h3().port());
        Self { requests, connection, endpoint, key: key.to_owned(), headers: Vec::new(), authority }
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

    pub async fn post(&self, path: &str, body: &Value) -> Heard {
        self.send("POST", path, Some(body.to_string().as_bytes())).await
    }

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
        let mut stream = self.requests.clone().send_request(request.body(()).unwrap()).await.unwrap();
        if let Some(body) = body {
            // A server that has answered already may have stopped the stream.
            let _stopped = stream.send_data(Bytes::copy_from_slice(body)).await;
        }
        let _stopped = stream.finish().await;
        let response = stream.recv_response().await.unwrap();
        let mut bytes = Vec::new();
        while let Some(mut chunk) = stream.recv_data().await.unwrap() {
            bytes.extend_from_slice(&chunk.copy_to_bytes(chunk.remaining()));
        }
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Heard { status: response.status(), headers: response.headers().clone(), bytes, body }
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

    pub async fn check(&self, id: &str, code: &str) -> Heard {
        self.post(&format!("/v1/verifications/{id}/check"), &serde_json::json!({"code": code})).await
    }
}
