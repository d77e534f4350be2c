//! Checks whether the certificate's files have changed, and uses the new certificate if it is
//! valid.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use authepy_engine::clock::Now;

use super::expiry::Expiry;
use crate::ground::certificate::{self, Certificate};

/// Changes when the file does: a rename changes the inode, a write changes a time.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    /// Modification and status-change time, in seconds and nanoseconds: `cp -p` preserves only the
    /// former.
    times: [(i64, i64); 2],
}

impl Stamp {
    /// `None` if the file does not exist. Follows links, because Kubernetes and certbot swap links.
    fn of(path: &Path) -> Option<Self> {
        let file = std::fs::metadata(path).ok()?;
        let times = [(file.mtime(), file.mtime_nsec()), (file.ctime(), file.ctime_nsec())];
        Some(Self { device: file.dev(), inode: file.ino(), bytes: file.size(), times })
    }
}

/// Result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// The files did not change and were not read again.
    Unchanged,
    /// The files hold the certificate in use.
    Same,
    /// The files hold another certificate, now in use.
    Replaced,
    /// The pair can't be used.
    Unusable,
}

/// The files behind a certificate. Owned by the control plane.
pub(super) struct CertificateFiles {
    chain: PathBuf,
    key: PathBuf,
    certificate: Certificate,
    /// State when last read; `None` at first, because the files may have changed since the start
    /// read them.
    seen: Option<[Option<Stamp>; 2]>,
    /// Expiry of the certificate in use.
    expiry: Expiry,
}

impl CertificateFiles {
    pub(super) fn new((chain, key): (PathBuf, PathBuf), certificate: Certificate) -> Self {
        let expiry = Expiry::of(&certificate);
        Self { chain, key, certificate, seen: None, expiry }
    }

    /// Warns if the certificate in use expires soon or has expired.
    pub(super) fn warn_of_end(&mut self, now: Now) {
        self.expiry.warn(now);
    }

    /// Reads the files if they have changed, or always if `in_any_case`. A pair that can't be used
    /// (half written, not matching) is logged once per change; the certificate in use stays.
    pub(super) fn look(&mut self, in_any_case: bool) -> Look {
        // Stamped before reading: a change in between is noticed at the next check.
        let stamps = Some([Stamp::of(&self.chain), Stamp::of(&self.key)]);
        if self.seen == stamps && !in_any_case {
            return Look::Unchanged;
        }
        self.seen = stamps;
        let read = certificate::identity_from_files(&self.chain, &self.key);
        match read.and_then(|identity| self.certificate.replace(identity)) {
            Ok(true) => {
                self.expiry = Expiry::of(&self.certificate);
                tracing::info!("the certificate was replaced");
                Look::Replaced
            }
            Ok(false) => Look::Same,
            Err(fault) => {
                tracing::warn!(%fault, "the certificate's files can't be used; the one in use stays");
                Look::Unusable
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, text: &str) {
        std::fs::write(folder.join("next"), text).unwrap();
        std::fs::rename(folder.join("next"), folder.join(name)).unwrap();
    }

    #[test]
    fn a_change_is_judged_once_whatever_comes_of_it() {
        let make = || rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let (first, second, folder) = (make(), make(), tempfile::tempdir().unwrap());
        let folder = folder.path();
        let (chain, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        write(folder, "cert.pem", &first.cert.pem());
        write(folder, "key.pem", &first.signing_key.serialize_pem());
        let certificate = Certificate::new(certificate::identity_from_files(&chain, &key).unwrap()).unwrap();
        let mut files = CertificateFiles::new((chain.clone(), key.clone()), certificate);
        assert_eq!(files.look(false), Look::Same, "read again, as it may have changed since the start");
        assert_eq!(files.look(false), Look::Unchanged);
        write(folder, "cert.pem", &second.cert.pem());
        assert_eq!(files.look(false), Look::Unusable);
        assert_eq!(files.look(false), Look::Unchanged, "told of once");
        write(folder, "key.pem", &second.signing_key.serialize_pem());
        assert_eq!(files.look(false), Look::Replaced);
        assert_eq!(files.look(true), Look::Same, "a signal asks in any case");
        std::fs::remove_file(&chain).unwrap();
        assert_eq!(files.look(false), Look::Unusable);
        assert_eq!(files.look(false), Look::Unchanged);
        // Written in place: the same inode, another time or size.
        std::fs::write(&chain, first.cert.pem()).unwrap();
        std::fs::write(&key, first.signing_key.serialize_pem()).unwrap();
        assert_eq!(files.look(false), Look::Replaced);
    }
}
