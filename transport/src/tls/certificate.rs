//! The certificate in use: one for QUIC and TCP, replaced whole while both serve.
//!
//! ```text
//!   PEM files ─▶ Identity ─ belongs together? ─▶ CertifiedKey ─▶ Certificate ─▶ each new handshake
//! ```
//!
//! Live connections don't notice: a certificate is shown in a handshake and never again. Sessions are
//! resumed by tickets, whose keys belong to the TLS configuration and outlive any certificate.

use std::fmt;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use crate::config::ConfigFault;
use crate::limits;
use crate::published::Published;

/// A certificate chain with its key, as read.
pub struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

impl Identity {
    /// The same, ready to sign, if chain and key can be used and belong together.
    pub fn certified(self) -> Result<CertifiedKey, ConfigFault> {
        if self.chain.iter().any(|certificate| ParsedCertificate::try_from(certificate).is_err()) {
            return Err(ConfigFault("tls.cert: not a certificate".into()));
        }
        let provider = aws_lc_rs::default_provider();
        if provider.key_provider.load_private_key(self.key.clone_key()).is_err() {
            return Err(ConfigFault("tls.key: not a key of a kind that is known here".into()));
        }
        CertifiedKey::from_der(self.chain, self.key, &provider)
            .map_err(|_| ConfigFault("tls.cert and tls.key: they don't belong together".into()))
    }
}

/// Reads a chain and a key from PEM files.
pub fn identity_from_files(chain: &Path, key: &Path) -> Result<Identity, ConfigFault> {
    let fault = |what: &str| ConfigFault(format!("tls.cert: {what}"));
    let pem = read("tls.cert", chain)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.map_err(|_| fault("not PEM"))?;
    if chain.is_empty() {
        return Err(fault("no certificate in the file"));
    }
    let key = PrivateKeyDer::from_pem_slice(&read("tls.key", key)?)
        .map_err(|_| ConfigFault("tls.key: no PEM key in the file".into()))?;
    Ok(Identity { chain, key })
}

fn read(setting: &str, path: &Path) -> Result<Zeroizing<Vec<u8>>, ConfigFault> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(limits::CERTIFICATE_FILE_BYTES as usize));
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(limits::CERTIFICATE_FILE_BYTES).read_to_end(&mut bytes));
    read.map_err(|fault| ConfigFault(format!("{setting}: the file can't be read: {}", fault.kind())))?;
    Ok(bytes)
}

/// The certificate in use. Cloning gives the same one.
#[derive(Clone)]
pub struct Certificate(Published<CertifiedKey>);

impl Certificate {
    /// The first certificate.
    pub fn new(identity: Identity) -> Result<Self, ConfigFault> {
        identity.certified().map(|key| Self(Published::new(key)))
    }

    /// Shows another one from the next handshake on. False if it was in use already; a fault keeps the
    /// old one.
    pub fn replace(&self, identity: Identity) -> Result<bool, ConfigFault> {
        let next = identity.certified()?;
        let is_new = self.0.read().cert != next.cert;
        if is_new {
            self.0.replace(next);
        }
        Ok(is_new)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.hold())
    }
}

/// No key material.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate(..)")
    }
}
