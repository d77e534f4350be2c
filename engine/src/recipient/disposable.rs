//! The catalog of disposable domains: immutable, consulted once per issue, replaced as a whole.
//!
//! A domain is disposable if it or a parent of it is on the list. There is no MX look-up: a domain
//! whose mail is handled by a listed host is not recognised, and no request waits for DNS.

mod domain_set;
mod protected;
mod reading;

pub use protected::SkippedWhy;
pub use reading::{CatalogFault, Skipped};

use crate::recipient::disposable::domain_set::DomainSet;
use crate::recipient::disposable::reading::{MAX_BYTES, Reading};
use crate::recipient::domain::{host_name, with_parents};
use crate::recipient::provider::relays;
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;

/// The base list built into this binary.
const EMBEDDED: &str = include_str!("../../data/disposable_domains.txt");

/// What the catalog says about a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DomainClass {
    /// Not listed.
    Unlisted,
    /// On the operator's allow list, which takes precedence.
    Allowed,
    /// A privacy relay: aliases of a permanent inbox. Accepted by default.
    Relay,
    /// Listed, itself or through a parent.
    Disposable,
}

/// The operator's own entries, kept when the base list is replaced.
#[derive(Debug)]
struct OwnLists {
    extra: DomainSet,
    allow: DomainSet,
    relays: DomainSet,
}

impl OwnLists {
    fn read(extra: &[String], allow: &[String]) -> Result<Self, CatalogFault> {
        Ok(Self {
            extra: reading::extra(extra)?,
            allow: reading::allow(allow)?,
            relays: DomainSet::of(relays::domains()),
        })
    }
}

/// The domains that give out disposable inboxes.
pub struct Catalog {
    base: Arc<DomainSet>,
    own: Arc<OwnLists>,
    version: String,
}

/// A parsed catalog, and the entries left out of it.
#[derive(Debug)]
pub struct Loaded {
    /// The catalog to use.
    pub catalog: Catalog,
    /// Entries left out on purpose: they would have refused most recipients.
    pub skipped: Vec<Skipped>,
    /// Lines that are not a domain name (at most 1 % of all).
    pub bad_lines: usize,
}

impl Catalog {
    /// The embedded base list with the operator's `catalog.extra` and `catalog.allow`.
    ///
    /// # Errors
    /// An entry of `extra` or `allow` is not a domain, or an entry of `extra` is a public suffix.
    pub fn embedded(extra: &[String], allow: &[String]) -> Result<Loaded, CatalogFault> {
        Self::with_lists(EMBEDDED.as_bytes(), extra, allow)
    }

    /// Another base list with the operator's entries; for process start, when there is no list in
    /// use yet.
    ///
    /// # Errors
    /// As [`embedded`](Self::embedded), and every refusal of `catalog load` except for shrinking.
    pub fn with_lists(base: &[u8], extra: &[String], allow: &[String]) -> Result<Loaded, CatalogFault> {
        Ok(Self::assemble(reading::read(base)?, Arc::new(OwnLists::read(extra, allow)?)))
    }

    /// Replaces the operator's entries, keeping this catalog's base list.
    ///
    /// # Errors
    /// As [`embedded`](Self::embedded).
    pub fn replace_own(&self, extra: &[String], allow: &[String]) -> Result<Self, CatalogFault> {
        let own = Arc::new(OwnLists::read(extra, allow)?);
        Ok(Self { base: Arc::clone(&self.base), own, version: self.version.clone() })
    }

    /// This catalog's base list with the operator's entries of `other`, in case a new list and a
    /// new config were read at the same time.
    #[must_use]
    pub fn with_own_of(&self, other: &Self) -> Self {
        Self { base: Arc::clone(&self.base), own: Arc::clone(&other.own), version: self.version.clone() }
    }

    /// `catalog load`: a catalog with `text` as its base list and this one's own entries.
    ///
    /// # Errors
    /// Over 64 MiB, not UTF-8, no valid domain, more than 1 % of lines that are not a domain, or
    /// fewer than half the entries of this catalog unless `force`.
    pub fn replace_base(&self, text: &[u8], force: bool) -> Result<Loaded, CatalogFault> {
        let reading = reading::read(text)?;
        if !force && reading.entries.len() * 2 < self.entries() {
            return Err(CatalogFault::Shrunk { from: self.entries(), to: reading.entries.len() });
        }
        Ok(Self::assemble(reading, Arc::clone(&self.own)))
    }

    fn assemble(reading: Reading<'_>, own: Arc<OwnLists>) -> Loaded {
        let Reading { entries, skipped, bad_lines } = reading;
        let mut digest = Sha256::new();
        for name in &entries {
            digest.update(name.as_bytes());
            digest.update(b"\n");
        }
        let [a, b, c, d, ..] = <[u8; 32]>::from(digest.finalize());
        let version = format!("{:08x}-{}", u32::from_be_bytes([a, b, c, d]), entries.len());
        let base = Arc::new(DomainSet::of(entries.iter().map(|name| &**name)));
        Loaded { catalog: Self { base, own, version }, skipped, bad_lines }
    }

    /// The class of `domain`, which must be lower-case A-labels, as in
    /// [`Recipient::domain`](crate::recipient::Recipient::domain). O(labels).
    ///
    /// The allow list takes precedence over the operator's extra entries, these over relays, these
    /// over the base list. Within a list it does not matter which parent is listed.
    #[must_use]
    pub fn class(&self, domain: &str) -> DomainClass {
        let listed = |set: &DomainSet| with_parents(domain).any(|name| set.contains(name));
        if listed(&self.own.allow) {
            DomainClass::Allowed
        } else if listed(&self.own.extra) {
            DomainClass::Disposable
        } else if listed(&self.own.relays) {
            DomainClass::Relay
        } else if listed(&self.base) {
            DomainClass::Disposable
        } else {
            DomainClass::Unlisted
        }
    }

    /// The class of a domain as a person types it; `None` if it is not a domain name.
    #[must_use]
    pub fn lookup(&self, typed: &str) -> Option<DomainClass> {
        host_name(typed.trim().trim_end_matches('.')).ok().map(|domain| self.class(&domain))
    }

    /// Number of entries in the base list.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.base.len()
    }

    /// Digest and size of the base list, `e22191c2-8335`: the same for the same set of domains, in
    /// any order and spelling.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Memory of all lists, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let OwnLists { extra, allow, relays } = &*self.own;
        [&*self.base, extra, allow, relays].into_iter().map(DomainSet::memory).sum()
    }

    /// Longest text that `catalog load` reads, in bytes; receivers should stop there.
    pub const MAX_BYTES: usize = MAX_BYTES;
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Catalog({})", self.version)
    }
}
