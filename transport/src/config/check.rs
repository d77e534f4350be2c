//! Everything about the settings that a start would trip over, and what an operator should know.
//!
//! Files are read, nothing is changed, nothing is connected to.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{Config, ConfigFault};
use crate::control::keyfile;
use crate::receipt::ReceiptKey;
use crate::tls;

/// Read, write or enter by those who are neither owner nor group.
const OTHERS: u32 = 0o007;

/// Opens what the settings name: the first fault, by its key.
pub fn start(config: &Config) -> Result<(), ConfigFault> {
    let (chain, key) = config.tls_files()?;
    tls::identity_from_files(&chain, &key)?.certified()?;
    store(&config.store.url)?;
    if config.delivery.is_empty() {
        return Err(ConfigFault("delivery: at least one way out for mail".into()));
    }
    for (at, provider) in config.delivery.iter().enumerate() {
        provider.check().map_err(|fault| ConfigFault(format!("delivery[{at}]: {fault}")))?;
    }
    ReceiptKey::configured(&config.receipts)?;
    admin_token(config)
}

fn store(url: &str) -> Result<(), ConfigFault> {
    match url.split_once(':') {
        Some(("file", path)) => keyfile::book(&keyfile::load(Path::new(path))?).map(drop),
        Some(("sqlite" | "postgres" | "postgresql", _)) => Ok(()),
        _ => Err(ConfigFault("store.url: begins with sqlite: or postgres:".into())),
    }
}

fn admin_token(config: &Config) -> Result<(), ConfigFault> {
    let Some(path) = config.admin.token_file.get() else { return Ok(()) };
    let token = std::fs::read_to_string(path).map(Zeroizing::new);
    let token =
        token.map_err(|fault| ConfigFault(format!("admin.token_file: can't be read: {}", fault.kind())))?;
    match token.trim().is_empty() {
        true => Err(ConfigFault("admin.token_file: the file is empty".into())),
        false => Ok(()),
    }
}

/// A line for each file with a secret that every user of this machine may open.
pub fn warnings(config: &Config) -> Vec<String> {
    let text = |text: &super::Text| text.get().map(PathBuf::from);
    let own = [
        ("tls.key".to_owned(), text(&config.tls.key)),
        ("admin.token_file".to_owned(), text(&config.admin.token_file)),
        ("receipts.key_file".to_owned(), text(&config.receipts.key_file)),
    ];
    let delivery = config.delivery.iter().enumerate();
    let delivery = delivery.map(|(at, p)| (format!("delivery[{at}].password_file"), p.password_file.clone()));
    let files = own.into_iter().chain(delivery).filter_map(|(key, path)| Some((key, path?)));
    files.filter_map(|(key, path)| open_to_others(&key, &path)).collect()
}

/// The warning about one file, if there is something to warn of.
pub fn open_to_others(what: &str, path: &Path) -> Option<String> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    (mode & OTHERS != 0)
        .then(|| format!("{what}: holds a secret and is open to every user of this machine; chmod o= it"))
}
