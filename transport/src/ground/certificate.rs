//! The certificate in use: shared by QUIC and TCP, and replaced as a whole while serving.
//!
//! ```text
//!   PEM files ─▶ Identity ─ chain fits key? ───▶ CertifiedKey ─▶ Certificate ─▶ each new handshake
//! ```
//!
//! Live connections are not affected, because a certificate is used only in the handshake. Sessions
//! are resumed with tickets, whose keys belong to the TLS configuration and outlive any
//! certificate.

use std::fmt;
use std::io::Read as _;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::aws_lc_rs::hmac;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, RootCertStore};
use zeroize::Zeroizing;

mod development;
pub use development::development_identity;

use crate::config::ConfigFault;
use crate::ground::published::Published;
use crate::limits;

/// The year 10000, which no certificate reaches (RFC 5280, 4.1.2.5).
const END_OF_TIME: UnixTime = UnixTime::since_unix_epoch(Duration::from_secs(253_402_300_800));

/// A certificate chain with its private key.
pub struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Secret from which the keys of stateless resets (RFC 9000, 10.3) are derived. It is the same
    /// after a restart, so that clients learn at once that their connections no longer exist,
    /// instead of waiting for their idle timeout.
    ///
    /// It is derived from the private key and the host's name. If several hosts share a certificate
    /// and an address, the name prevents that one resets connections of another because of a
    /// misrouted packet (21.11).
    pub fn reset_secret(&self, host: &str) -> ResetSecret {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, self.key.secret_der());
        ResetSecret(derived(&secret, &format!("authepy stateless reset\0{host}")))
    }

    /// Returns the signing key, if chain and key are usable and belong together.
    pub fn certified(self) -> Result<CertifiedKey, ConfigFault> {
        if self.chain.iter().any(|certificate| ParsedCertificate::try_from(certificate).is_err()) {
            return Err(ConfigFault("tls.cert: is not a certificate".into()));
        }
        let provider = aws_lc_rs::default_provider();
        if provider.key_provider.load_private_key(self.key.clone_key()).is_err() {
            return Err(ConfigFault("tls.key: is not a private key of a supported kind".into()));
        }
        CertifiedKey::from_der(self.chain, self.key, &provider)
            .map_err(|_| ConfigFault("tls.cert and tls.key: they don't belong together".into()))
    }
}

/// See [`Identity::reset_secret`].
pub struct ResetSecret(hmac::Key);

impl ResetSecret {
    /// The reset key of the endpoints that listen on this address.
    ///
    /// An endpoint answers with a reset only for ids of connections that it does not have. If the
    /// key were the same for all addresses, a datagram with a live id, sent to another of our
    /// addresses, would be answered with the token that ends that connection (21.11). An endpoint
    /// on `[::]` serves all addresses of its machine, and finds the connection at whichever of them
    /// a datagram arrives. Of several lanes on one address, only the lane that an id routes to
    /// answers for it.
    pub fn key_at(&self, listens: SocketAddr) -> hmac::Key {
        derived(&self.0, &listens.to_string())
    }
}

fn derived(secret: &hmac::Key, label: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(secret, label.as_bytes()).as_ref())
}

/// Reads a chain and a key from PEM files.
pub fn identity_from_files(chain: &Path, key: &Path) -> Result<Identity, ConfigFault> {
    let fault = |what: &str| ConfigFault(format!("tls.cert: {what}"));
    let pem = read("tls.cert", chain)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.map_err(|_| fault("is not PEM"))?;
    if chain.is_empty() {
        return Err(fault("the file has no certificate"));
    }
    let key = PrivateKeyDer::from_pem_slice(&read("tls.key", key)?)
        .map_err(|_| ConfigFault("tls.key: the file has no PEM key".into()))?;
    Ok(Identity { chain, key })
}

