//! `authepy origin`: adds, removes and lists the origin rules of a restricted key.

use clap::{Args, Subcommand};

use super::Failure;
use super::store::StoreArgs;

#[derive(Args)]
pub(super) struct Origin {
    #[command(flatten)]
    store: StoreArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Add a rule, such as mybrand.com or *.mybrand.com.
    Add {
        /// The key, `key_…`.
        key: String,
        /// A domain, `*.` and a domain, localhost, or a browser extension's id
        rule: String,
    },
    /// Remove a rule.
    Remove {
        /// The key, `key_…`.
        key: String,
        /// The rule.
        rule: String,
    },
    /// List a key's rules.
    List {
        /// The key, `key_…`.
        key: String,
    },
}

pub(super) async fn run(origin: Origin) -> Result<(), Failure> {
    let registry = origin.store.open().await?;
    let rules = match origin.action {
        Action::Add { key, rule } => registry.add_origin(&key, &rule).await?,
        Action::Remove { key, rule } => registry.remove_origin(&key, &rule).await?,
        Action::List { key } => registry.origins(&key).await?,
    };
    origin.store.tell(&rules, &rules.origins.join("\n"))
}
