//! What does it take to find out which inbox an address means, and whether its domain is disposable?
//!
//! Three addresses of about thirty bytes in ASCII have a bound of their own; an international domain goes through
//! UTS 46 and Punycode, a local part that is not ASCII through NFKC. The catalog is looked into apart, as an
//! issue does after parsing. Not asked: the fingerprint that follows (a keyed hash, the same for every address),
//! and what a cache miss costs in a catalog of 8,000 names.
use std::hint::black_box;

use authepy_engine::recipient::disposable::{Catalog, DomainClass};
use authepy_engine::recipient::provider::ProviderTable;
use authepy_engine::recipient::{Realm, Recipient};

use super::{Question, Turn};

/// The most instructions for an address in ASCII.
const AT_MOST: u64 = 3_000;
/// Each with hash keys of its own: in one table a name may lie behind another's by chance.
const TABLES: usize = 64;
/// As many domains for the one catalog, for the same reason; they share no parent that is looked up.
const DOMAINS: usize = 64;
/// What the embedded catalog is made from.
const LISTED: &str = include_str!("../../../engine/data/disposable_domains.txt");

/// Its questions.
#[must_use]
pub fn questions() -> Vec<Question> {
    vec![
        parse("canonicaliser/parse-host", "ada.lovelace@mail.example.com").at_most(AT_MOST),
        parse("canonicaliser/parse-gmail", "Ada.Lovelace+shop@googlemail.com").at_most(AT_MOST),
        parse("canonicaliser/parse-yahoo", "ada.lovelace-shop@yahoo.co.uk").at_most(AT_MOST),
        parse("canonicaliser/parse-idn", "ada.lovelace@bücher.example"),
        parse("canonicaliser/parse-nfkc", "ａｄａ.lovelace@example.com"),
        Question::new("canonicaliser/catalog-unlisted", |_| {
            let domains = (0..DOMAINS).map(|nth| format!("mail.example{nth:02}.com")).collect();
            look_up(domains, DomainClass::Unlisted)
        }),
        Question::new("canonicaliser/catalog-listed", |_| {
            let domains: Vec<&str> = LISTED.lines().filter(|line| !line.starts_with('#')).collect();
            let some = domains.iter().step_by(domains.len() / DOMAINS).take(DOMAINS);
            look_up(some.map(ToString::to_string).collect(), DomainClass::Disposable)
        }),
    ]
}

fn parse(name: &'static str, address: &'static str) -> Question {
    Question::new(name, move |_| {
        let tables: Vec<ProviderTable> = (0..TABLES).map(|_| ProviderTable::built_in()).collect();
        let mut at = 0;
        let turn: Turn = Box::new(move || {
            at = (at + 1) % TABLES;
            let parse = |providers| Recipient::parse(black_box(address), Realm::Dev, providers);
            tables.get(at).is_some_and(|providers| parse(providers).is_ok())
        });
        Ok(turn)
    })
}

fn look_up(domains: Vec<String>, class: DomainClass) -> Result<Turn, String> {
    let catalog = Catalog::embedded(&[], &[]).map_err(|fault| fault.to_string())?.catalog;
    let mut at = 0;
    Ok(Box::new(move || {
        at = (at + 1) % domains.len();
        domains.get(at).is_some_and(|domain| catalog.class(black_box(domain)) == class)
    }))
}
