//! Shared by the operators' commands: which store, and the output format.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use zeroize::Zeroizing;

use super::Failure;
use super::config::Source;
use super::print::say;
use crate::config::{Config, ConfigFault};
use crate::control::registry::{Registry, RegistryFault};
use crate::control::store::StoreUrl;

/// Which store a command works on.
#[derive(Args)]
pub(super) struct StoreArgs {
    /// The store: sqlite://FILE or postgres://… [default: the config's]
    #[arg(long, global = true, value_name = "URL")]
    store: Option<String>,
    /// The config file that names the store [default: authepy.toml, if there is one]
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
        let config = Config::from_layers(Source::of(self.config.clone()).layers()?)?;
        Ok(Zeroizing::new(config.store.url))
    }

    /// Prints the result: JSON for scripts, `text` for people.
    pub(super) fn tell(&self, done: &impl Serialize, text: &str) -> Result<(), Failure> {
        if !self.json {
            text.lines().for_each(say);
            return Ok(());
        }
        let line = serde_json::to_string(done)
            .map_err(|_| Failure::Internal("the result can't be encoded".into()))?;
        say(&line);
        Ok(())
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
