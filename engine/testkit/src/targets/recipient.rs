//! An address that is accepted has one canonical form, the same for every spelling; a refused one names a
//! place in the text.

use std::sync::LazyLock;

use authepy_engine::recipient::provider::ProviderTable;
use authepy_engine::recipient::{MAX_ADDRESS, MAX_LOCAL, Realm, Recipient, RecipientFaultKind};

static PROVIDERS: LazyLock<ProviderTable> = LazyLock::new(ProviderTable::built_in);

/// Looks at one input, with one answer falsified where this is the canary.
///
/// # Panics
/// If the property does not hold.
pub fn check(input: &[u8], canary: bool) {
    let Ok(raw) = std::str::from_utf8(input) else { return };
    match (parse(raw, Realm::Public), parse(raw, Realm::Dev)) {
        (Ok(public), Ok(dev)) => {
            assert_eq!(public.canonical(), dev.canonical());
            accepted(raw, &dev, canary);
        }
        (Err(why), Ok(dev)) => {
            assert_eq!(why, RecipientFaultKind::SpecialUse, "only names for tests tell the realms apart");
            accepted(raw, &dev, canary);
        }
        (Err(why), Err(also)) => assert_eq!(why, also),
        (Ok(_), Err(why)) => panic!("refused in development alone: {why}"),
    }
}

fn parse(raw: &str, realm: Realm) -> Result<Recipient, RecipientFaultKind> {
    Recipient::parse(raw, realm, &PROVIDERS).map_err(|fault| {
        assert!(raw.get(fault.span).is_some(), "the fault's place is no place in the text");
        fault.kind
    })
}

fn accepted(raw: &str, recipient: &Recipient, canary: bool) {
    assert_eq!(recipient.delivery(), raw, "the mail goes to the address as typed");
    let (local, domain) = recipient.exact().split_once('@').expect("an exact address has an @");
    assert!(raw.starts_with(local) && local.len() <= MAX_LOCAL && recipient.exact().len() <= MAX_ADDRESS);
    assert_eq!(domain, recipient.domain());
    assert!(domain.split('.').count() > 1 && domain.split('.').all(is_label), "{domain:?}");
    assert!(domain.ends_with(recipient.hint().split_once("***@").expect("a hint hides the name").1));

    let canonical = canonical_of(recipient, canary);
    assert_eq!(canonical.matches('@').count(), 1);
    assert!(!canonical.chars().any(|c| c.is_control() || c.is_whitespace()));
    let same = |spelling: &str| match parse(spelling, Realm::Dev) {
        Ok(again) => assert_eq!(canonical_of(&again, canary), canonical, "{raw:?} and {spelling:?}"),
        Err(why) => assert!(may_be_too_much(spelling, why), "{spelling:?} of {raw:?}: {why}"),
    };
    same(recipient.exact());
    same(&raw.to_ascii_uppercase());
    same(&format!("{local}+tag@{domain}"));
    same(&canonical);
}

/// A spelling may outgrow the bounds by its tag, or by folding; and what `=.?` folds to where dots don't
/// count has the looks of an encoded word. As a key of limits it is as good as any.
fn may_be_too_much(spelling: &str, why: RecipientFaultKind) -> bool {
    match why {
        RecipientFaultKind::LocalTooLong => spelling.find('@').is_some_and(|at| at > MAX_LOCAL),
        RecipientFaultKind::AddressTooLong => spelling.len() > MAX_ADDRESS,
        RecipientFaultKind::EncodedWord => spelling.contains("=?"),
        _ => false,
    }
}

fn is_label(label: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&label.len()) && label.chars().all(fits)
}

/// The canary's bug: a tag that begins with a digit is taken for a part of the name.
fn canonical_of(recipient: &Recipient, canary: bool) -> String {
    let exact = recipient.exact();
    match exact.split_once('+').filter(|(_, tag)| canary && tag.starts_with(|c: char| c.is_ascii_digit())) {
        Some(_) => exact.to_owned(),
        None => recipient.canonical().to_owned(),
    }
}
