//! A phone: an HTTP/3 client with a restricted key and an origin.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use http::Request;
use quinn::crypto::rustls::QuicClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;

use super::super::{Failure, dev};
use super::broken;

type Requests = h3::client::SendRequest<h3_quinn::OpenStreams, Bytes>;

/// One connection.
pub(super) struct Phone {
    requests: Requests,
    authority: String,
    key: String,
    pub(super) origin: String,
    /// Keeps the socket open.
    _endpoint: quinn::Endpoint,
}

/// One answer.
pub(super) struct Heard {
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) retry_after: Option<u64>,
}

impl Heard {
    pub(super) fn refused(&self, status: u16, code: &str) -> bool {
        self.status == status && self.body["code"] == code
    }
}

impl Phone {
    pub(super) async fn connect(ready: &dev::Ready) -> Option<Self> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&ready.ca).ok()?).ok()?;
        let mut tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        tls.alpn_protocols = vec![b"h3".to_vec()];
        let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).ok()?));
        let mut endpoint = quinn::Endpoint::client(std::net::SocketAddr::from(([127, 0, 0, 1], 0))).ok()?;
        endpoint.set_default_client_config(config);
        let connection = endpoint.connect(ready.h3, "localhost").ok()?.await.ok()?;
        let (mut driver, requests) = h3::client::new(h3_quinn::Connection::new(connection)).await.ok()?;
        tokio::task::spawn_local(async move {
            // If the connection ends early, the demo's steps fail.
            let _ended = std::future::poll_fn(|context| driver.poll_close(context)).await;
        });
        Some(Self {
            requests,
            authority: format!("localhost:{}", ready.h3.port()),
            key: ready.restricted_key.clone(),
            origin: "capacitor://localhost".into(),
            _endpoint: endpoint,
        })
    }

    pub(super) async fn post(&mut self, path: &str, body: &Value) -> Result<Heard, Failure> {
        self.send("POST", path, Some(body)).await.ok_or_else(|| broken(path))
    }

    pub(super) async fn get(&mut self, path: &str) -> Result<Heard, Failure> {
        self.send("GET", path, None).await.ok_or_else(|| broken(path))
    }

    async fn send(&mut self, method: &str, path: &str, body: Option<&Value>) -> Option<Heard> {
        let request = Request::builder()
            .method(method)
            .uri(format!("https://{}{path}", self.authority))
            .header("authorization", format!("Bearer {}", self.key))
            .header("origin", &self.origin)
            .header("content-type", "application/json")
            .body(())
            .ok()?;
        let mut stream = self.requests.send_request(request).await.ok()?;
        if let Some(body) = body {
            stream.send_data(Bytes::from(body.to_string())).await.ok()?;
        }
        stream.finish().await.ok()?;
        let response = stream.recv_response().await.ok()?;
        let mut bytes = Vec::new();
        while let Some(mut chunk) = stream.recv_data().await.ok()? {
            bytes.extend_from_slice(&chunk.copy_to_bytes(chunk.remaining()));
        }
        let retry_after =
            response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Some(Heard { status: response.status().as_u16(), body, retry_after })
    }
}
