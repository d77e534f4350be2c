//! Four layers of settings, merged into one table before anything is typed.

use toml::{Table, Value};

use super::ConfigFault;

const DEFAULTS: &str = include_str!("../defaults.toml");
const ENVIRONMENT_PREFIX: &str = "AUTHEPY_";
/// Tables whose content is a list of its own, checked where it is used.
const FREE_FORM: &str = "delivery";

/// Settings on their way to a [`super::Config`].
#[derive(Debug, Clone)]
pub struct Layers {
    known: Table,
    merged: Table,
}

impl Layers {
    /// The defaults.
    pub fn new() -> Result<Self, ConfigFault> {
        let known: Table =
            DEFAULTS.parse().map_err(|_| ConfigFault("the built-in defaults are broken".into()))?;
        Ok(Self { merged: known.clone(), known })
    }

    /// Lays a TOML file over what is there.
    pub fn file(mut self, text: &str) -> Result<Self, ConfigFault> {
        let table: Table = text
            .parse()
            .map_err(|e: toml::de::Error| ConfigFault(format!("the file is not TOML: {}", e.message())))?;
        for (path, value) in leaves("", &table) {
            self = self.set(&path, value)?;
        }
        Ok(self)
    }

    /// Lays environment variables over: `AUTHEPY_LIMITS__PEER__ISSUE` is `limits.peer.issue`. Only names
    /// with a double underscore, and those of top-level keys, are read as keys.
    pub fn environment(
        mut self,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigFault> {
        for (name, text) in variables {
            let Some(name) = name.strip_prefix(ENVIRONMENT_PREFIX) else { continue };
            if name.contains("__") {
                self = self.set(&name.to_lowercase().replace("__", "."), value(&text))?;
            }
        }
        Ok(self)
    }

    /// Lays one `key=value` over.
    pub fn assignment(self, assignment: &str) -> Result<Self, ConfigFault> {
        let (path, text) =
            assignment.split_once('=').ok_or_else(|| ConfigFault("--set takes key=value".into()))?;
        self.set(path.trim(), value(text.trim()))
    }

    /// Sets one key.
    pub fn set(mut self, path: &str, value: Value) -> Result<Self, ConfigFault> {
        if path != FREE_FORM && !is_known(&self.known, path) {
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

    pub(super) fn into_table(self) -> Table {
        self.merged
    }
}

/// A value from outside a file: TOML, or a plain string where it is not TOML.
fn value(text: &str) -> Value {
    let parsed = format!("value = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    parsed.unwrap_or_else(|| Value::String(text.to_owned()))
}

fn leaves(prefix: &str, table: &Table) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (name, value) in table {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Table(inner) if path != FREE_FORM => found.extend(leaves(&path, inner)),
            value => found.push((path, value.clone())),
        }
    }
    found
}

fn is_known(known: &Table, path: &str) -> bool {
    leaves("", known).iter().any(|(name, _)| name == path)
}

fn unknown(known: &Table, path: &str) -> ConfigFault {
    let names: Vec<String> = leaves("", known).into_iter().map(|(name, _)| name).collect();
    let nearest =
        names.iter().max_by(|a, b| strsim::jaro_winkler(a, path).total_cmp(&strsim::jaro_winkler(b, path)));
    let hint = nearest.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
    ConfigFault(format!("unknown setting {path}{hint}"))
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    #[test]
    fn the_defaults_are_a_valid_config() {
        Config::from_layers(Layers::new().unwrap()).unwrap();
    }

    #[test]
    fn later_layers_win() {
        let environment = [
            ("AUTHEPY_CODES__ATTEMPTS".to_owned(), "4".to_owned()),
            ("AUTHEPY_ADMIN_TOKEN".into(), "x".into()),
        ];
        let layers = Layers::new().unwrap().file("[codes]\nattempts = 3\nsends = 3").unwrap();
        let layers = layers.environment(environment.into_iter()).unwrap();
        let config = Config::from_layers(layers.clone()).unwrap();
        assert_eq!((config.codes.attempts, config.codes.sends), (4, 3));
        let config = Config::from_layers(layers.assignment("codes.attempts=2").unwrap()).unwrap();
        assert_eq!(config.codes.attempts, 2);
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let fault = Layers::new().unwrap().assignment("limits.peers.issue=off").unwrap_err();
        assert_eq!(fault.0, "unknown setting limits.peers.issue; did you mean limits.peer.issue?");
    }

    #[test]
    fn a_plain_word_needs_no_quotes() {
        let layers = Layers::new().unwrap().assignment("limits.recipient.issue=off").unwrap();
        assert!(Config::from_layers(layers).unwrap().limits.recipient.issue.0.is_empty());
        let layers = Layers::new().unwrap().assignment(r#"limits.recipient.issue=["2/1m"]"#).unwrap();
        assert_eq!(Config::from_layers(layers).unwrap().limits.recipient.issue.0.len(), 1);
    }

    #[test]
    fn what_would_weaken_a_code_does_not_start() {
        for bad in [
            "codes.lifetime=601s",
            "codes.length=5",
            "codes.length=11",
            "codes.attempts=0",
            "memory.ceiling=1MiB",
            "codes.lifetime=5",
        ] {
            let layers = Layers::new().unwrap().assignment(bad).unwrap();
            assert!(Config::from_layers(layers).is_err(), "{bad}");
        }
    }
}
