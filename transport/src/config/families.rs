//! `recipients.families`: mail providers that the built-in table does not know, or knows otherwise.

use authepy_engine::recipient::provider::{ExtraFamily, Marks, ProviderFault, ProviderTable, Rule};
use serde::Deserialize;

use super::{Config, ConfigFault};

/// One family: domains that fold addresses alike.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FamilyConfig {
    /// The domains; with `one_account`, the first one stands for all.
    domains: Vec<String>,
    /// Characters that begin a sub-address.
    #[serde(default = "plus")]
    cut_before: String,
    /// Characters the provider does not see, such as Gmail's dots.
    #[serde(default)]
    ignored: String,
    /// Whether a name is one account on all the domains.
    #[serde(default)]
    one_account: bool,
    /// Whether whatever is mailed below `NAME.` is NAME's, as at Fastmail and at relays.
    #[serde(default)]
    users_below: bool,
}

fn plus() -> String {
    "+".to_owned()
}

impl FamilyConfig {
    fn family(&self) -> ExtraFamily {
        let rule = Rule {
            cut_before: Marks::of(&self.cut_before),
            ignored: Marks::of(&self.ignored),
            one_account: self.one_account,
            users_below: self.users_below,
            ..Rule::ELSEWHERE
        };
        ExtraFamily { domains: self.domains.clone(), rule }
    }
}

impl Config {
    /// The built-in providers and the operator's, which win where both name a domain.
    pub fn providers(&self) -> Result<ProviderTable, ConfigFault> {
        let extra: Vec<ExtraFamily> = self.recipients.families.iter().map(FamilyConfig::family).collect();
        ProviderTable::with_extra(&extra).map_err(|fault| {
            ConfigFault(match fault {
                ProviderFault::NoDomain(at) => format!("recipients.families[{at}]: names no domain"),
                ProviderFault::NotADomain(at, domain) => {
                    format!("recipients.families[{at}].domains[{domain}]: no domain")
                }
            })
        })
    }
}
