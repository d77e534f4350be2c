//! `authepy key`: creates, lists, rotates and revokes API keys.

use std::time::Duration;

use authepy_engine::identity::Mode;
use authepy_engine::perimeter::api_key::KeyClass;
use clap::{Args, Subcommand, ValueEnum};

use super::Failure;
use super::print::complain;
use super::store::StoreArgs;
use crate::control::registry::{KeyPage, KeyView, NewKey, NewKeyRequest, Registry};

#[derive(Args)]
pub(super) struct Key {
    #[command(flatten)]
    store: StoreArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Create a key and show it once
    Create(Create),
    /// List keys: last four characters, states and dates
    List {
        /// Only keys of this project
        #[arg(long)]
        project: Option<String>,
    },
    /// Create a successor; the old key works until the grace period ends
    Rotate {
        /// The key, `key_…`.
        id: String,
        /// How long both keys work, such as 24h
        #[arg(long, value_parser = humantime::parse_duration)]
        grace: Duration,
    },
    /// Revoke a key permanently
    Revoke {
        /// The key, `key_…`.
        id: String,
    },
}

#[derive(Args)]
struct Create {
    /// The project's name.
    #[arg(long)]
    project: String,
    /// The key's class
    #[arg(long)]
    class: Class,
    /// An origin where a restricted key may be used, such as mybrand.com or *.mybrand.com;
    /// repeatable
    #[arg(long, value_name = "RULE")]
    origin: Vec<String>,
    /// A test key: sends no mail, the code is 000000, separate counters
    #[arg(long)]
    test: bool,
    /// A restricted key for apps that send no Origin.
    #[arg(long)]
    native: bool,
    /// How long it works, such as 90d [default: without end]
    #[arg(long, value_parser = humantime::parse_duration, value_name = "DURATION")]
    expires: Option<Duration>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Class {
    /// For servers only
    Secret,
    /// For browsers and apps
    Restricted,
}

pub(super) async fn run(key: Key) -> Result<(), Failure> {
    let registry = key.store.open().await?;
    match key.action {
        Action::Create(create) => {
            let made = registry.create_key(&create.into()).await?;
            show(&key.store, &made)
        }
        Action::List { project } => {
            let all = list(&registry, project.as_deref()).await?;
            let lines: String = all.keys.iter().map(line).collect();
            key.store.tell(&all, &lines)
        }
        Action::Rotate { id, grace } => {
            let made = registry.rotate_key(&id, grace).await?;
            show(&key.store, &made)
        }
        Action::Revoke { id } => {
            registry.revoke_key(&id).await?;
            let done = serde_json::json!({"id": id, "state": "revoked"});
            key.store.tell(&done, &format!("{id} is revoked"))
        }
    }
}

impl From<Create> for NewKeyRequest {
    fn from(create: Create) -> Self {
        Self {
            project: create.project,
            class: match create.class {
                Class::Secret => KeyClass::Secret,
                Class::Restricted => KeyClass::Restricted,
            },
            mode: if create.test { Mode::Test } else { Mode::Live },
            native: create.native,
            origins: create.origin,
            expires: create.expires,
        }
    }
}

fn show(store: &StoreArgs, made: &NewKey) -> Result<(), Failure> {
    store.tell(made, &format!("{}\n{}", made.id, made.key.expose()))?;
    complain("This is the only time the key is shown.");
    Ok(())
}

async fn list(registry: &Registry, project: Option<&str>) -> Result<KeyPage, Failure> {
    let mut all = registry.keys(project, None).await?;
    while let Some(after) = all.next.take() {
        let page = registry.keys(project, Some(&after)).await?;
        all.keys.extend(page.keys);
        all.next = page.next;
    }
    Ok(all)
}

fn line(key: &KeyView) -> String {
    let KeyView { id, project, class, last_four, state, created_at, .. } = key;
    let test = if key.test { " test" } else { "" };
    let native = if key.native { " native" } else { "" };
    let until = key.expires_at.as_ref().map_or(String::new(), |end| format!("  until {end}"));
    let origins = key.origins.join(" ");
    format!(
        "{id}  …{last_four}  {project}  {class}{test}{native}  {state}  since {created_at}{until}  {origins}\n"
    )
}
