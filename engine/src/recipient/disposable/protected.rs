//! Names that no list may refuse: a mistake there would refuse half the world.

use crate::recipient::provider::families::FAMILIES;

/// Why an entry was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkippedWhy {
    /// A public suffix: strangers own the names below it.
    PublicSuffix,
    /// A mail host of the provider table.
    MailHost,
}

/// Why `domain` (lower-case A-labels) can't be an entry of the base list, if it can't.
pub(super) fn why_protected(domain: &str) -> Option<SkippedWhy> {
    if is_public_suffix(domain) {
        Some(SkippedWhy::PublicSuffix)
    } else if FAMILIES.iter().any(|family| family.domains.contains(&domain)) {
        Some(SkippedWhy::MailHost)
    } else {
        None
    }
}

/// Whether names directly below `domain` belong to different owners: the Public Suffix List, its
/// private section included, and every top-level name.
pub(crate) fn is_public_suffix(domain: &str) -> bool {
    psl::suffix_str(domain).is_some_and(|suffix| suffix == domain)
}
