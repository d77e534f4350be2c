//! Settings that an operator may change while serving: one immutable value, replaced as a whole.
//!
//! ```text
//!   SIGHUP ─▶ control/reload ──────┬─▶ Published<Policy> ─┬─▶ requests read it (context)
//!   catalog load ─▶ control/catalog ┘                     └─▶ each lane hands `settings` to its shard (lane)
//! ```

use std::sync::Arc;

use authepy_engine::perimeter::blocks::Blocks;
use authepy_engine::recipient::disposable::{Catalog, CatalogFault, DomainClass};
use authepy_engine::shard::Settings;

use crate::config::{Config, ConfigFault};
use crate::delivery::Templates;

/// Settings that take effect without a restart; a name ending in a dot covers everything below it.
const LIVE: [&str; 9] = [
    "codes.",
    "limits.",
    "bans.",
    "catalog.",
    "recipients.relays",
    "proxy.trusted",
    "keys.",
    "templates.dir",
    "alerts.to",
];

/// The operator's current rules for requests.
pub struct Policy {
    /// Settings of the shards. The capacity is fixed at start.
    pub settings: Settings,
    /// Proxies whose forwarding headers are trusted.
    pub trusted_proxies: Blocks,
    /// Disposable domains.
    pub catalog: Arc<Catalog>,
    /// Whether privacy relays are refused like disposable domains.
    pub refuse_relays: bool,
    /// Whether a secret key in a browser is refused.
    pub refuse_secret_in_browser: bool,
    /// Whether such a key is also revoked.
    pub revoke_exposed: bool,
    /// Recipients of alerts that have no other addresses.
    pub alert_to: Arc<[Box<str>]>,
    /// Mail templates.
    pub templates: Arc<Templates>,
}

impl Policy {
    /// Builds the initial policy.
    pub fn of(config: &Config) -> Result<Self, ConfigFault> {
        let loaded = Catalog::embedded(&config.catalog.extra, &config.catalog.allow);
        Self::with(config, loaded.map_err(catalog_fault)?.catalog, None)
    }

    /// Builds the next policy; a base list that was loaded stays in use.
    pub fn next(&self, config: &Config) -> Result<Self, ConfigFault> {
        let catalog = self.catalog.replace_own(&config.catalog.extra, &config.catalog.allow);
        Self::with(config, catalog.map_err(catalog_fault)?, Some(&self.templates))
    }

    /// Builds this policy with another base list; the operator's own entries stay.
    pub fn with_base(&self, loaded: &Catalog) -> Self {
        Self {
            settings: self.settings.clone(),
            trusted_proxies: self.trusted_proxies.clone(),
            catalog: Arc::new(loaded.with_own_of(&self.catalog)),
            refuse_relays: self.refuse_relays,
            refuse_secret_in_browser: self.refuse_secret_in_browser,
            revoke_exposed: self.revoke_exposed,
            alert_to: self.alert_to.clone(),
            templates: self.templates.clone(),
        }
    }

    fn with(config: &Config, catalog: Catalog, old: Option<&Templates>) -> Result<Self, ConfigFault> {
        Ok(Self {
            settings: config.settings(),
            trusted_proxies: config.trusted_proxies()?,
            catalog: Arc::new(catalog),
            refuse_relays: config.refuses_relays(),
            refuse_secret_in_browser: config.keys.refuse_secret_in_browser,
            revoke_exposed: config.keys.revoke_exposed,
            alert_to: config.alerts.to.iter().map(|to| to.as_str().into()).collect(),
            templates: Arc::new(Templates::configured(config, old)?),
        })
    }

    /// Whether mail to a domain of this class is refused.
    pub fn refuses(&self, class: DomainClass) -> bool {
        match class {
            DomainClass::Disposable => true,
            DomainClass::Relay => self.refuse_relays,
            DomainClass::Unlisted | DomainClass::Allowed => false,
        }
    }

    /// Whether a change of this setting takes effect without a restart.
    pub fn covers(key: &str) -> bool {
        LIVE.iter().any(|live| if live.ends_with('.') { key.starts_with(live) } else { key == *live })
    }
}

fn catalog_fault(fault: CatalogFault) -> ConfigFault {
    ConfigFault(match fault {
        CatalogFault::BadExtra(at) => format!("catalog.extra[{at}]: no domain, or a public suffix"),
        CatalogFault::BadAllow(at) => format!("catalog.allow[{at}]: no domain"),
        base => format!("the built-in catalog: {base}"),
    })
}
