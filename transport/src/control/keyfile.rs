//! Keys in a file: digests, classes and origins, never a key. The first, smallest store: `dev --dir`
//! writes it, `serve` reads it. The SQL store takes its place with the control plane.

use std::path::Path;
use std::sync::Arc;

use authepy_engine::perimeter::api_key::{ApiKey, KeyClass, KeyDigest, Mode};
use authepy_engine::perimeter::origin::OriginRules;
use authepy_engine::perimeter::{KeyBook, KeyRecord};
use authepy_engine::request::ProjectId;
use serde::{Deserialize, Serialize};

use crate::config::ConfigFault;
use crate::entropy::OsEntropy;
use authepy_engine::entropy::Entropy;

/// One key as it stands in the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredKey {
    project: String,
    /// SHA-256 of the key, in hexadecimal.
    digest: String,
    class: StoredClass,
    test: bool,
    last_four: String,
    native: bool,
    origins: Vec<String>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StoredClass {
    Secret,
    Restricted,
}

/// Makes a key and what is stored of it.
pub fn create(
    project: &str,
    class: KeyClass,
    mode: Mode,
    native: bool,
    origins: &[&str],
) -> (ApiKey, StoredKey) {
    let mut entropy = OsEntropy::default();
    let key = ApiKey::generate(class, mode, |out| entropy.fill(out));
    let text = key.as_text();
    let stored = StoredKey {
        project: project.to_owned(),
        digest: text.digest().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect(),
        class: match class {
            KeyClass::Secret => StoredClass::Secret,
            KeyClass::Restricted => StoredClass::Restricted,
        },
        test: mode == Mode::Test,
        last_four: text.last_four().iter().map(|&byte| char::from(byte)).collect(),
        native,
        origins: origins.iter().map(|&origin| origin.to_owned()).collect(),
    };
    (key, stored)
}

/// Writes the file, readable by its owner only.
pub fn save(path: &Path, keys: &[StoredKey]) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    serde_json::to_writer_pretty(&mut file, keys)?;
    file.write_all(b"\n")
}

/// Reads the file.
pub fn load(path: &Path) -> Result<Vec<StoredKey>, ConfigFault> {
    let text = std::fs::read(path).map_err(|_| ConfigFault("store.url: the file can't be read".into()))?;
    serde_json::from_slice(&text).map_err(|_| ConfigFault("store.url: not a key file".into()))
}

/// Turns stored keys into the book that lanes read. Projects are numbered in order of appearance.
pub fn book(stored: &[StoredKey]) -> Result<KeyBook, ConfigFault> {
    let mut projects: Vec<&str> = Vec::new();
    let mut records = Vec::with_capacity(stored.len());
    for key in stored {
        let number = projects.iter().position(|name| *name == key.project).unwrap_or_else(|| {
            projects.push(&key.project);
            projects.len() - 1
        });
        records.push(record(key, ProjectId(u32::try_from(number).unwrap_or(u32::MAX)))?);
    }
    Ok(KeyBook::new(records))
}

fn record(key: &StoredKey, project: ProjectId) -> Result<KeyRecord, ConfigFault> {
    let digest = digest(&key.digest)
        .ok_or_else(|| ConfigFault("store.url: a digest is not 64 hexadecimal digits".into()))?;
    let origins = OriginRules::parse(&key.origins).map_err(|(at, fault)| {
        ConfigFault(format!("store.url: origin {at} of key …{}: {fault}", key.last_four))
    })?;
    Ok(KeyRecord {
        digest: KeyDigest::from_bytes(digest),
        project,
        project_name: Arc::from(key.project.as_str()),
        class: match key.class {
            StoredClass::Secret => KeyClass::Secret,
            StoredClass::Restricted => KeyClass::Restricted,
        },
        mode: if key.test { Mode::Test } else { Mode::Live },
        native: key.native,
        origins,
    })
}

fn digest(hex: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}
