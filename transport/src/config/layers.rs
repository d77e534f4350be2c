//! Four layers of settings, merged into one table before it is parsed into types.
//!
//! ```text
//!   defaults.toml ◀─ the file ◀─ AUTHEPY_A__B ◀─ --set a.b=…
//! ```
//!
//! The defaults are also the list of known keys, and say which keys hold text: `--set
//! receipts.issuer=2026` sets the text `2026`, although it looks like a number.

use std::collections::BTreeMap;
use std::ffi::OsString;

use sha2::{Digest, Sha256};
use toml::{Table, Value};

use super::{Config, ConfigFault, fault, mask};

const DEFAULTS: &str = include_str!("defaults.toml");
/// Prefix of environment variables; those of top-level keys begin with `AUTHEPY__`.
const ENVIRONMENT_PREFIX: &str = "AUTHEPY_";
/// A list of tables, checked where it is used; the only key without a default.
const FREE_FORM: &str = "delivery";

/// Merged settings that become a [`Config`].
#[derive(Clone)]
pub struct Layers {
    known: Table,
    merged: Table,
}

/// Digests of all settings, by key: they show what has changed without keeping secrets.
pub type Digests = BTreeMap<String, [u8; 32]>;

/// Shows keys only: a value may be a secret.
impl std::fmt::Debug for Layers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(leaves("", &self.merged).iter().map(|(path, _)| path)).finish()
    }
}

impl Layers {
    /// The defaults.
    pub fn new() -> Result<Self, ConfigFault> {
        let known: Table =
            DEFAULTS.parse().map_err(|_| ConfigFault("the built-in defaults are broken".into()))?;
        Ok(Self { merged: known.clone(), known })
    }

    /// Adds a TOML file as a layer.
    pub fn file(mut self, text: &str) -> Result<Self, ConfigFault> {
        for (path, value) in leaves("", &parse(text)?) {
            let is_empty_section = matches!(&value, Value::Table(table) if table.is_empty());
            if !(is_empty_section && is_section(&self.known, &path)) {
                self = self.set(&path, value)?;
            }
        }
        Ok(self)
    }

