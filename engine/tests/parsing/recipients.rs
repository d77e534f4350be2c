//! Addresses row by row: what is refused and why, and which spellings share a bucket.

use authepy_engine::identity::Mode;
use authepy_engine::recipient::RecipientFaultKind as Kind;
use authepy_engine::recipient::provider::families::{CATCH_ALLS, FAMILIES};
use authepy_engine::recipient::provider::relays::RELAYS;
use authepy_engine::recipient::provider::{ExtraFamily, Marks, ProviderFault, ProviderTable, Rule};
use authepy_engine::recipient::{Realm, Recipient};
use authepy_engine::route::StartKeys;
use authepy_engine::testing::Seeded;
use proptest::prelude::*;
use std::sync::LazyLock;

static PROVIDERS: LazyLock<ProviderTable> = LazyLock::new(ProviderTable::built_in);

fn public(raw: &str) -> Result<Recipient, Kind> {
    Recipient::parse(raw, Realm::Public, &PROVIDERS).map_err(|fault| fault.kind)
}

#[track_caller]
fn canonical(raw: &str) -> String {
    public(raw).unwrap_or_else(|kind| panic!("{raw:?}: {kind:?}")).canonical().to_owned()
}

/// Typed, kind of the fault, why it must not pass.
#[rustfmt::skip]
const REFUSED: &[(&str, Kind, &str)] = &[
    ("", Kind::Empty, "nothing"),
    ("a", Kind::NoAtSign, "no @"),
    ("a.b.com", Kind::NoAtSign, "no @"),
    ("@", Kind::EmptyLocal, "neither side"),
    ("@b.com", Kind::EmptyLocal, "no local part"),
    ("a@", Kind::EmptyDomain, "no domain"),
    ("a@b@c.com", Kind::SecondAtSign, "two @: which one routes?"),
    ("a@@c.com", Kind::SecondAtSign, "two @"),
    ("a@b.com@", Kind::SecondAtSign, "two @"),
    // control, white space, invisible, direction
    ("a\0@b.com", Kind::Control, "NUL"),
    ("a\r\nBcc: x@b.com", Kind::Control, "header injection"),
    ("a@b.com\n", Kind::Control, "line feed at the end"),
    ("a@b.com\r\n", Kind::Control, "CRLF at the end"),
    ("\ta@b.com", Kind::Control, "tab"),
    ("a\u{7f}@b.com", Kind::Control, "DEL"),
    ("a\u{85}@b.com", Kind::Control, "C1: NEL"),
    ("a@b\u{9f}.com", Kind::Control, "C1 in the domain"),
    (" a@b.com", Kind::Space, "leading space"),
    ("a@b.com ", Kind::Space, "trailing space"),
    ("a b@b.com", Kind::Space, "inner space"),
    ("a@b .com", Kind::Space, "space in the domain"),
    ("a\u{a0}@b.com", Kind::Space, "no-break space"),
    ("a\u{2003}b@b.com", Kind::Space, "em space"),
    ("a\u{3000}b@b.com", Kind::Space, "ideographic space"),
    ("a\u{2028}b@b.com", Kind::Space, "line separator"),
    ("a\u{1680}b@b.com", Kind::Space, "ogham space"),
    ("a\u{200b}@b.com", Kind::Invisible, "zero-width space"),
    ("a\u{200c}b@b.com", Kind::Invisible, "zero-width non-joiner"),
    ("a\u{200d}b@b.com", Kind::Invisible, "zero-width joiner"),
    ("a@gm\u{200b}ail.com", Kind::Invisible, "UTS 46 would drop it and make gmail.com"),
    ("a@gm\u{ad}ail.com", Kind::Invisible, "soft hyphen, dropped by UTS 46"),
    ("a\u{2060}@b.com", Kind::Invisible, "word joiner"),
    ("\u{feff}a@b.com", Kind::Invisible, "byte order mark"),
    ("a\u{fe0f}@b.com", Kind::Invisible, "variation selector"),
    ("a\u{34f}@b.com", Kind::Invisible, "combining grapheme joiner"),
    ("a\u{3164}@b.com", Kind::Invisible, "Hangul filler"),
    ("a\u{ffa0}@b.com", Kind::Invisible, "half-width Hangul filler"),
    ("a\u{115f}@b.com", Kind::Invisible, "Hangul choseong filler"),
    ("a\u{180e}@b.com", Kind::Invisible, "Mongolian vowel separator"),
    ("a\u{2800}@b.com", Kind::Invisible, "blank braille pattern"),
    ("a\u{e0041}@b.com", Kind::Invisible, "tag character"),
    ("a\u{e000}@b.com", Kind::Invisible, "private use"),
    ("a\u{ffff}@b.com", Kind::Invisible, "noncharacter"),
    ("a\u{378}@b.com", Kind::Invisible, "unassigned"),
    ("a\u{fffd}@b.com", Kind::Invisible, "replacement of broken UTF-8"),
    ("a\u{200e}@b.com", Kind::Bidi, "left-to-right mark"),
    ("a\u{200f}@b.com", Kind::Bidi, "right-to-left mark"),
    ("a\u{61c}@b.com", Kind::Bidi, "Arabic letter mark"),
    ("a\u{202e}moc.b@b.com", Kind::Bidi, "override"),
    ("a\u{2066}@b.com", Kind::Bidi, "isolate"),
    ("a@b\u{202d}.com", Kind::Bidi, "override in the domain"),
    // other forms of RFC 5322
    ("\"a\"@b.com", Kind::Quoted, "the same as a@b.com"),
    ("\"a+b\"@b.com", Kind::Quoted, "hides a sub-address"),
    ("\"a b\"@b.com", Kind::Quoted, "quoted space"),
    ("\"a\\.b\"@b.com", Kind::Quoted, "escape in quotes"),
    ("\"\"@b.com", Kind::Quoted, "empty quotes"),
    ("a.\"b\"@b.com", Kind::Quoted, "obsolete mixed form"),
    ("a\\@b.com", Kind::Backslash, "escape"),
    ("a\\.b@b.com", Kind::Backslash, "escaped dot"),
    ("a(c)@b.com", Kind::Comment, "comment in the local part"),
    ("(c)a@b.com", Kind::Comment, "comment in front"),
    ("a@(c)b.com", Kind::Comment, "comment in the domain"),
    ("a@b.com(c)", Kind::Comment, "comment behind"),
    ("<a@b.com>", Kind::AngleBracket, "brackets"),
    ("Ada<a@b.com>", Kind::AngleBracket, "display name"),
    ("Ada <a@b.com>", Kind::Space, "display name"),
    ("a@b.com>", Kind::AngleBracket, "smuggles a path end"),
    ("a@x.com,b@y.com", Kind::List, "list"),
    ("a,b@y.com", Kind::List, "list"),
    ("a@x.com;b@y.com", Kind::List, "Outlook list"),
    ("group:a@x.com;", Kind::Route, "group"),
    ("@r1,@r2:a@x.com", Kind::List, "source route"),
    ("@r1:a@x.com", Kind::Route, "source route"),
    ("mailto:a@x.com", Kind::Route, "URI"),
    ("a@b.com:25", Kind::Route, "port"),
    ("a%evil.com@mybrand.com", Kind::Route, "percent hack"),
    ("a%40b@c.com", Kind::Route, "percent-encoded @"),
    ("a@b%2ecom", Kind::Route, "percent-encoded dot"),
    ("evil!a@x.com", Kind::Route, "bang path"),
    ("a!@x.com", Kind::Route, "bang"),
    ("=?utf-8?q?=40?=@x.com", Kind::EncodedWord, "encoded word"),
    ("a=?utf-8?b?QA==?=@x.com", Kind::EncodedWord, "encoded word inside"),
    ("a@[127.0.0.1]", Kind::AddressLiteral, "IPv4 literal"),
    ("a@[IPv6:::1]", Kind::AddressLiteral, "IPv6 literal"),
    ("a@[x]", Kind::AddressLiteral, "literal"),
    ("[a]@x.com", Kind::AddressLiteral, "bracket in the local part"),
    // dots and lengths
    (".a@b.com", Kind::LocalDots, "leading dot"),
    ("a.@b.com", Kind::LocalDots, "trailing dot"),
    ("a..b@b.com", Kind::LocalDots, "two dots"),
    (".@b.com", Kind::LocalDots, "only a dot"),
    ("a..b@gmail.com", Kind::LocalDots, "two dots, at Gmail too"),
    ("a@.com", Kind::EmptyLabel, "leading dot"),
    ("a@b..com", Kind::EmptyLabel, "two dots"),
    ("a@.", Kind::EmptyLabel, "only a dot"),
    ("a@b.com.", Kind::TrailingDot, "root dot"),
    ("a@b.com。", Kind::TrailingDot, "ideographic root dot"),
    ("a@b。。com", Kind::EmptyLabel, "two ideographic dots"),
    ("a@-b.com", Kind::LabelHyphen, "leading hyphen"),
    ("a@b-.com", Kind::LabelHyphen, "trailing hyphen"),
    ("a@b.-com", Kind::LabelHyphen, "leading hyphen at the top"),
    ("a@b_c.com", Kind::DomainCharacter, "underscore"),
    ("a@b+c.com", Kind::DomainCharacter, "plus in the domain"),
    ("a@b/c.com", Kind::DomainCharacter, "slash"),
    ("a@b.com?x=1", Kind::DomainCharacter, "query"),
    ("a@b.com#x", Kind::DomainCharacter, "fragment"),
    ("a@b'.com", Kind::DomainCharacter, "apostrophe"),
    ("a@*.com", Kind::DomainCharacter, "wildcard"),
    ("a@localhost", Kind::NoDot, "no dot"),
    ("a@com", Kind::NoDot, "dotless top-level domain"),
    ("a@ai", Kind::NoDot, "dotless with a real MX, refused all the same (RFC 7085)"),
    ("a@ü", Kind::NoDot, "dotless IDN"),
    ("a@127.0.0.1", Kind::NumericTopLevel, "IPv4 without brackets"),
    ("a@2130706433.1", Kind::NumericTopLevel, "number"),
    ("a@b.0x7f", Kind::NumericTopLevel, "hexadecimal number"),
    ("a@b.c0m", Kind::NumericTopLevel, "no such top level"),
    ("a@１２７.０.０.１", Kind::NumericTopLevel, "full-width IPv4"),
    // IDN
    ("a@xn--example-.org", Kind::LabelHyphen, "decodes to ASCII (idna < 1.0)"),
    ("a@xn--.com", Kind::LabelHyphen, "empty A-label"),
    ("a@xn--a.com", Kind::BadIdna, "no punycode"),
    ("a@xn--gmail-.com", Kind::LabelHyphen, "ASCII in disguise"),
    ("a@XN--GMAIL-.com", Kind::LabelHyphen, "ASCII in disguise, upper case"),
    ("a@xn--0.pt", Kind::BadIdna, "overflow"),
    ("a@b.xn--99999999", Kind::BadIdna, "bad top level"),
    ("a@\u{301}b.com", Kind::BadIdna, "label starts with a combining mark"),
    ("a@b\u{2488}com", Kind::BadIdna, "digit one full stop"),
    ("a@℀.com", Kind::BadIdna, "maps to a/c"),
    ("a@אa.com", Kind::BadIdna, "bidi rule of RFC 5893"),
    // look-alikes of syntax
    ("a＠b.com", Kind::NoAtSign, "full-width @"),
    ("a﹫b.com", Kind::NoAtSign, "small @"),
    ("a＠c@b.com", Kind::LocalCharacter, "folds to a second @"),
    ("a％c@b.com", Kind::LocalCharacter, "folds to a percent hack"),
    ("a！c@b.com", Kind::LocalCharacter, "folds to a bang path"),
    ("＂a＂@b.com", Kind::LocalCharacter, "folds to quotes"),
    ("⑴@b.com", Kind::LocalCharacter, "folds to brackets"),
    ("℅%@b.com", Kind::Route, "percent beside a compatibility form"),
    ("a．．b@b.com", Kind::LocalDots, "folds to two dots"),
    ("．a@b.com", Kind::LocalDots, "folds to a leading dot"),
    ("a…b@b.com", Kind::LocalDots, "folds to three dots"),
    ("＝？utf-8？q？x？＝@b.com", Kind::EncodedWord, "folds to an encoded word"),
    ("a¨b@b.com", Kind::LocalCharacter, "folds to a space and a mark"),
    // special-use domains
    ("a@b.invalid", Kind::SpecialUse, "RFC 6761"),
    ("a@b.local", Kind::SpecialUse, "RFC 6762"),
    ("a@b.localhost", Kind::SpecialUse, "RFC 6761"),
    ("a@b.arpa", Kind::SpecialUse, "RFC 3172"),
    ("a@home.arpa", Kind::SpecialUse, "RFC 8375"),
    ("a@1.0.0.127.in-addr.arpa", Kind::SpecialUse, "reverse tree"),
    ("a@b.onion", Kind::SpecialUse, "RFC 7686"),
    ("a@b.alt", Kind::SpecialUse, "RFC 9476"),
    ("a@b.internal", Kind::SpecialUse, "ICANN 2024"),
    ("a@B.LOCAL", Kind::SpecialUse, "upper case"),
    ("a@b.ｌｏｃａｌ", Kind::SpecialUse, "full width"),
    ("a@b.test", Kind::SpecialUse, "outside dev"),
    ("a@b.example", Kind::SpecialUse, "outside dev"),
    ("a@example.com", Kind::SpecialUse, "outside dev"),
    ("a@EXAMPLE.net", Kind::SpecialUse, "outside dev, upper case"),
    ("a@mail.example.org", Kind::SpecialUse, "below an example domain"),
];

