//! Whom we believe when we call somebody: mail relays and the operator's own endpoints.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

/// Verified TLS to servers that the system's roots vouch for, or those of `ca_file`. The fault names the
/// setting and the file.
pub(crate) fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, String> {
    with_roots(trusted(ca_file)?)
}

/// TLS that no server can pass: for those who never use it.
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
    // A system store may hold certificates nobody can use; one good root is enough to try.
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
        true => Err("no trusted root certificates here; install ca-certificates or set `ca_file`".to_owned()),
        false => Ok(roots),
    }
}

/// The fault of a setting that names a file.
pub(crate) fn unreadable(key: &str, path: &Path, error: &std::io::Error) -> String {
    format!("can't read `{key}` {}: {}", path.display(), error.kind())
}
