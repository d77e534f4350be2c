//! Trusted root certificates for outgoing TLS: to mail relays and the operator's endpoints.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

/// A TLS connector that verifies servers against the system's roots and those of `ca_file`. The
/// error names the setting and the file.
pub(crate) fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, String> {
    with_roots(trusted(ca_file)?)
}

/// A TLS connector that trusts no server, for relays that never use TLS.
pub(crate) fn unused() -> Result<TlsConnector, String> {
    with_roots(RootCertStore::empty())
}

fn with_roots(roots: RootCertStore) -> Result<TlsConnector, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| "TLS can't be set up".to_owned())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(tls)))
}

fn trusted(ca_file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    // A system store may hold unusable certificates; one usable root is enough.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_file {
        let pem = std::fs::read(path).map_err(|error| unreadable("ca_file", path, &error))?;
        let mut found = 0;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let added = certificate.ok().and_then(|certificate| roots.add(certificate).ok());
            added.ok_or_else(|| format!("`ca_file` {} holds a broken certificate", path.display()))?;
            found += 1;
        }
        if found == 0 {
            return Err(format!("`ca_file` {} holds no certificate", path.display()));
        }
    }
    match roots.is_empty() {
        true => {
            Err("no trusted root certificates found; install ca-certificates or set `ca_file`".to_owned())
        }
        false => Ok(roots),
    }
}

/// Error text for a setting whose file can't be read.
pub(crate) fn unreadable(key: &str, path: &Path, error: &std::io::Error) -> String {
    format!("can't read `{key}` {}: {}", path.display(), error.kind())
}
