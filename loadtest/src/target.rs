//! The server under load. Only loopback: this program is a weapon in any other direction.
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;

use crate::args::TargetArgs;

/// Everything needed to speak to the server, and to judge its answers.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) h3: SocketAddr,
    pub(crate) roots: RootCertStore,
    pub(crate) key: String,
    pub(crate) origin: Option<String>,
    pub(crate) codes: Codes,
}

/// Where a sign-up gets its code from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Codes {
    /// A test key: no mail, always zeros.
    Zeros,
    /// A live key: from the mail in this Maildir.
    Mail(PathBuf),
}

/// The line of `authepy dev --json`, as far as it concerns a caller.
#[derive(Deserialize, Default)]
struct Ready {
    h3: Option<SocketAddr>,
    ca: Option<PathBuf>,
    secret_key: Option<String>,
    restricted_key: Option<String>,
    secret_test_key: Option<String>,
    restricted_test_key: Option<String>,
    outbox: Option<PathBuf>,
}

impl Target {
    /// From flags and the ready line; says what is missing, unreadable or out of bounds.
    pub(crate) fn resolve(args: &TargetArgs) -> Result<Self, String> {
        let ready = args.target.as_deref().map_or_else(|| Ok(Ready::default()), read_ready)?;
        let h3 = args.h3.or(ready.h3).ok_or("no address: --h3, or a --target file with `h3`")?;
        if !h3.ip().to_canonical().is_loopback() {
            return Err(format!("{h3} is not a loopback address; load is only ever sent to this machine"));
        }
        let from_file = if args.restricted { ready.restricted_key } else { ready.secret_key };
        let key = args.key.clone().or(from_file).ok_or("no API key: --key, or a --target file with one")?;
        let (restricted, test) = read_key(&key)?;
        let ca = args.ca.clone().or(ready.ca).ok_or("no CA: --ca, or a --target file with `ca`")?;
        let outbox = args.outbox.clone().or(ready.outbox);
        let codes = match (test, outbox) {
            (true, _) => Codes::Zeros,
            (false, Some(outbox)) => Codes::Mail(outbox),
            (false, None) => return Err("a live key's codes come by mail: --outbox, or a test key".into()),
        };
        let usual_origin = restricted.then(|| "https://mybrand.com".to_owned());
        Ok(Self { h3, roots: read_roots(&ca)?, key, origin: args.origin.clone().or(usual_origin), codes })
    }
}

/// The same server to a backend and to a page, by the test keys of a ready line.
pub(crate) fn both_classes(file: &Path) -> Result<[Target; 2], String> {
    let ready = read_ready(file)?;
    let as_caller = |key: Option<String>| {
        let key = key.ok_or_else(|| format!("{}: a test key is missing", file.display()))?;
        Target::resolve(&TargetArgs {
            target: Some(file.to_owned()),
            key: Some(key),
            ..TargetArgs::default()
        })
    };
    Ok([as_caller(ready.secret_test_key)?, as_caller(ready.restricted_test_key)?])
}

/// Class and mode from the prefix: (restricted, test).
fn read_key(key: &str) -> Result<(bool, bool), String> {
    const PREFIXES: [(&str, bool, bool); 4] = [
        ("ath_sec_live_", false, false),
        ("ath_sec_test_", false, true),
        ("rk_live_", true, false),
        ("rk_test_", true, true),
    ];
    let known = PREFIXES.iter().find(|(prefix, ..)| key.starts_with(prefix));
    known
        .map(|&(_, restricted, test)| (restricted, test))
        .ok_or_else(|| "the API key has no known prefix".into())
}

fn read_ready(file: &Path) -> Result<Ready, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let line = text.lines().next().unwrap_or_default();
    serde_json::from_str(line).map_err(|error| format!("{}: {error}", file.display()))
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

    fn args(h3: &str) -> TargetArgs {
        TargetArgs {
            target: None,
            h3: Some(h3.parse().unwrap()),
            ca: Some("/nowhere/ca.pem".into()),
            key: Some("ath_sec_test_x".into()),
            restricted: false,
            origin: None,
            outbox: None,
        }
    }

    #[test]
    fn a_target_beyond_loopback_is_refused() {
        for foreign in ["192.0.2.1:443", "0.0.0.0:443", "[2001:db8::1]:443", "[::ffff:10.0.0.1]:443"] {
            let refusal = Target::resolve(&args(foreign)).err().unwrap();
            assert!(refusal.contains("not a loopback address"), "{refusal}");
        }
        let refusal = Target::resolve(&args("127.9.9.9:443")).err().unwrap();
        assert!(refusal.contains("/nowhere/ca.pem"), "loopback passes to the next step: {refusal}");
    }

    #[test]
    fn a_key_tells_its_class_and_mode() {
        assert_eq!(read_key("rk_test_ath_x"), Ok((true, true)));
        assert_eq!(read_key("ath_sec_live_x"), Ok((false, false)));
        assert!(read_key("sk_live_x").is_err());
    }
}
