//! Checks of the settings before a start: errors that would prevent it, and warnings.
//!
//! Reads files, changes nothing, opens no connection.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::config::{Config, ConfigFault, LogFilter, Text};
use crate::control::store::StoreUrl;
use crate::delivery::events::Events;
use crate::ground::certificate::identity_from_files;
use crate::serve::receipt::ReceiptKeys;

/// Permission bits of users who are neither owner nor in the group.
const OTHERS: u32 = 0o007;

/// Checks what the settings name. Returns the first error, by its key.
pub(crate) fn start(config: &Config) -> Result<(), ConfigFault> {
    let (chain, key) = config.tls_files()?;
    identity_from_files(&chain, &key)?.certified()?;
    StoreUrl::parse(&config.store.url)?;
    if config.delivery.is_empty() {
        return Err(ConfigFault("delivery: at least one way out for mail".into()));
    }
    for (at, provider) in config.delivery.iter().enumerate() {
        if config.delivery[..at].iter().any(|other| other.name == provider.name) {
            return Err(ConfigFault(format!(
                "delivery[{at}]: `{}` is the name of another one",
                provider.name
            )));
        }
        provider.check().map_err(|fault| ConfigFault(format!("delivery[{at}]: {fault}")))?;
    }
    Events::open(&config.events)?;
    ReceiptKeys::configured(&config.receipts)?;
    config.providers()?;
    config.admin_token().map(drop)
}

/// Warnings about files with a secret that every user of this machine may read, and about log
/// filters that have no effect.
pub(crate) fn warnings(config: &Config) -> Vec<String> {
    let text = |text: &Text| text.get().map(PathBuf::from);
    let own = [
        ("tls.key".to_owned(), text(&config.tls.key)),
        ("admin.token_file".to_owned(), text(&config.admin.token_file)),
        ("receipts.key_file".to_owned(), text(&config.receipts.key_file)),
        ("events.secret_file".to_owned(), text(&config.events.secret_file)),
    ];
    let delivery = config.delivery.iter().enumerate();
    let delivery = delivery.flat_map(|(at, provider)| {
        [("password_file", &provider.password_file), ("secret_file", &provider.secret_file)]
            .map(|(name, path)| (format!("delivery[{at}].{name}"), path.clone()))
    });
    let files = own.into_iter().chain(delivery).filter_map(|(key, path)| Some((key, path?)));
    let mut warnings: Vec<String> = files.filter_map(|(key, path)| open_to_others(&key, &path)).collect();
    warnings.extend(LogFilter::parse(&config.log.level).and_then(|filter| unheard("log.level", &filter)));
    warnings
}

/// The warning about a filter that names other crates, if it does.
pub(crate) fn unheard(key: &str, filter: &LogFilter) -> Option<String> {
    let names = filter.left_out.join(", ");
    (!names.is_empty()).then(|| format!("{key}: libraries write nothing to this log: {names}"))
}

/// The warning about one file, if other users may open it.
pub(crate) fn open_to_others(what: &str, path: &Path) -> Option<String> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    (mode & OTHERS != 0)
        .then(|| format!("{what}: holds a secret and is open to every user of this machine; chmod o= it"))
}
