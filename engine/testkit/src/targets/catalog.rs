//! A catalog lists what its text lists, with everything below it and nothing else, and reads itself.

use std::collections::BTreeSet;

use authepy_engine::recipient::disposable::{Catalog, DomainClass};

/// Looks at one input, with one answer falsified where this is the canary.
///
/// # Panics
/// If the property does not hold.
pub fn check(input: &[u8], canary: bool) {
    let Ok(loaded) = Catalog::with_lists(input, &[], &[]) else { return };
    let text = std::str::from_utf8(input).expect("a catalog is UTF-8");
    let class = |domain: &str| class_of(&loaded.catalog, domain, canary);
    let skipped: BTreeSet<&str> = loaded.skipped.iter().map(|entry| &*entry.domain).collect();
    let plain: BTreeSet<&str> = text.lines().filter(|line| is_plain(line)).collect();
    for domain in plain.iter().filter(|domain| !skipped.contains(*domain)) {
        let is_relay = class(domain) == DomainClass::Relay;
        let listed = if is_relay { DomainClass::Relay } else { DomainClass::Disposable };
        assert_eq!(class(domain), listed, "{domain:?} is on the list");
        assert_eq!(class(&format!("mail.{domain}")), listed, "below {domain:?}");
        assert!(class(&format!("not{domain}")) != listed || text.contains("not"), "beside {domain:?}");
    }
    assert!(loaded.catalog.entries() + skipped.len() + loaded.bad_lines <= text.lines().count());
    // In another order, each line twice: the same list.
    let lines: Vec<&str> = text.trim_start_matches('\u{feff}').lines().collect();
    let twice: String = lines.iter().rev().chain(&lines).map(|line| format!("{line}\n")).collect();
    let again = Catalog::with_lists(twice.as_bytes(), &[], &[]).expect("the same lines");
    assert_eq!(again.catalog.version(), loaded.catalog.version());
}

/// A second-level name of letters, at a top level whose other names are nobody's suffix.
fn is_plain(line: &str) -> bool {
    let name = line.strip_suffix(".org").unwrap_or_default();
    (3..60).contains(&name.len()) && name.bytes().all(|octet| octet.is_ascii_lowercase())
}

/// The canary's bug: a name that ends with a listed one is taken to be below it.
fn class_of(catalog: &Catalog, domain: &str, canary: bool) -> DomainClass {
    match domain.strip_prefix("not") {
        Some(rest) if canary && rest.starts_with('x') => catalog.class(rest),
        _ => catalog.class(domain),
    }
}
