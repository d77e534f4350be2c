//! `authepy config check` and `authepy config print`, and the sources of every command's settings.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::print::{complain, say};
use super::{Failure, Settings};
use crate::config::{Config, ConfigFault, Layers};
use crate::process::check;

/// Read if it exists and no other file is named.
const DEFAULT_FILE: &str = "authepy.toml";

/// The file, the environment and `--set`.
#[derive(Args, Clone)]
pub(super) struct Source {
    /// The config file [default: authepy.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Subcommand)]
pub(super) enum ConfigCommand {
    /// Check everything that a start would check; prints `ok`, or which setting is wrong
    Check(Asked),
    /// Print the effective settings, secrets masked
    Print(Asked),
}

#[derive(Args)]
pub(super) struct Asked {
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    source: Source,
}

pub(super) fn run(command: ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check(Asked { json, source }) => {
            let checked = source.check();
            if json {
                say(&match &checked {
                    Ok(warnings) => json!({"ok": true, "warnings": warnings}).to_string(),
                    Err(fault) => json!({"ok": false, "fault": fault.to_string()}).to_string(),
                });
            }
            checked?.iter().for_each(|warning| complain(&format!("warning: {warning}")));
            if !json {
                say("ok");
            }
        }
        ConfigCommand::Print(Asked { json, source }) => {
            let layers = source.layers()?;
            let masked = layers.masked();
            Config::from_layers(layers)?;
            let unprintable = |_| Failure::Internal("the settings can't be printed".into());
            match json {
                true => say(&serde_json::to_string(&masked).map_err(|_| unprintable(()))?),
                false => say(toml::to_string(&masked).map_err(|_| unprintable(()))?.trim_end()),
            }
        }
    }
    Ok(())
}

impl Source {
    /// A source without `--set`.
    pub(super) fn of(config: Option<PathBuf>) -> Self {
        Self { config, settings: Settings { set: Vec::new() } }
    }

    /// Merges all four layers. A file named explicitly must exist; the default one need not.
    pub(super) fn layers(&self) -> Result<Layers, ConfigFault> {
        let layers = Layers::new()?;
        self.settings.over(match self.text()? {
            None => layers,
            Some((path, text)) => {
                layers.file(&text).map_err(|fault| ConfigFault(format!("{}: {fault}", path.display())))?
            }
        })
    }

    fn text(&self) -> Result<Option<(&Path, String)>, ConfigFault> {
        let path = self.config.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some((path, text))),
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound && self.config.is_none() => Ok(None),
            Err(fault) => Err(ConfigFault(format!("{}: can't be read: {}", path.display(), fault.kind()))),
        }
    }

    fn check(&self) -> Result<Vec<String>, ConfigFault> {
        let config = Config::from_layers(self.layers()?)?;
        check::start(&config)?;
        crate::control::policy::Policy::of(&config)?;
        Ok(self.warnings(&config))
    }

    /// Warnings about settings that work but should be changed: secrets that other users can read,
    /// and variables that lack the second underscore.
    pub(super) fn warnings(&self, config: &Config) -> Vec<String> {
        let mut warnings = check::warnings(config);
        let holds_secret = |layers: Result<Layers, ConfigFault>| layers.is_ok_and(|l| l.hold_secret());
        if let Ok(Some((path, text))) = self.text()
            && holds_secret(Layers::new().and_then(|layers| layers.file(&text)))
        {
            warnings.extend(check::open_to_others(&path.display().to_string(), path));
        }
        for assignment in &self.settings.set {
            if holds_secret(Layers::new().and_then(|layers| layers.assignment(assignment))) {
                let key = assignment.split('=').next().unwrap_or_default().trim();
                warnings.push(format!("{key}: every user of this machine can read it in the process list"));
            }
        }
        if let Ok(layers) = Layers::new() {
            let names = std::env::vars_os().map(|(name, _)| name);
            warnings.extend(layers.near_misses(names).into_iter().map(|key| {
                let name = key.to_uppercase();
                format!("AUTHEPY_{name} is not read; {key} is set by AUTHEPY__{name}")
            }));
        }
        warnings
    }
}