/// Typed, canonical, why.
#[rustfmt::skip]
const FOLDED: &[(&str, &str, &str)] = &[
    ("ada@mybrand.com", "ada@mybrand.com", "nothing to fold"),
    ("Ada@MyBrand.COM", "ada@mybrand.com", "case"),
    ("ada+x@mybrand.com", "ada@mybrand.com", "sub-address everywhere"),
    ("ada+x+y@mybrand.com", "ada@mybrand.com", "first plus counts"),
    ("ada+@mybrand.com", "ada@mybrand.com", "empty sub-address"),
    ("ada＋x@mybrand.com", "ada@mybrand.com", "full-width plus"),
    ("ada.+x@mybrand.com", "ada@mybrand.com", "dot in front of the plus"),
    ("+x@mybrand.com", "+@mybrand.com", "no name: one bucket for all of them"),
    ("+y@mybrand.com", "+@mybrand.com", "no name"),
    ("a.d.a@mybrand.com", "a.d.a@mybrand.com", "dots count elsewhere"),
    ("ada-x@mybrand.com", "ada-x@mybrand.com", "hyphens count elsewhere"),
    ("a#$&'*/?=^_`{|}~-@mybrand.com", "a#$&'*/?=^_`{|}~-@mybrand.com", "all of atext but ! and %"),
    ("o'brien@mybrand.com", "o'brien@mybrand.com", "apostrophe"),
    ("1@mybrand.com", "1@mybrand.com", "digits"),
    ("-@mybrand.com", "-@mybrand.com", "one hyphen"),
    ("a@r3---sn.mybrand.com", "a@r3---sn.mybrand.com", "hyphens in the third and fourth place"),
    ("a@1.2.3.mybrand.com", "a@1.2.3.mybrand.com", "numeric labels below a name"),
    ("a@163.com", "a@163.com", "numeric second level"),
    // Gmail
    ("a.d.a@gmail.com", "ada@gmail.com", "dots"),
    ("Ada.Lovelace+x@GoogleMail.com", "adalovelace@gmail.com", "googlemail, dots, plus, case"),
    ("ada＋x@gmail.com", "ada@gmail.com", "full-width plus"),
    ("ａｄａ@gmail.com", "ada@gmail.com", "full-width letters"),
    ("a．d．a@gmail.com", "ada@gmail.com", "full-width dots"),
    ("ada@ｇｍａｉｌ.com", "ada@gmail.com", "full-width domain"),
    ("ada@gmail。com", "ada@gmail.com", "ideographic dot"),
    ("ada@gmail．com", "ada@gmail.com", "full-width dot"),
    ("ada@gmail｡com", "ada@gmail.com", "half-width ideographic dot"),
    ("a-d-a@gmail.com", "a-d-a@gmail.com", "only dots are ignored"),
    ("ada@sub.gmail.com", "ada@sub.gmail.com", "below Gmail is not Gmail"),
    ("ada@notgmail.com", "ada@notgmail.com", "a suffix is not a parent"),
    // Microsoft
    ("a.d.a+x@outlook.com", "a.d.a@outlook.com", "dots count"),
    ("ada+x@hotmail.co.uk", "ada@hotmail.co.uk", "plus"),
    ("ada@hotmail.com", "ada@hotmail.com", "not the account of outlook.com"),
    ("ada+1@live.fr", "ada@live.fr", "plus"),
    ("ada+1@msn.com", "ada@msn.com", "plus"),
    // Apple
    ("a.da+x@icloud.com", "a.da@icloud.com", "dots count"),
    ("a.da@me.com", "a.da@icloud.com", "alias domain"),
    ("A.da@MAC.com", "a.da@icloud.com", "alias domain"),
    ("x@privaterelay.appleid.com", "x@privaterelay.appleid.com", "relays are no alias domain"),
    // Fastmail
    ("ada+x@fastmail.com", "ada@fastmail.com", "plus"),
    ("shop@ada.fastmail.com", "ada@fastmail.com", "subdomain addressing"),
    ("shop+x@ADA.fastmail.fm", "ada@fastmail.fm", "subdomain addressing"),
    ("shop@x.ada.fastmail.com", "ada@fastmail.com", "the label next to the provider counts"),
    ("a_l@fastmail.com", "a-l@fastmail.com", "underscore"),
    ("shop@a-l.fastmail.com", "a-l@fastmail.com", "underscore written as hyphen"),
    ("shop@ada.sent.com", "ada@sent.com", "another of its domains"),
    ("ada@fastmail.fm", "ada@fastmail.fm", "domains are name spaces of their own"),
    // mailbox.org and Runbox
    ("ada@secure.mailbox.org", "ada@mailbox.org", "the twin that demands TLS"),
    ("Ada+x@TLS.mailbox.org", "ada@mailbox.org", "another twin"),
    ("a.da@mailbox.org", "a.da@mailbox.org", "dots count"),
    ("ada@other.mailbox.org", "ada@other.mailbox.org", "no twin"),
    ("ada@runbox.no", "ada@runbox.com", "synonymous domain"),
    // relays: whatever stands below a customer's name is that customer's
    ("shop@ada.anonaddy.com", "ada@anonaddy.com", "made up on the spot"),
    ("bank+x@ADA.anonaddy.com", "ada@anonaddy.com", "with an extension"),
    ("shop@x.y.ada.anonaddy.com", "ada@anonaddy.com", "below it, too"),
    ("shop@ada.anonaddy.me", "ada@anonaddy.com", "one name on all addy.io domains"),
    ("shop@ada.addy.io", "ada@anonaddy.com", "one name"),
    ("shop@ada.addymail.com", "ada@anonaddy.com", "one name"),
    ("shop@ada。anonaddy。com", "ada@anonaddy.com", "ideographic dots"),
    ("circus.waltz449@anonaddy.me", "circus.waltz449@anonaddy.com", "an alias made beforehand"),
    ("shop@ada.mozmail.com", "ada@mozmail.com", "a domain of one's own at Firefox Relay"),
    ("z3k9@mozmail.com", "z3k9@mozmail.com", "a random mask"),
    ("shop@ada.simplelogin.com", "ada@simplelogin.com", "a subdomain at SimpleLogin"),
    ("shop@x.ada.aleeas.com", "ada@aleeas.com", "below another of its domains"),
    ("shop@ada.slmail.me", "ada@slmail.me", "whose names are their own"),
    ("shop@ada.8alias.com", "ada@8alias.com", "another one"),
    ("shop@ada.8shield.net", "ada@8shield.net", "another one"),
    ("shop@ada.passmail.net", "ada@passmail.net", "the same platform"),
    ("shop@ada.33mail.com", "ada@33mail.com", "no relay of the contract, the same form"),
    ("x@duck.com", "x@duck.com", "nobody has a label of their own there"),
    // Proton
    ("a.d-a_l+x@proton.me", "adal@proton.me", "ignored marks"),
    ("adal@protonmail.com", "adal@proton.me", "alias domain"),
    ("ADAL@pm.me", "adal@proton.me", "alias domain"),
    ("a_dal@protonmail.ch", "adal@proton.me", "alias domain"),
    ("-_-@proton.me", "+@proton.me", "nothing left"),
    ("a.\u{301}da@gmail.com", "\u{e1}da@gmail.com", "an accent behind an ignored dot is the letter's"),
    ("a\u{301}.da@proton.me", "\u{e1}da@proton.me", "the same without one in between"),
    // Yandex
    ("ada.l@yandex.com", "ada-l@yandex.ru", "dot is hyphen, alias domain"),
    ("ada-l+x@ya.ru", "ada-l@yandex.ru", "plus, alias domain"),
    ("ada-l@yandex.kz", "ada-l@yandex.ru", "alias domain"),
    ("ada-l@narod.ru", "ada-l@yandex.ru", "alias domain"),
    // Yahoo and AOL
    ("ada@yahoo.com", "ada@yahoo.com", "the account"),
    ("nick-shop@yahoo.com", "nick-@yahoo.com", "disposable address"),
    ("nick-bank+x@yahoo.com", "nick-@yahoo.com", "the same bucket"),
    ("nick@yahoo.com", "nick@yahoo.com", "apart from the nickname"),
    ("nick-a@ymail.com", "nick-@ymail.com", "family"),
    ("nick-a@yahoo.co.jp", "nick-@yahoo.co.jp", "family"),
    ("nick-a@aol.com", "nick-@aol.com", "the same platform"),
    ("a.d.a@yahoo.com", "a.d.a@yahoo.com", "dots count"),
    // the rest of the table
    ("a.da+x@zoho.com", "a.da@zoho.com", "plus"),
    ("a.da+x@zohomail.eu", "a.da@zohomail.eu", "plus"),
    ("ada+x@mail.ru", "ada@mail.ru", "plus"),
    ("ada+x@bk.ru", "ada@bk.ru", "not the account of mail.ru"),
    ("ada+x@gmx.de", "ada@gmx.de", "plus"),
    ("ada+x@web.de", "ada@web.de", "plus"),
    ("ada+x@qq.com", "ada@qq.com", "plus"),
    // IDN and Unicode
    ("a@bücher.de", "a@xn--bcher-kva.de", "U-label"),
    ("a@xn--bcher-kva.de", "a@xn--bcher-kva.de", "A-label"),
    ("a@XN--BCHER-KVA.DE", "a@xn--bcher-kva.de", "upper-case A-label"),
    ("a@BÜCHER.de", "a@xn--bcher-kva.de", "upper-case U-label"),
    ("a@bu\u{308}cher.de", "a@xn--bcher-kva.de", "NFD"),
    ("a@straße.de", "a@xn--strae-oqa.de", "non-transitional"),
    ("a@例え.jp", "a@xn--r8jz45g.jp", "Japanese"),
    ("é@mybrand.com", "é@mybrand.com", "NFC"),
    ("e\u{301}@mybrand.com", "é@mybrand.com", "NFD"),
    ("É@mybrand.com", "é@mybrand.com", "case beyond ASCII"),
    ("\u{212a}im@mybrand.com", "kim@mybrand.com", "Kelvin sign"),
    ("ſam@mybrand.com", "sam@mybrand.com", "long s"),
    ("straße@mybrand.com", "strasse@mybrand.com", "full case folding"),
    ("STRASSE@mybrand.com", "strasse@mybrand.com", "full case folding"),
    ("ΣΑΣ@mybrand.com", "σασ@mybrand.com", "sigma"),
    ("σας@mybrand.com", "σασ@mybrand.com", "final sigma"),
    ("ﬁx@mybrand.com", "fix@mybrand.com", "ligature"),
    ("℀@mybrand.com", "a/c@mybrand.com", "folds to a slash, which is atext"),
    ("a②@mybrand.com", "a2@mybrand.com", "circled digit"),
    ("ırmak@mybrand.com", "irmak@mybrand.com", "dotless i errs to one bucket"),
    ("用户+x@mybrand.com", "用户@mybrand.com", "sub-address of a Chinese name"),
    ("राम@mybrand.com", "राम@mybrand.com", "combining vowel"),
    ("\u{430}da@gmail.com", "\u{430}da@gmail.com", "Cyrillic a is another letter"),
    ("ada@gm\u{430}il.com", "ada@xn--gmil-63d.com", "homograph domain is another domain"),
];

