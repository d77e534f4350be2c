//! The server under load. Only loopback: this program is a weapon in any other direction.
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;

use crate::wire::As;

/// Everything needed to speak to the server, and to judge its answers.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) h3: SocketAddr,
    pub(crate) roots: RootCertStore,
    secret: String,
    restricted: String,
    pub(crate) codes: Codes,
    /// The admin listener, where the server's own counters are.
    pub(crate) admin: Option<SocketAddr>,
}

/// Where a sign-up gets its code from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Codes {
    /// Test keys: no mail, always zeros.
    Zeros,
    /// Live keys: from the mail in this Maildir.
    Mail(PathBuf),
}

/// The line of `authepy dev --json`, as far as it concerns a caller.
#[derive(Deserialize)]
struct Ready {
    h3: SocketAddr,
    ca: PathBuf,
    #[serde(default)]
    secret_key: String,
    #[serde(default)]
    restricted_key: String,
    #[serde(default)]
    secret_test_key: String,
    #[serde(default)]
    restricted_test_key: String,
    outbox: Option<PathBuf>,
    admin: Option<String>,
}

impl Target {
    /// From a file that holds the ready line; says what is missing, unreadable or out of bounds.
    pub(crate) fn from_file(file: &Path, test_keys: bool) -> Result<Self, String> {
        let blame = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        let text = fs::read_to_string(file).map_err(|error| blame(&error))?;
        Self::from_line(text.lines().next().unwrap_or_default(), test_keys).map_err(|error| blame(&error))
    }

    /// From the ready line itself, with its live keys or its test keys.
    pub(crate) fn from_line(line: &str, test_keys: bool) -> Result<Self, String> {
        let ready: Ready = serde_json::from_str(line).map_err(|error| format!("no ready line: {error}"))?;
        let h3 = ready.h3;
        if !h3.ip().to_canonical().is_loopback() {
            return Err(format!("{h3} is not a loopback address; load is only ever sent to this machine"));
        }
        if !h3.is_ipv4() {
            return Err(format!("{h3}: the peers are 127.x.y.z and need an IPv4 address to speak to"));
        }
        let (secret, restricted) = match test_keys {
            true => (ready.secret_test_key, ready.restricted_test_key),
            false => (ready.secret_key, ready.restricted_key),
        };
        let is_test = |key: &str| key.starts_with("ath_sec_test_") || key.starts_with("rk_test_");
        let codes = match ready.outbox {
            _ if is_test(&secret) && is_test(&restricted) => Codes::Zeros,
            Some(outbox) => Codes::Mail(outbox),
            None => return Err("live keys' codes come by mail, and no `outbox` is named".into()),
        };
        let admin = ready.admin.as_deref().and_then(|url| url.strip_prefix("http://")?.parse().ok());
        Ok(Self { h3, roots: read_roots(&ready.ca)?, secret, restricted, codes, admin })
    }

    /// What receipts have to say of the keys' mode.
    pub(crate) fn mode(&self) -> &'static str {
        match self.codes {
            Codes::Zeros => "test",
            Codes::Mail(_) => "live",
        }
    }

    /// The API key that such a caller shows.
    pub(crate) fn key(&self, caller: As) -> &str {
        match caller {
            As::Page => &self.restricted,
            As::Backend => &self.secret,
        }
    }
}

fn read_roots(file: &Path) -> Result<RootCertStore, String> {
    let blame = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| blame(&error))? {
        let certificate = certificate.map_err(|error| blame(&error))?;
        roots.add(certificate).map_err(|error| blame(&error))?;
    }
    if roots.is_empty() { Err(blame(&"no certificate in it")) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_beyond_loopback_is_refused() {
        for foreign in ["192.0.2.1:443", "0.0.0.0:443", "[2001:db8::1]:443", "[::ffff:10.0.0.1]:443"] {
            let line = format!(r#"{{"h3":"{foreign}","ca":"/nowhere/ca.pem"}}"#);
            let refusal = Target::from_line(&line, true).err().unwrap();
            assert!(refusal.contains("not a loopback address"), "{refusal}");
        }
        let line = r#"{"h3":"127.9.9.9:443","ca":"/nowhere/ca.pem","secret_test_key":"ath_sec_test_x","restricted_test_key":"rk_test_ath_x"}"#;
        let refusal = Target::from_line(line, true).err().unwrap();
        assert!(refusal.contains("/nowhere/ca.pem"), "loopback passes to the next step: {refusal}");
    }
}
