//! `recipients.families`: mail providers that the built-in table lacks or describes differently.

use authepy_engine::recipient::provider::{ExtraFamily, Marks, ProviderFault, ProviderTable, Rule};
use serde::Deserialize;

use super::{Config, ConfigFault};

/// One family: domains that map addresses to accounts by the same rules.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FamilyConfig {
    /// The domains; with `one_account`, the first one represents all of them.
    domains: Vec<String>,
    /// Characters that begin a sub-address.
    #[serde(default = "plus")]
    cut_before: String,
    /// Characters that the provider ignores, such as Gmail's dots.
    #[serde(default)]
    ignored: String,
    /// Whether a name is the same account on all of the domains.
    #[serde(default)]
    one_account: bool,
    /// Whether all addresses below `NAME.` belong to NAME, as at Fastmail and at relays.
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
    /// The built-in providers and the operator's, which take precedence.
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
