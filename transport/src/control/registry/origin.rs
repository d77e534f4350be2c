//! The origin list of a restricted key.

use authepy_engine::perimeter::origin::OriginRule;
use serde::Serialize;

use super::key::find;
use super::{Registry, RegistryFault};
use crate::control::store::within;
use crate::limits::ORIGINS_PER_KEY;

/// The origin rules of a key.
#[derive(Debug, Serialize)]
pub struct Origins {
    /// The key.
    pub id: String,
    /// Its rules, as stored.
    pub origins: Vec<String>,
}

impl Registry {
    /// Returns a key's rules.
    ///
    /// # Errors
    /// An unknown key.
    pub async fn origins(&self, id: &str) -> Result<Origins, RegistryFault> {
        let page = within(async {
            let mut transaction = self.store.snapshot().await?;
            find(&mut transaction, id).await
        });
        Ok(Origins { id: id.into(), origins: page.await?.origins })
    }

    /// Adds a rule. Adding an existing rule changes nothing.
    ///
    /// The rule is malformed, the key is secret, or the list is full.
    pub async fn add_origin(&self, id: &str, rule: &str) -> Result<Origins, RegistryFault> {
        let rule = OriginRule::parse(rule).map_err(RegistryFault::rule)?.to_string();
        self.edit(id, |origins| {
            if origins.contains(&rule) {
                return Ok(None);
            }
            if origins.len() >= ORIGINS_PER_KEY {
                return Err(RegistryFault::Full("origins of a key"));
            }
            origins.push(rule.clone());
            Ok(Some(("INSERT INTO key_origin (key_id, rule) VALUES ($1, $2)", rule)))
        })
        .await
    }

    /// Removes a rule.
    ///
    /// The key does not have this rule.
    pub async fn remove_origin(&self, id: &str, rule: &str) -> Result<Origins, RegistryFault> {
        // A rule stored by an older version may not parse any more; it can still be removed by its
        // exact text.
        let kept = OriginRule::parse(rule).map_or_else(|_| rule.to_owned(), |rule| rule.to_string());
        self.edit(id, |origins| {
            let at = origins.iter().position(|origin| *origin == kept);
            origins.remove(at.ok_or(RegistryFault::Unknown("origin of this key"))?);
            Ok(Some(("DELETE FROM key_origin WHERE key_id = $1 AND rule = $2", kept)))
        })
        .await
    }

    /// Runs `work` on a key's list. It returns the statement that makes the same change in the
    /// store.
    async fn edit(
        &self,
        id: &str,
        work: impl FnOnce(&mut Vec<String>) -> Result<Option<(&'static str, String)>, RegistryFault>,
    ) -> Result<Origins, RegistryFault> {
        within(async {
            let mut change = self.store.begin().await?;
            let mut key = find(&mut change.transaction, id).await?;
            if key.class != "restricted" {
                let why = "a secret key has no origins: it is for servers only";
                return Err(RegistryFault::Invalid("origin", why.into()));
            }
            if let Some((statement, rule)) = work(&mut key.origins)? {
                sqlx::query(statement).bind(id).bind(rule).execute(&mut *change.transaction).await?;
                change.commit().await?;
            }
            key.origins.sort_unstable();
            Ok(Origins { id: id.into(), origins: key.origins })
        })
        .await
    }
}
