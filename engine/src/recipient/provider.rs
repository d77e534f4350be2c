//! Which spellings of an address reach one inbox, for each provider.
//!
//! The rules are data ([`families`]) and can be extended at start. A wrong merge makes two inboxes
//! share a budget; a missed merge gives an inbox a new budget for every alias. So a doubtful rule
//! merges.

pub mod families;
pub mod relays;
mod rule;

pub use rule::{Marks, Rule};

use crate::recipient::domain::{host_name, with_parents};
use crate::recipient::provider::families::{CATCH_ALLS, FAMILIES};
use crate::recipient::provider::relays::RELAYS;
use ahash::RandomState;
use hashbrown::HashTable;
use std::borrow::Cow;
use std::fmt;

/// Domains that share a rule, and the source of the rule.
#[derive(Clone, Debug)]
pub struct Family {
    /// Display name.
    pub name: Cow<'static, str>,
    /// Where the provider (or otherwise an observer) documents the rule.
    pub source: Cow<'static, str>,
    /// Lower-case A-label domains. With [`Rule::one_account`], the first one represents all.
    pub domains: Cow<'static, [&'static str]>,
    /// How the family treats a local part.
    pub rule: Rule,
}

/// A family from the operator's configuration.
#[derive(Clone, Debug)]
pub struct ExtraFamily {
    /// Domains in any case, U-labels or A-labels.
    pub domains: Vec<String>,
    /// How the family treats a local part.
    pub rule: Rule,
}

/// An [`ExtraFamily`] that can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderFault {
    /// The family at this index names no domain.
    NoDomain(usize),
    /// In the family at the first index, the entry at the second is not a domain name.
    NotADomain(usize, usize),
}

impl fmt::Display for ProviderFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDomain(family) => write!(f, "provider {family} names no domain"),
            Self::NotADomain(family, domain) => {
                write!(f, "domain {domain} of provider {family} is no domain name")
            }
        }
    }
}

impl std::error::Error for ProviderFault {}

/// The canonical destination of an address of some domain.
pub(crate) struct Home<'a> {
    pub(crate) rule: Rule,
    /// The domain of the canonical form.
    pub(crate) domain: &'a str,
    /// The account, if the label below the provider's domain names it.
    pub(crate) user: Option<&'a str>,
    /// Octets at the end of the looked-up domain that name no account.
    pub(crate) base_len: usize,
    /// Whether the domain belongs to a mail provider or relay of the table.
    pub(crate) is_familiar: bool,
}

struct Entry {
    domain: Cow<'static, str>,
    home: Cow<'static, str>,
    rule: Rule,
}

impl Entry {
    fn home<'a>(&'a self, user: Option<&'a str>, base_len: usize) -> Home<'a> {
        Home { rule: self.rule, domain: &self.home, user, base_len, is_familiar: true }
    }
}

/// All families, indexed by domain. Immutable; a look-up takes one hash, below a known domain two.
pub struct ProviderTable {
    entries: HashTable<Entry>,
    hasher: RandomState,
    /// Whether any family puts accounts into labels, so that parents must be looked up.
    users_below: bool,
}

impl ProviderTable {
    /// The built-in families, including relays.
    #[must_use]
    pub fn built_in() -> Self {
        let mut table = Self { entries: HashTable::new(), hasher: RandomState::new(), users_below: false };
        for family in FAMILIES.iter().chain(CATCH_ALLS).chain(RELAYS) {
            let first = family.domains.first().copied().unwrap_or_default();
            for &domain in family.domains.iter() {
                table.insert(Cow::Borrowed(domain), Cow::Borrowed(first), family.rule);
            }
        }
        table
    }

    /// The built-in families and the operator's, which take precedence for a domain in both.
    ///
    /// # Errors
    /// A family without a domain, or an entry that is not a domain name.
    pub fn with_extra(extra: &[ExtraFamily]) -> Result<Self, ProviderFault> {
        let mut table = Self::built_in();
        for (at, family) in extra.iter().enumerate() {
            let mut domains = Vec::with_capacity(family.domains.len());
            for (index, domain) in family.domains.iter().enumerate() {
                let name = host_name(domain).map_err(|_| ProviderFault::NotADomain(at, index))?;
                domains.push(name.to_owned());
            }
            let first = domains.first().cloned().ok_or(ProviderFault::NoDomain(at))?;
            for domain in domains {
                table.insert(Cow::Owned(domain), Cow::Owned(first.clone()), family.rule);
            }
        }
        Ok(table)
    }

    fn insert(&mut self, domain: Cow<'static, str>, first: Cow<'static, str>, rule: Rule) {
        self.users_below |= rule.users_below;
        let home = if rule.one_account { first } else { domain.clone() };
        let hash = self.hasher.hash_one(&*domain);
        let entry = Entry { domain, home, rule };
        let hasher = &self.hasher;
        match self.entries.find_mut(hash, |known| known.domain == entry.domain) {
            Some(known) => *known = entry,
            None => {
                self.entries.insert_unique(hash, entry, |known| hasher.hash_one(&*known.domain));
            }
        }
    }

    fn find(&self, domain: &str) -> Option<&Entry> {
        self.entries.find(self.hasher.hash_one(domain), |entry| entry.domain == domain)
    }

    /// The canonical destination of addresses of `domain` (lower-case A-labels).
    pub(crate) fn home<'a>(&'a self, domain: &'a str) -> Home<'a> {
        if let Some(entry) = self.find(domain) {
            return entry.home(None, domain.len());
        }
        if self.users_below {
            for base in with_parents(domain).skip(1) {
                if let Some(entry) = self.find(base).filter(|entry| entry.rule.users_below) {
                    let below = &domain[..domain.len() - base.len() - 1];
                    return entry.home(below.rsplit('.').next(), base.len());
                }
            }
        }
        Home { rule: Rule::ELSEWHERE, domain, user: None, base_len: domain.len(), is_familiar: false }
    }
}

impl fmt::Debug for ProviderTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProviderTable({} domains)", self.entries.len())
    }
}
