//! What both halves of a bare quinn yardstick begin with: a server that says its ready line, a client that
//! trusts it.

use std::io::{Write, stdout};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::process::Ready;

/// Serves until it is killed: prints its address and certificate on one line, then has `handle` take each
/// newcomer.
pub fn serve(handle: impl Fn(quinn::Incoming)) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(|error| text(&error))?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    let mut tls = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .map_err(|error| text(&error))?;
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let crypto = QuicServerConfig::try_from(tls).map_err(|error| text(&error))?;
    let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| text(&error))?.block_on(async move {
        let endpoint = quinn::Endpoint::server(config, ([127, 0, 0, 1], 0).into());
        let endpoint = endpoint.map_err(|error| text(&error))?;
        let h3 = endpoint.local_addr().map_err(|error| text(&error))?;
        let ready = serde_json::to_string(&Ready::bare(h3, made.cert.pem())).map_err(|error| text(&error))?;
        writeln!(stdout(), "{ready}").map_err(|error| text(&error))?;
        while let Some(incoming) = endpoint.accept().await {
            handle(incoming);
        }
        Ok(())
    })
}

/// A client on this loopback address that trusts `ca` and asks for HTTP/3.
pub fn client(ca: &str, source: [u8; 4]) -> Result<quinn::Endpoint, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca.as_bytes()) {
        roots.add(certificate.map_err(|error| text(&error))?).map_err(|error| text(&error))?;
    }
    let mut tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let crypto = QuicClientConfig::try_from(tls).map_err(|error| text(&error))?;
    let socket = UdpSocket::bind(SocketAddr::from((source, 0))).map_err(|error| text(&error))?;
    let runtime = Arc::new(quinn::TokioRuntime);
    let endpoint = quinn::Endpoint::new(quinn::EndpointConfig::default(), None, socket, runtime);
    let mut endpoint = endpoint.map_err(|error| text(&error))?;
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(crypto)));
    Ok(endpoint)
}
