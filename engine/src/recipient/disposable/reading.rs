//! Parses a base list, completely or not at all.

use crate::recipient::disposable::domain_set::DomainSet;
use crate::recipient::disposable::protected::{SkippedWhy, is_public_suffix, why_protected};
use crate::recipient::domain::host_name;
use std::borrow::Cow;
use std::fmt;

/// Longest text in bytes.
pub(super) const MAX_BYTES: usize = 64 * 1024 * 1024;
/// A text with more than one bad line in this many is not a list of domains (HTML, a log, CSV).
const LINES_PER_BAD_LINE: usize = 100;

/// A parsed base list.
pub(super) struct Reading<'a> {
    /// Sorted, without duplicates, lower-case A-labels.
    pub(super) entries: Vec<Cow<'a, str>>,
    pub(super) skipped: Vec<Skipped>,
    pub(super) bad_lines: usize,
}

/// An entry left out of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The entry as lower-case A-labels.
    pub domain: String,
    /// Why it was left out.
    pub why: SkippedWhy,
}

/// Why a text was not accepted as a catalog. The current one stays in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CatalogFault {
    /// Over [`Catalog::MAX_BYTES`](super::Catalog::MAX_BYTES).
    TooLarge,
    /// Not UTF-8.
    NotUtf8,
    /// No line has a domain that may be listed.
    NoDomain,
    /// More than 1 % of the lines are not a domain.
    NotAList {
        /// Lines that are not a domain.
        bad: usize,
        /// Lines that are neither blank nor a comment.
        lines: usize,
    },
    /// Fewer than half the entries of the list in use.
    Shrunk {
        /// Entries in use.
        from: usize,
        /// Entries of the refused list.
        to: usize,
    },
    /// `catalog.extra` at this index is not a domain, or is a public suffix.
    BadExtra(usize),
    /// `catalog.allow` at this index is not a domain.
    BadAllow(usize),
}

impl fmt::Display for CatalogFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "the list is larger than {MAX_BYTES} bytes"),
            Self::NotUtf8 => f.write_str("the list is not UTF-8"),
            Self::NoDomain => f.write_str("the list has no domain"),
            Self::NotAList { bad, lines } => {
                write!(f, "{bad} of {lines} lines are not a domain, more than 1 %")
            }
            Self::Shrunk { from, to } => {
                write!(f, "the list has {to} entries, fewer than half of the {from} in use")
            }
            Self::BadExtra(index) => {
                write!(f, "entry {index} of catalog.extra is not a domain, or is a public suffix")
            }
            Self::BadAllow(index) => write!(f, "entry {index} of catalog.allow is not a domain"),
        }
    }
}

impl std::error::Error for CatalogFault {}

/// Parses a base list: UTF-8, one domain per line, `#` starts a comment.
pub(super) fn read(text: &[u8]) -> Result<Reading<'_>, CatalogFault> {
    if text.len() > MAX_BYTES {
        return Err(CatalogFault::TooLarge);
    }
    let text = std::str::from_utf8(text).map_err(|_| CatalogFault::NotUtf8)?;
    let mut reading = Reading { entries: Vec::new(), skipped: Vec::new(), bad_lines: 0 };
    let mut lines = 0_usize;
    for line in text.trim_start_matches('\u{feff}').lines() {
        let entry = line.split_once('#').map_or(line, |(entry, _)| entry).trim();
        if entry.is_empty() {
            continue;
        }
        lines += 1;
        reading.take(entry);
    }
    if reading.bad_lines * LINES_PER_BAD_LINE > lines {
        return Err(CatalogFault::NotAList { bad: reading.bad_lines, lines });
    }
    if reading.entries.is_empty() {
        return Err(CatalogFault::NoDomain);
    }
    reading.entries.sort_unstable();
    reading.entries.dedup();
    Ok(reading)
}

impl<'a> Reading<'a> {
    fn take(&mut self, entry: &'a str) {
        // A bare top-level name is not a valid host name, but it is reported as a skipped entry.
        let name = match host_name(entry.strip_suffix('.').unwrap_or(entry)) {
            Ok(name) => Cow::from(name),
            Err(_) if is_top_level(entry) => Cow::Owned(entry.to_ascii_lowercase()),
            Err(_) => return self.bad_lines += 1,
        };
        match why_protected(&name) {
            Some(why) => self.skipped.push(Skipped { domain: name.into_owned(), why }),
            None => self.entries.push(name),
        }
    }
}

/// Whether the Public Suffix List knows this top-level name, unlike an arbitrary word.
fn is_top_level(entry: &str) -> bool {
    let lower = entry.to_ascii_lowercase();
    psl::suffix(lower.as_bytes()).is_some_and(|suffix| suffix.is_known() && suffix == lower.as_bytes())
}

/// Parses `catalog.extra`. A mail host is allowed, since the operator lists it on purpose.
pub(super) fn extra(entries: &[String]) -> Result<DomainSet, CatalogFault> {
    own(entries, CatalogFault::BadExtra, |name| !is_public_suffix(name))
}

/// Parses `catalog.allow`.
pub(super) fn allow(entries: &[String]) -> Result<DomainSet, CatalogFault> {
    own(entries, CatalogFault::BadAllow, |_| true)
}

fn own(
    entries: &[String],
    bad: fn(usize) -> CatalogFault,
    fits: fn(&str) -> bool,
) -> Result<DomainSet, CatalogFault> {
    let mut names = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let name = host_name(entry).map_err(|_| bad(index))?;
        if !fits(&name) {
            return Err(bad(index));
        }
        names.push(name.to_owned());
    }
    Ok(DomainSet::of(names.iter().map(String::as_str)))
}
