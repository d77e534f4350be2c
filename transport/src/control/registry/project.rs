//! Projects: named tenants, each with the addresses that its alerts go to.

use authepy_engine::recipient::provider::ProviderTable;
use authepy_engine::recipient::{Realm, Recipient};
use serde::Serialize;
use sqlx::Row;

use super::{Registry, RegistryFault, date};
use crate::control::store::within;
use crate::limits::{ALERT_ADDRESSES, PROJECT_NAME_BYTES, PROJECTS};

/// A project as operators see it.
#[derive(Debug, Serialize)]
pub struct ProjectView {
    /// Its name; the `aud` of its receipts.
    pub name: String,
    /// Creation time.
    pub created_at: String,
    /// Addresses that its alerts go to.
    pub alert_to: Vec<String>,
}

/// All projects.
#[derive(Debug, Serialize)]
pub struct Projects {
    /// Sorted by name.
    pub projects: Vec<ProjectView>,
}

impl Registry {
    /// Creates a project.
    ///
    /// The name is taken or invalid, an address can't be mailed, or the store is full.
    pub async fn create_project(
        &self,
        name: &str,
        alert_to: &[String],
    ) -> Result<ProjectView, RegistryFault> {
        check_name(name)?;
        check_addresses(alert_to)?;
        within(async {
            let mut change = self.store.begin().await?;
            let next: i64 = sqlx::query("SELECT COALESCE(MAX(id), 0) + 1 FROM project")
                .fetch_one(&mut *change.transaction)
                .await?
                .try_get(0)?;
            if next > PROJECTS {
                return Err(RegistryFault::Full("projects"));
            }
            sqlx::query("INSERT INTO project (id, name, created_at) VALUES ($1, $2, $3)")
                .bind(next)
                .bind(name)
                .bind(self.now())
                .execute(&mut *change.transaction)
                .await?;
            for address in alert_to {
                sqlx::query("INSERT INTO project_alert (project_id, address) VALUES ($1, $2)")
                    .bind(next)
                    .bind(address)
                    .execute(&mut *change.transaction)
                    .await?;
            }
            change.commit().await?;
            Ok(ProjectView { name: name.into(), created_at: date(self.now()), alert_to: alert_to.to_vec() })
        })
        .await
    }

    /// All projects.
    ///
    /// # Errors
    /// The store's.
    pub async fn projects(&self) -> Result<Projects, RegistryFault> {
        const ALL: &str = "SELECT p.name, p.created_at, a.address FROM project p \
            LEFT JOIN project_alert a ON a.project_id = p.id ORDER BY p.name, a.address";
        within(async {
            let mut projects: Vec<ProjectView> = Vec::new();
            for row in self.store.read(sqlx::query(ALL)).await? {
                let name: String = row.try_get(0)?;
                if projects.last().is_none_or(|last| last.name != name) {
                    projects.push(ProjectView {
                        name,
                        created_at: date(row.try_get(1)?),
                        alert_to: Vec::new(),
                    });
                }
                if let (Some(address), Some(last)) = (row.try_get(2)?, projects.last_mut()) {
                    last.alert_to.push(address);
                }
            }
            Ok(Projects { projects })
        })
        .await
    }
}

/// A project's name appears in mails and receipts.
fn check_name(name: &str) -> Result<(), RegistryFault> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '.' | '_' | '-');
    let fits =
        (1..=PROJECT_NAME_BYTES).contains(&name.len()) && name.chars().all(plain) && name.trim() == name;
    let why = "must be 1 to 64 bytes of letters, digits, spaces, dots, hyphens and underscores";
    fits.then_some(()).ok_or_else(|| RegistryFault::Invalid("name", why.into()))
}

fn check_addresses(addresses: &[String]) -> Result<(), RegistryFault> {
    let fault = |why: &str| Err(RegistryFault::Invalid("alert_to", why.into()));
    if addresses.len() > ALERT_ADDRESSES {
        return fault("at most 10 addresses");
    }
    let providers = ProviderTable::built_in();
    let mailable = |address: &String| Recipient::parse(address, Realm::Dev, &providers).is_ok();
    if !addresses.iter().all(mailable) {
        return fault("contains an address that can't be mailed");
    }
    let twice = addresses.iter().enumerate().any(|(at, address)| addresses[..at].contains(address));
    if twice { fault("contains an address twice") } else { Ok(()) }
}