fn read(setting: &str, path: &Path) -> Result<Zeroizing<Vec<u8>>, ConfigFault> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(limits::CERTIFICATE_FILE_BYTES as usize));
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(limits::CERTIFICATE_FILE_BYTES).read_to_end(&mut bytes));
    read.map_err(|fault| ConfigFault(format!("{setting}: the file can't be read: {}", fault.kind())))?;
    Ok(bytes)
}

/// The certificate in use. Clones share it.
#[derive(Clone)]
pub struct Certificate(Published<CertifiedKey>);

impl Certificate {
    /// Starts with this certificate.
    pub fn new(identity: Identity) -> Result<Self, ConfigFault> {
        identity.certified().map(|key| Self(Published::new(key)))
    }

    /// Validity period stated in the certificate, both ends included. `None` if it can't be parsed.
    pub fn good(&self) -> Option<RangeInclusive<UnixTime>> {
        let begin = match self.fault_at(UnixTime::since_unix_epoch(Duration::ZERO))? {
            CertificateError::NotValidYetContext { not_before, .. } => not_before,
            // Valid at the epoch: earlier dates are not supported.
            _ => UnixTime::since_unix_epoch(Duration::ZERO),
        };
        match self.fault_at(END_OF_TIME)? {
            CertificateError::ExpiredContext { not_after, .. } => Some(begin..=not_after),
            _ => None,
        }
    }

    /// Why a verifier would reject the certificate at `then`. A verifier checks the dates first,
    /// and its error contains them.
    fn fault_at(&self, then: UnixTime) -> Option<CertificateError> {
        let key = self.0.read();
        let leaf = ParsedCertificate::try_from(key.cert.first()?).ok()?;
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms.all;
        let no_roots = RootCertStore::empty();
        match verify_server_cert_signed_by_trust_anchor(&leaf, &no_roots, &[], then, algorithms) {
            Err(rustls::Error::InvalidCertificate(fault)) => Some(fault),
            _ => None,
        }
    }

    /// Uses another certificate from the next handshake on. Returns false if it is already in use;
    /// on an error the old one stays.
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

/// Shows no key material.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate(..)")
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::PrivatePkcs8KeyDer;

    use super::development_identity;
    use super::*;

    #[test]
    fn a_certificate_says_when_it_begins_and_ends() {
        let good = |from, to| {
            let mut made = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            (made.not_before, made.not_after) =
                (rcgen::date_time_ymd(from, 1, 1), rcgen::date_time_ymd(to, 1, 1));
            let key = rcgen::KeyPair::generate().unwrap();
            let chain = vec![made.self_signed(&key).unwrap().der().clone()];
            let identity = Identity { chain, key: PrivatePkcs8KeyDer::from(key.serialize_der()).into() };
            let good = Certificate::new(identity).unwrap().good().unwrap();
            (good.start().as_secs(), good.end().as_secs())
        };
        assert_eq!(good(1970, 2020), (0, 1_577_836_800));
        assert_eq!(good(2020, 2038), (1_577_836_800, 2_145_916_800));
        assert_eq!(good(2038, 9999), (2_145_916_800, 253_370_764_800));
    }

    #[test]
    fn a_reset_key_is_that_of_a_certificate_on_an_address_of_a_host() {
        let token = |identity: &Identity, host, listens: &str| {
            let key = identity.reset_secret(host).key_at(listens.parse().unwrap());
            hmac::sign(&key, b"a connection id").as_ref().to_vec()
        };
        let (one, other) = (development_identity().unwrap().0, development_identity().unwrap().0);
        let first = token(&one, "a", "127.0.0.1:443");
        assert_eq!(first, token(&one, "a", "127.0.0.1:443"), "the same after a restart");
        assert_ne!(first, token(&one, "b", "127.0.0.1:443"), "another host behind one address");
        assert_ne!(first, token(&other, "a", "127.0.0.1:443"), "another certificate");
        for listens in ["127.0.0.2:443", "127.0.0.1:444", "[::1]:443", "[::]:443", "0.0.0.0:443"] {
            assert_ne!(first, token(&one, "a", listens), "another address: {listens}");
        }
    }
}
