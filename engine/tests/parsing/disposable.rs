//! The catalog: what is refused, what never is, and what may replace it.

use DomainClass::{Allowed, Disposable, Relay, Unlisted};
use authepy_engine::recipient::disposable::{Catalog, CatalogFault, DomainClass, SkippedWhy};
use authepy_engine::recipient::provider::families::FAMILIES;
use authepy_engine::recipient::provider::relays::RELAYS;
use std::sync::LazyLock;

static EMBEDDED: LazyLock<Catalog> = LazyLock::new(|| Catalog::embedded(&[], &[]).unwrap().catalog);

fn list(text: &str) -> Catalog {
    Catalog::with_lists(text.as_bytes(), &[], &[]).unwrap().catalog
}

fn numbered(count: usize) -> String {
    (0..count).map(|index| format!("d{index}.com\n")).collect()
}

#[test]
fn a_listed_domain_and_all_below_it_are_disposable_in_every_spelling() {
    for typed in [
        "mailinator.com",
        "MAILINATOR.com",
        "a.mailinator.com",
        "a.b.mailinator.com",
        "mailinator.com.",
        "ｍａｉｌｉｎａｔｏｒ.com",
        "mailinator。com",
        "guerrillamail.com",
        "0815.ru",
    ] {
        assert_eq!(EMBEDDED.lookup(typed), Some(Disposable), "{typed}");
    }
    for typed in ["xmailinatorx.com", "mailinator.com.mybrand.com", "mybrand.com", "com"] {
        assert_ne!(EMBEDDED.lookup(typed), Some(Disposable), "{typed}");
    }
    assert_eq!(EMBEDDED.lookup("no domain"), None);
}

#[test]
fn every_line_of_the_embedded_list_is_refused_but_the_reported_ones() {
    let text = include_str!("../../data/disposable_domains.txt");
    let loaded = Catalog::embedded(&[], &[]).unwrap();
    let entries: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(loaded.bad_lines, 0);
    assert_eq!(entries.len(), loaded.catalog.entries() + loaded.skipped.len());
    println!("{} {:?} {} bytes", loaded.catalog.version(), loaded.skipped, loaded.catalog.memory());
    for entry in entries {
        let reported = loaded.skipped.iter().any(|skipped| skipped.domain == entry);
        let class = loaded.catalog.class(entry);
        assert!(reported || matches!(class, Disposable | Relay), "{entry}: {class:?}");
    }
}

#[test]
fn mail_hosts_and_companies_are_never_refused() {
    for family in FAMILIES {
        for domain in family.domains.iter() {
            assert!(matches!(EMBEDDED.class(domain), Unlisted), "{domain}");
        }
    }
    for domain in
        ["mit.edu", "ox.ac.uk", "siemens.com", "gov.uk", "google.com", "apple.com", "duckduckgo.com"]
    {
        assert_eq!(EMBEDDED.lookup(domain), Some(Unlisted), "{domain}");
    }
}

#[test]
fn relays_are_a_class_of_their_own() {
    for family in RELAYS {
        for domain in family.domains.iter() {
            assert_eq!(EMBEDDED.class(domain), Relay, "{} {domain}", family.name);
            assert_eq!(EMBEDDED.class(&format!("ada.{domain}")), Relay, "{} {domain}", family.name);
        }
    }
    assert_eq!(EMBEDDED.class("icloud.com"), Unlisted);
    assert_eq!(EMBEDDED.class("appleid.com"), Unlisted);
}

