//! What the operators' commands have in common: which store, and how they speak.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use zeroize::Zeroizing;

use super::print::say;
use super::{Failure, Settings};
use crate::config::{Config, ConfigFault, Layers};
use crate::control::registry::{Registry, RegistryFault};
use crate::control::store::StoreUrl;

/// Which store a command works on.
#[derive(Args)]
pub(super) struct StoreArgs {
    /// The store: sqlite://FILE or postgres://… [default: the config's]
    #[arg(long, global = true, value_name = "URL")]
    store: Option<String>,
    /// The config file to take the store from [default: authepy.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true)]
    pub(super) json: bool,
}

impl StoreArgs {
    pub(super) async fn open(&self) -> Result<Registry, Failure> {
        Ok(Registry::open(&StoreUrl::parse(&self.url()?)?).await?)
    }

    fn url(&self) -> Result<Zeroizing<String>, ConfigFault> {
        if let Some(url) = &self.store {
            return Ok(Zeroizing::new(url.clone()));
        }
        let settings = Settings { set: Vec::new() };
        let config = Config::from_layers(settings.over(file_layers(self.config.as_deref())?)?)?;
        Ok(Zeroizing::new(config.store.url))
    }

    /// Says what was done: JSON for scripts, `text` for people.
    pub(super) fn tell(&self, done: &impl Serialize, text: &str) -> Result<(), Failure> {
        if !self.json {
            text.lines().for_each(say);
            return Ok(());
        }
        let line = serde_json::to_string(done).map_err(|_| Failure::Internal("the answer".into()))?;
        say(&line);
        Ok(())
    }
}

/// The defaults and the config file: the named one, which must be there, or `authepy.toml` if it is.
pub(super) fn file_layers(named: Option<&std::path::Path>) -> Result<Layers, ConfigFault> {
    let path = named.unwrap_or(std::path::Path::new("authepy.toml"));
    match std::fs::read_to_string(path) {
        Ok(text) => Layers::new()?.file(&text),
        Err(fault) if named.is_none() && fault.kind() == std::io::ErrorKind::NotFound => Layers::new(),
        Err(_) => Err(ConfigFault(format!("{}: can't be read", path.display()))),
    }
}

impl From<RegistryFault> for Failure {
    fn from(fault: RegistryFault) -> Self {
        match fault {
            RegistryFault::Store(_) => Self::Unavailable(fault.to_string()),
            wrong => Self::Usage(wrong.to_string()),
        }
    }
}