    /// Adds environment variables as a layer: `AUTHEPY_LIMITS__PEER__ISSUE` is `limits.peer.issue`,
    /// and `AUTHEPY__LISTEN` is `listen`. Only names with a double underscore are keys.
    pub fn environment(
        mut self,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigFault> {
        for (name, text) in variables {
            // A name that is not UTF-8 can't be a key.
            let Some(name) = name.to_str() else { continue };
            let Some(key) = name.strip_prefix(ENVIRONMENT_PREFIX).filter(|_| name.contains("__")) else {
                continue;
            };
            let path = key.trim_start_matches('_').to_lowercase().replace("__", ".");
            let text = text.to_str().ok_or_else(|| ConfigFault(format!("{path}: {name} is not UTF-8")))?;
            let value = value(text, self.holds_text(&path));
            self = self.set(&path, value).map_err(|fault| ConfigFault(format!("{fault} (in {name})")))?;
        }
        Ok(self)
    }

    /// Sets one `key=value`.
    pub fn assignment(self, assignment: &str) -> Result<Self, ConfigFault> {
        let (path, text) =
            assignment.split_once('=').ok_or_else(|| ConfigFault("--set takes key=value".into()))?;
        let path = path.trim();
        let value = value(text.trim(), self.holds_text(path));
        self.set(path, value)
    }

    /// Sets one key.
    pub fn set(mut self, path: &str, value: Value) -> Result<Self, ConfigFault> {
        if path != FREE_FORM && !leaves("", &self.known).iter().any(|(name, _)| name == path) {
            return Err(unknown(&self.known, path));
        }
        let mut table = &mut self.merged;
        let mut names: Vec<&str> = path.split('.').collect();
        let last = names.pop().unwrap_or_default();
        for name in names {
            let next = table.entry(name).or_insert_with(|| Value::Table(Table::new()));
            let Value::Table(inner) = next else { return Err(unknown(&self.known, path)) };
            table = inner;
        }
        table.insert(last.to_owned(), value);
        Ok(self)
    }

    /// Parses the merged table into types; every error names its key.
    pub(super) fn typed(self) -> Result<Config, ConfigFault> {
        serde_path_to_error::deserialize(Value::Table(self.merged)).map_err(|f| fault::naming_the_key(&f))
    }

    /// All effective settings with secrets masked, for people to read.
    pub fn masked(&self) -> Table {
        mask::table(&self.merged)
    }

    /// Whether any setting is a secret.
    pub fn hold_secret(&self) -> bool {
        self.masked() != self.merged
    }

    /// Digests for [`changed`].
    pub fn digests(&self) -> Digests {
        let digest = |value: &Value| Sha256::digest(value.to_string()).into();
        leaves("", &self.merged).iter().map(|(path, value)| (path.clone(), digest(value))).collect()
    }

    /// Variables that look like a top-level key but lack the second underscore.
    pub fn near_misses(&self, names: impl Iterator<Item = OsString>) -> Vec<String> {
        let is_key = |key: &str| key == FREE_FORM || self.known.get(key).is_some_and(|v| !v.is_table());
        let names = names.filter_map(|name| name.into_string().ok());
        let keys = names.filter_map(|name| name.strip_prefix(ENVIRONMENT_PREFIX).map(str::to_lowercase));
        keys.filter(|key| is_key(key)).collect()
    }

    fn holds_text(&self, path: &str) -> bool {
        let mut names = path.split('.');
        let first = names.next().and_then(|name| self.known.get(name));
        matches!(
            names.try_fold(first, |value, name| Some(value?.get(name))).flatten(),
            Some(Value::String(_))
        )
    }
}

/// The keys whose values differ.
pub fn changed<'a>(before: &'a Digests, after: &'a Digests) -> Vec<&'a str> {
    let keys = before.keys().chain(after.keys().filter(|key| !before.contains_key(*key)));
    keys.filter(|key| before.get(*key) != after.get(*key)).map(String::as_str).collect()
}

fn parse(text: &str) -> Result<Table, ConfigFault> {
    text.parse().map_err(|fault: toml::de::Error| {
        let line = fault.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
        // The line is not quoted: it may hold a secret.
        ConfigFault(format!("line {line} is not TOML: {}", fault.message()))
    })
}

/// Parses a value from outside a file as TOML, or else as a plain string. For a key that holds
/// text, numbers, dates and booleans are text, too.
fn value(text: &str, holds_text: bool) -> Value {
    let parsed = format!("value = {text}").parse::<Table>().ok().filter(|table| table.len() == 1);
    match parsed.and_then(|mut table| table.remove("value")) {
        Some(value @ (Value::String(_) | Value::Array(_) | Value::Table(_))) => value,
        Some(scalar) if !holds_text => scalar,
        _ => Value::String(text.to_owned()),
    }
}

fn leaves(prefix: &str, table: &Table) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (name, value) in table {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Table(inner) if path != FREE_FORM && !inner.is_empty() => {
                found.extend(leaves(&path, inner));
            }
            value => found.push((path, value.clone())),
        }
    }
    found
}

fn is_section(known: &Table, path: &str) -> bool {
    let below = format!("{path}.");
    leaves("", known).iter().any(|(name, _)| name.starts_with(&below))
}

fn unknown(known: &Table, path: &str) -> ConfigFault {
    let names = leaves("", known).into_iter().map(|(name, _)| name).chain([FREE_FORM.to_owned()]);
    let hint = fault::nearest(names, path).map(|name| format!("; did you mean {name}?")).unwrap_or_default();
    ConfigFault(format!("unknown setting {path}{hint}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
#[path = "tests/layers.rs"]
mod tests;
