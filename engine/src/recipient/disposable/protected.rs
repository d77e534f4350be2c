//! Names that no list may refuse, since a mistake there would refuse most recipients.

use crate::recipient::provider::families::FAMILIES;

/// Why an entry was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkippedWhy {
    /// A public suffix: the names below it belong to strangers.
    PublicSuffix,
    /// A mail host of the provider table.
    MailHost,
}

/// Why `domain` (lower-case A-labels) can't be in the base list; `None` if it can.
pub(super) fn why_protected(domain: &str) -> Option<SkippedWhy> {
    if is_public_suffix(domain) {
        Some(SkippedWhy::PublicSuffix)
    } else if FAMILIES.iter().any(|family| family.domains.contains(&domain)) {
        Some(SkippedWhy::MailHost)
    } else {
        None
    }
}

/// Whether names directly below `domain` belong to different owners: true for the Public Suffix
/// List, including its private section, and for every top-level name.
pub(crate) fn is_public_suffix(domain: &str) -> bool {
    psl::suffix_str(domain).is_some_and(|suffix| suffix == domain)
}