#[test]
fn the_operators_lists_win_and_outlive_a_replaced_base_list() {
    let own = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let extra = own(&["Bücher.de", "duck.com", "good.bad.com", "gmail.com"]);
    let allow = own(&["mailinator.com", "good.bad.com"]);
    let first = Catalog::with_lists(b"mailinator.com\nbad.com\n", &extra, &allow).unwrap().catalog;
    let second = first.replace_base(b"bad.com\nworse.com\n", false).unwrap().catalog;
    for catalog in [&first, &second] {
        assert_eq!(catalog.class("xn--bcher-kva.de"), Disposable);
        assert_eq!(catalog.class("duck.com"), Disposable, "a relay the operator does not want");
        assert_eq!(catalog.class("gmail.com"), Disposable, "named on purpose");
        assert_eq!(catalog.class("a.mailinator.com"), Allowed);
        assert_eq!(catalog.class("x.good.bad.com"), Allowed, "always allowed");
        assert_eq!(catalog.class("x.bad.com"), Disposable);
    }
    assert_eq!((first.class("worse.com"), second.class("worse.com")), (Unlisted, Disposable));
    let fault =
        |extra: &[&str], allow: &[&str]| Catalog::with_lists(b"a.com", &own(extra), &own(allow)).unwrap_err();
    assert_eq!(fault(&["a.com", "co.uk"], &[]), CatalogFault::BadExtra(1));
    assert_eq!(fault(&["a b"], &[]), CatalogFault::BadExtra(0));
    assert_eq!(fault(&[], &["*.a.com"]), CatalogFault::BadAllow(0));
}

#[test]
fn a_list_is_text_with_comments_in_any_order_and_spelling() {
    let plain = list("a.com\nb.com\nxn--bcher-kva.de\n");
    let other = list("\u{feff}# header\r\n\r\n  B.COM.  # why\r\nbücher.de\r\na.com\r\na.com\r\n");
    assert_eq!(plain.version(), other.version());
    assert_eq!(other.entries(), 3);
    assert_ne!(plain.version(), list("a.com\nb.com\n").version());
}

#[test]
fn suffixes_and_mail_hosts_are_skipped_and_reported() {
    let text = "a.com\nco.uk\ngithub.io\nCOM\ngmail.com\noutlook.com\nx.gmail.com\n";
    let loaded = Catalog::with_lists(text.as_bytes(), &[], &[]).unwrap();
    let seen: Vec<_> = loaded.skipped.iter().map(|skipped| (&*skipped.domain, skipped.why)).collect();
    assert_eq!(
        seen,
        [
            ("co.uk", SkippedWhy::PublicSuffix),
            ("github.io", SkippedWhy::PublicSuffix),
            ("com", SkippedWhy::PublicSuffix),
            ("gmail.com", SkippedWhy::MailHost),
            ("outlook.com", SkippedWhy::MailHost),
        ]
    );
    assert_eq!(loaded.catalog.entries(), 2);
    assert_eq!(loaded.catalog.class("gmail.com"), Unlisted);
}

#[test]
fn texts_that_are_no_list_are_refused() {
    let fault = |text: &[u8]| Catalog::with_lists(text, &[], &[]).unwrap_err();
    assert_eq!(fault(b""), CatalogFault::NoDomain);
    assert_eq!(fault(b"# nothing\n\n"), CatalogFault::NoDomain);
    assert_eq!(fault(b"gmail.com\nco.uk\n"), CatalogFault::NoDomain);
    assert_eq!(fault(b"a.com\n\xff\xfe\n"), CatalogFault::NotUtf8);
    assert!(matches!(fault(b"<html>\n<body>404 not found\n"), CatalogFault::NotAList { .. }));
    assert_eq!(fault(&vec![b'#'; Catalog::MAX_BYTES + 1]), CatalogFault::TooLarge);
}

#[test]
fn one_percent_of_bad_lines_passes_and_more_does_not() {
    let with_bad = |bad: usize| format!("{}{}", numbered(200 - bad), "no domain\n".repeat(bad));
    let loaded = Catalog::with_lists(with_bad(2).as_bytes(), &[], &[]).unwrap();
    assert_eq!((loaded.bad_lines, loaded.catalog.entries()), (2, 198));
    let fault = Catalog::with_lists(with_bad(3).as_bytes(), &[], &[]).unwrap_err();
    assert_eq!(fault, CatalogFault::NotAList { bad: 3, lines: 200 });
}

#[test]
fn a_list_that_lost_more_than_half_needs_force() {
    let used = list(&numbered(101));
    assert_eq!(used.replace_base(numbered(51).as_bytes(), false).unwrap().catalog.entries(), 51);
    let fault = used.replace_base(numbered(50).as_bytes(), false).unwrap_err();
    assert_eq!(fault, CatalogFault::Shrunk { from: 101, to: 50 });
    assert!(used.replace_base(numbered(50).as_bytes(), true).is_ok());
    assert_eq!(used.replace_base(b"", true).unwrap_err(), CatalogFault::NoDomain, "force is for size");
}
