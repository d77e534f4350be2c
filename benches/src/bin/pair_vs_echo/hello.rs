//! A peer: hyper's HTTP/2 over rustls that says hello, 150 bytes each way; its server, and its client.
use std::convert::Infallible;
use std::io::{Write, stdout};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use authepy_benches::cpu;
use authepy_benches::process::Ready;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// As many bytes as the echo's.
const HELLO: Bytes = Bytes::from_static(&[b'x'; 150]);

/// Serves until it is killed; prints its address and certificate on one line first.
pub(crate) fn serve() -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(|error| text(&error))?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    let mut tls = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .map_err(|error| text(&error))?;
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| text(&error))?.block_on(async move {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await;
        let listener = listener.map_err(|error| text(&error))?;
        let h3 = listener.local_addr().map_err(|error| text(&error))?;
        let ready = Ready::bare(h3, made.cert.pem());
        let ready = serde_json::to_string(&ready).map_err(|error| text(&error))?;
        writeln!(stdout(), "{ready}").map_err(|error| text(&error))?;
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(greet(acceptor.clone(), stream));
        }
        Ok(())
    })
}

async fn greet(acceptor: TlsAcceptor, stream: TcpStream) {
    let _kept_as_it_is = stream.set_nodelay(true);
    let Ok(stream) = acceptor.accept(stream).await else { return };
    // Not an async closure: rustc 1.95 breaks off over one here when it compiles incrementally.
    let hello = service_fn(|request: Request<Incoming>| async {
        let _whole = request.into_body().collect().await;
        Ok::<_, Infallible>(Response::new(Full::new(HELLO)))
    });
    let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    let _peer_gone = builder.serve_connection(TokioIo::new(stream), hello).await;
}

/// C connections, S requests at a time on each.
pub(crate) struct Caller {
    connections: Vec<SendRequest<Full<Bytes>>>,
    streams: usize,
}

impl Caller {
    pub(crate) async fn connect(ready: &Ready, connections: usize, streams: usize) -> Result<Self, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ready.ca.as_bytes()) {
            roots.add(certificate.map_err(|error| text(&error))?).map_err(|error| text(&error))?;
        }
        let mut tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let connector = TlsConnector::from(Arc::new(tls));
        let mut open = Vec::new();
        for _ in 0..connections {
            let stream = TcpStream::connect(ready.h3).await.map_err(|error| text(&error))?;
            stream.set_nodelay(true).map_err(|error| text(&error))?;
            let name = ServerName::try_from("localhost").map_err(|error| text(&error))?;
            let stream = connector.connect(name, stream).await.map_err(|error| text(&error))?;
            let (sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                    .await
                    .map_err(|error| text(&error))?;
            tokio::spawn(connection);
            open.push(sender);
        }
        Ok(Self { connections: open, streams })
    }

    /// Works for `length`; returns the requests answered rightly, and fails on the first that was not.
    pub(crate) async fn window(&self, length: Duration) -> Result<u64, String> {
        let end = cpu::now() + length;
        let mut workers = JoinSet::new();
        for connection in &self.connections {
            for _ in 0..self.streams {
                workers.spawn_local(labour(connection.clone(), end));
            }
        }
        let mut sum = 0;
        while let Some(done) = workers.join_next().await {
            sum += done.map_err(|error| error.to_string())??;
        }
        Ok(sum)
    }
}

async fn labour(mut sender: SendRequest<Full<Bytes>>, end: Instant) -> Result<u64, String> {
    let mut done = 0;
    loop {
        let request = Request::post("https://localhost/v1/hello").body(Full::new(HELLO));
        let request = request.map_err(|error| error.to_string())?;
        let answer = sender.send_request(request).await.map_err(|error| format!("hello: {error}"))?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(|error| format!("hello: {error}"))?;
        if status != 200 || body.to_bytes() != HELLO {
            return Err(format!("hello: status {status}"));
        }
        done += 1;
        if cpu::now() >= end {
            return Ok(done);
        }
    }
}