#[test]
fn every_row_that_must_be_refused_is_refused_for_its_reason() {
    let wrong: Vec<_> = REFUSED
        .iter()
        .filter_map(|&(raw, kind, why)| {
            let seen = public(raw).map(|recipient| recipient.canonical().to_owned());
            (seen != Err(kind)).then(|| format!("{raw:?} ({why}): want {kind:?}, got {seen:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_row_folds_to_its_bucket() {
    let wrong: Vec<_> = FOLDED
        .iter()
        .filter_map(|&(raw, want, why)| {
            let seen = public(raw).map(|recipient| recipient.canonical().to_owned());
            (seen.as_deref() != Ok(want)).then(|| format!("{raw:?} ({why}): {seen:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn folding_what_is_folded_changes_nothing() {
    for (raw, want, _) in FOLDED {
        assert_eq!(canonical(want), *want, "{raw}");
        let exact = public(raw).unwrap().exact().to_owned();
        assert_eq!(canonical(&exact), *want, "{exact}");
        assert_eq!(public(&exact).unwrap().exact(), exact);
    }
}

#[test]
fn delivery_is_as_typed_and_exact_changes_the_domain_only() {
    for (raw, ..) in FOLDED {
        let recipient = public(raw).unwrap();
        let local = raw.split_once('@').unwrap().0;
        assert_eq!(recipient.delivery(), *raw);
        assert_eq!(recipient.exact(), format!("{local}@{}", recipient.domain()));
        assert_eq!(recipient.needs_smtputf8(), !local.is_ascii(), "{raw}");
    }
}

#[test]
fn lengths_are_counted_in_octets_at_the_border() {
    let label = "b".repeat(63);
    let domain = |last: usize| format!("{label}.{label}.{}.com", "b".repeat(last));
    let cases = [
        (format!("{}@b.com", "a".repeat(64)), None),
        (format!("{}@b.com", "a".repeat(65)), Some(Kind::LocalTooLong)),
        (format!("{}@b.com", "é".repeat(32)), None),
        (format!("{}@b.com", "é".repeat(33)), Some(Kind::LocalTooLong)),
        (format!("a@{label}.com"), None),
        (format!("a@b{label}.com"), Some(Kind::LabelTooLong)),
        (format!("{}@{}", "a".repeat(64), domain(57)), None), // 254
        (format!("{}@{}", "a".repeat(64), domain(58)), Some(Kind::AddressTooLong)), // 255
        (format!("{}@{}", "a".repeat(64), domain(59)), Some(Kind::AddressTooLong)), // 256
        // The same as A-labels: `ü` is two octets as typed, and seven then.
        (format!("{}@ü.{}", "a".repeat(64), domain(49)), None), // 249, then 254
        (format!("{}@ü.{}", "a".repeat(64), domain(50)), Some(Kind::AddressTooLong)), // 250, then 255
        // 60 octets as typed, over 63 as an A-label
        (format!("a@{}.de", "üöä".repeat(10)), None),
        (format!("a@{}.de", "üöäé中".repeat(12)), Some(Kind::LabelTooLong)),
        ("a".repeat(100_000), Some(Kind::AddressTooLong)),
    ];
    for (raw, want) in cases {
        assert_eq!(public(&raw).err(), want, "{} octets", raw.len());
    }
}

#[test]
fn dev_accepts_the_names_reserved_for_tests_and_no_others() {
    let dev = |raw| Recipient::parse(raw, Realm::Dev, &PROVIDERS).map_err(|fault| fault.kind);
    for raw in ["a@b.test", "a@b.example", "a@example.com", "a@x.example.net", "a@example.org"] {
        assert!(dev(raw).is_ok(), "{raw}");
    }
    for raw in ["a@b.invalid", "a@b.local", "a@b.arpa", "a@b.localhost", "a@b.onion"] {
        assert_eq!(dev(raw).err(), Some(Kind::SpecialUse), "{raw}");
    }
    assert_eq!(dev("a@localhost").err(), Some(Kind::NoDot));
}

/// Typed, the domain whose limits it counts in.
#[rustfmt::skip]
const UNFAMILIAR: &[(&str, Option<&str>)] = &[
    ("ada@victim-family.com", Some("victim-family.com")),
    ("ada@a.b.VICTIM-family.com", Some("victim-family.com")),
    ("ada@cs.uni.ac.uk", Some("uni.ac.uk")),
    ("ada@x.y.github.io", Some("y.github.io")),   // the list's private section: y is somebody's
    ("ada@github.io", Some("github.io")),         // a suffix that takes mail itself
    ("ada@mail.bücher.de", Some("xn--bcher-kva.de")),
    ("ada@a.b.公司.cn", Some("b.xn--55qx5d.cn")), // a suffix that is an A-label itself
    ("ada@a.b.unlistedtop", Some("b.unlistedtop")),
    ("ada@a.co.jp", Some("a.co.jp")),
    ("ada@city.kawasaki.jp", Some("city.kawasaki.jp")), // an exception of a wildcard
    // Nobody's mail lives below gmail.com, so what is addressed there counts as one domain.
    ("ada@x.gmail.com", Some("gmail.com")),
    ("ada@gmail.com", None),
    ("ada@OUTLOOK.com", None),
    ("ada@icloud.com", None),
    ("ada@yahoo.co.uk", None),
    ("shop@ada.fastmail.com", None),
    ("ada@t-online.de", None),
    ("ada@privaterelay.appleid.com", None),
    ("ada@mozmail.com", None),
    ("ada@duck.com", None),
    ("shop@x.ada.anonaddy.com", None),
    ("shop@ada.33mail.com", None),
];

#[test]
fn a_domain_that_is_no_providers_is_counted_with_all_below_it() {
    for (raw, want) in UNFAMILIAR {
        let recipient = public(raw).unwrap();
        assert_eq!(recipient.unfamiliar_domain().map(|domain| domain.as_str()), *want, "{raw}");
    }
    for family in FAMILIES.iter().chain(CATCH_ALLS).chain(RELAYS) {
        for domain in family.domains.iter() {
            assert_eq!(public(&format!("ada@{domain}")).unwrap().unfamiliar_domain(), None, "{domain}");
        }
    }
    let shown = format!("{:?}", public("a@secret.com").unwrap().unfamiliar_domain());
    assert!(!shown.contains("secret"), "{shown}");
    let own = ExtraFamily { domains: vec!["Campus.edu".to_owned()], rule: Rule::ELSEWHERE };
    let table = ProviderTable::with_extra(&[own]).unwrap();
    let of = |raw| Recipient::parse(raw, Realm::Public, &table).unwrap().unfamiliar_domain().is_none();
    assert!(of("a@campus.edu"), "the operator calls it a mail provider");
    assert!(!of("a@other.edu"));
}

#[test]
fn an_inbox_names_the_unfamiliar_domain_that_a_live_key_mails_to() {
    let [keys, later] = [1, 2].map(|seed| StartKeys::draw(&mut Seeded::new(seed)));
    let of = |raw: &str, keys: &StartKeys, mode| public(raw).unwrap().inbox(keys, mode).domain();
    let live = of("a@x.corp.de", &keys, Mode::Live);
    assert!(live.is_some() && live == of("b+c@y.z.CORP.de", &keys, Mode::Live), "all below it is the domain");
    assert!(live != of("a@corp.fr", &keys, Mode::Live));
    assert!(live != of("a@x.corp.de", &later, Mode::Live), "no dump tells the domains of the next start");
    assert_eq!(of("a@x.corp.de", &keys, Mode::Test), None, "test keys send no mail");
    assert_eq!(of("a@gmail.com", &keys, Mode::Live), None, "a known provider");
    let inbox = |raw: &str| public(raw).unwrap().inbox(&keys, Mode::Live);
    assert!(inbox("a@corp.de") != inbox("b@corp.de") && inbox("a+1@corp.de") == inbox("a@corp.de"));
}

#[test]
fn a_hint_shows_one_character_and_the_domain() {
    let hint = |raw: &str| public(raw).unwrap().hint();
    assert_eq!(hint("Ada.Lovelace+x@GMAIL.com"), "A***@gmail.com");
    assert_eq!(hint("a@bücher.de"), "a***@xn--bcher-kva.de");
    assert_eq!(hint("用户@mybrand.com"), "用***@mybrand.com");
    assert_eq!(hint("shop@ada.fastmail.com"), "s***@fastmail.com");
    assert_eq!(hint("shop@x.ada.anonaddy.me"), "s***@anonaddy.me");
}

#[test]
fn a_fault_points_at_the_octets_and_shows_none_of_them() {
    let fault = Recipient::parse("ada l@secret.com", Realm::Public, &PROVIDERS).unwrap_err();
    assert_eq!((fault.kind, fault.span.clone()), (Kind::Space, 3..4));
    let wide = Recipient::parse("é\u{200b}@b.com", Realm::Public, &PROVIDERS).unwrap_err();
    assert_eq!((wide.kind, wide.span), (Kind::Invisible, 2..5));
    let second = Recipient::parse("a@b@secret.com", Realm::Public, &PROVIDERS).unwrap_err();
    assert_eq!((second.kind, second.span), (Kind::SecondAtSign, 3..4));
    let domain = Recipient::parse("ada@secret", Realm::Public, &PROVIDERS).unwrap_err();
    assert_eq!(domain.span, 4..10);
    let recipient = public("ada@mybrand.com").unwrap();
    for text in [format!("{fault}"), format!("{fault:?}"), format!("{recipient:?}")] {
        assert!(!text.contains("ada") && !text.contains("secret") && !text.contains("brand"), "{text}");
    }
}

#[test]
fn an_operator_extends_the_table_and_wins() {
    let rule = Rule { ignored: Marks::of("."), one_account: true, ..Rule::ELSEWHERE };
    let family =
        |domains: &[&str]| ExtraFamily { domains: domains.iter().map(ToString::to_string).collect(), rule };
    let table = ProviderTable::with_extra(&[family(&["Bücher.de", "books.de", "outlook.com"])]).unwrap();
    for raw in ["a.b+x@books.de", "ab@bücher.de", "a.b@outlook.com"] {
        let recipient = Recipient::parse(raw, Realm::Public, &table).unwrap();
        assert_eq!(recipient.canonical(), "ab@xn--bcher-kva.de");
    }
    let bad = ProviderTable::with_extra(&[family(&["ok.de"]), family(&["ok.de", "no domain"])]);
    assert_eq!(bad.err(), Some(ProviderFault::NotADomain(1, 1)));
    assert_eq!(ProviderTable::with_extra(&[family(&[])]).err(), Some(ProviderFault::NoDomain(0)));
    let longest =
        ["a".repeat(63).as_str(), &"b".repeat(63), &"c".repeat(63), &"d".repeat(58), "de"].join(".");
    assert_eq!(longest.len(), 253);
    assert!(ProviderTable::with_extra(&[family(&[&longest])]).is_ok());
    let longer = ProviderTable::with_extra(&[family(&[&longest.replace(".de", ".com")])]);
    assert_eq!(longer.err(), Some(ProviderFault::NotADomain(0, 0)));
}

#[test]
fn naughty_strings_never_panic_and_never_pass_a_character_an_smtp_line_ends_with() {
    let text = include_str!("../../../transport/tests/corpora/blns/blns.json");
    let strings: Vec<String> = serde_json::from_str(text).unwrap();
    assert!(strings.len() > 400);
    for naughty in &strings {
        for raw in
            [naughty.clone(), format!("{naughty}@b.com"), format!("a@{naughty}"), format!("a@{naughty}.com")]
        {
            if let Ok(recipient) = public(&raw) {
                assert!(!recipient.exact().contains(|c: char| c.is_control() || " <>\"".contains(c)));
            }
        }
    }
}

/// One of the ways to write `local` at Gmail.
fn gmail_alias(local: &str, choices: &[u8], tag: &str, domain: usize) -> String {
    let mut typed = String::new();
    for (index, letter) in local.chars().enumerate() {
        let choice = choices.get(index).copied().unwrap_or_default();
        if index > 0 && choice & 1 != 0 {
            typed.push(if choice & 8 != 0 { '．' } else { '.' });
        }
        match choice >> 1 & 3 {
            0 => typed.push(letter),
            1 => typed.push(letter.to_ascii_uppercase()),
            // full-width forms of ASCII lie at a fixed distance
            _ => typed.extend(char::from_u32(u32::from(letter) + 0xfee0)),
        }
    }
    let domain = ["gmail.com", "GoogleMail.com", "gmail。com", "ｇmail.com"][domain];
    format!("{typed}{tag}@{domain}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn all_aliases_of_an_inbox_share_a_bucket(
        local in "[a-z0-9]{1,8}",
        choices in prop::collection::vec(0_u8..16, 8),
        tag in "(|[+＋]([a-z0-9]{1,3}[.+-])?[a-z])",
        domain in 0_usize..4,
    ) {
        let typed = gmail_alias(&local, &choices, &tag, domain);
        prop_assert_eq!(canonical(&typed), format!("{local}@gmail.com"), "{}", typed);
    }

    #[test]
    fn different_ascii_names_elsewhere_keep_their_buckets(a in "[a-z0-9._-]{1,9}", b in "[a-z0-9._-]{1,9}") {
        let (first, second) = (public(&format!("{a}@mybrand.com")), public(&format!("{b}@mybrand.com")));
        if let (Ok(first), Ok(second)) = (first, second) {
            prop_assert_eq!(first.canonical() == second.canonical(), a == b);
        }
    }

    #[test]
    fn folding_is_idempotent_wherever_the_result_is_an_address(
        local in "[a-zA-Z0-9._+àßΣＡ-Ｚｋ-]{1,12}",
        domain in prop::sample::select(vec![
            "gmail.com", "yahoo.com", "ya.ru", "pm.me", "x.fastmail.com", "x.anonaddy.me", "mybrand.com", "Bücher.de",
        ]),
    ) {
        if let Ok(recipient) = public(&format!("{local}@{domain}")) {
            prop_assert_eq!(canonical(recipient.canonical()), recipient.canonical());
            prop_assert_eq!(canonical(recipient.exact()), recipient.canonical());
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic_and_spans_lie_inside(raw in any::<String>(), tail in "(@[a-zü.]{0,9}(com)?)?") {
        let raw = raw + &tail;
        if let Err(fault) = Recipient::parse(&raw, Realm::Dev, &PROVIDERS) {
            prop_assert!(raw.get(fault.span).is_some());
        }
    }
}

#[test]
fn faults_say_what_is_wrong_and_shapes_say_nothing_else() {
    let fault = Recipient::parse("secretive", Realm::Public, &PROVIDERS).unwrap_err();
    assert_eq!(fault.to_string(), "the address has no @ at octets 0..9");
    assert_eq!(ProviderFault::NoDomain(2).to_string(), "provider 2 names no domain");
    assert_eq!(ProviderFault::NotADomain(1, 3).to_string(), "domain 3 of provider 1 is no domain name");
    let recipient = public("ada@mybrand.com").unwrap();
    assert_eq!(format!("{recipient:?}"), "Recipient(redacted)");
    let table = format!("{:?}", *PROVIDERS);
    assert!(table.starts_with("ProviderTable(") && table.ends_with(" domains)"), "{table}");
}
