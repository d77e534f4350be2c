//! The yardstick: a quinn server that ignores everybody.
use std::io::{Write, stdout};
use std::sync::Arc;

use authepy_benches::process::Ready;
use quinn::crypto::rustls::QuicServerConfig;
use rustls::pki_types::PrivateKeyDer;

/// Serves until it is killed; prints its address on one line first.
pub(crate) fn serve() -> Result<(), String> {
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
        let ready = serde_json::to_string(&Ready { h3, ca: made.cert.pem(), secret_test_key: String::new() })
            .map_err(|error| text(&error))?;
        writeln!(stdout(), "{ready}").map_err(|error| text(&error))?;
        while let Some(incoming) = endpoint.accept().await {
            incoming.ignore();
        }
        Ok(())
    })
}
