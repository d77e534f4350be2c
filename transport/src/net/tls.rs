//! TLS and QUIC configurations for a certificate.
//!
//! Early data is off, because a replayed request must not send a second mail. quinn's own
//! constructor turns it on, so the configuration is built from rustls directly and checked.

use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{IdleTimeout, TransportConfig, VarInt};
use rustls::crypto::aws_lc_rs;
use rustls::server::NoServerSessionStorage;

use crate::config::{ConfigFault, Connections};
use crate::ground::certificate::Certificate;
use crate::limits;

mod tickets;
pub(crate) use tickets::Tickets;

/// Makes aws-lc-rs the TLS provider of the process. Must run before any TLS is configured.
pub(crate) fn install_provider() {
    // An error means that a provider is already installed.
    let _installed = aws_lc_rs::default_provider().install_default();
}

/// The rustls configuration for one ALPN list; TLS 1.3 only for QUIC.
fn rustls_config(
    certificate: &Certificate,
    tickets: &Tickets,
    quic: bool,
    protocols: &[&[u8]],
) -> Result<rustls::ServerConfig, ConfigFault> {
    let fault = || ConfigFault("the TLS library has no cipher suite for the required versions".into());
    let versions = if quic { vec![&rustls::version::TLS13] } else { rustls::ALL_VERSIONS.to_vec() };
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&versions)
        .map_err(|_| fault())?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(certificate.clone()));
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config.max_early_data_size = 0;
    config.send_half_rtt_data = false;
    config.send_tls13_tickets = 1;
    // Sessions are kept in tickets only: the defaults of rustls are a cache and a ticketer behind
    // locks that lanes would share.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Arc::new(tickets.clone());
    Ok(config)
}

/// TLS for TCP: HTTP/2 is preferred to HTTP/1.1.
pub(crate) fn tcp_config(
    certificate: &Certificate,
    tickets: &Tickets,
) -> Result<Arc<rustls::ServerConfig>, ConfigFault> {
    rustls_config(certificate, tickets, false, &[b"h2", b"http/1.1"]).map(Arc::new)
}

/// QUIC for the lanes: HTTP/3, every buffer bounded.
pub(crate) fn quic_config(
    certificate: &Certificate,
    tickets: &Tickets,
    connections: &Connections,
) -> Result<quinn::ServerConfig, ConfigFault> {
    let tls = rustls_config(certificate, tickets, true, &[b"h3"])?;
    if tls.max_early_data_size != 0 {
        return Err(ConfigFault("early data is on; a replay would send a second mail".into()));
    }
    let tls = QuicServerConfig::try_from(tls).map_err(|_| ConfigFault("no TLS 1.3 cipher suite".into()))?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(tls));
    config.transport_config(Arc::new(transport_config(connections.idle.0)?));
    config.max_incoming(limits::PENDING_HANDSHAKES_PER_LANE);
    config.incoming_buffer_size(limits::PENDING_HANDSHAKE_BYTES);
    config.incoming_buffer_size_total(limits::PENDING_HANDSHAKE_BYTES_TOTAL);
    Ok(config)
}

fn transport_config(idle: Duration) -> Result<TransportConfig, ConfigFault> {
    let idle = IdleTimeout::try_from(idle).map_err(|_| ConfigFault("connections.idle: too long".into()))?;
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(Some(idle))
        .max_concurrent_bidi_streams(VarInt::from_u32(limits::REQUEST_STREAMS_PER_CONNECTION))
        .max_concurrent_uni_streams(VarInt::from_u32(limits::PEER_UNI_STREAMS_PER_CONNECTION))
        .stream_receive_window(VarInt::from_u32(limits::STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(limits::CONNECTION_WINDOW_BYTES))
        .send_window(limits::SEND_WINDOW_BYTES)
        .datagram_receive_buffer_size(None)
        .initial_mtu(limits::DATAGRAM_BYTES)
        .mtu_discovery_config(None);
    Ok(transport)
}
