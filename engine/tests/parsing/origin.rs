//! Origins and rules row by row, each with its reason (attacks A22, A23, A24; contract, section 3).

use Verdict::{Allowed, NotListed, Refused};
use authepy_engine::perimeter::origin::OriginFault as Fault;
use authepy_engine::perimeter::origin::{MAX_ORIGIN, Origin, OriginRule, OriginRules, RuleFault};

const CHROME: &str = "abcdefghijklmnopabcdefghijklmnop";
const MOZ: &str = "0f3c9a51-22b7-4d0e-9c1a-5b7e8f6a4d21";

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Allowed,
    NotListed,
    Refused(Fault),
}

/// `authepy dev`'s list, one more brand in Unicode, and an extension of each browser.
fn rules() -> OriginRules {
    OriginRules::parse(&["localhost", "mybrand.com", "*.mybrand.com", "bücher.de", CHROME, MOZ]).unwrap()
}

fn verdict(value: &[u8]) -> Verdict {
    match Origin::parse(value) {
        Err(fault) => Refused(fault),
        Ok(origin) if rules().allows(&origin) => Allowed,
        Ok(_) => NotListed,
    }
}

#[rustfmt::skip]
const ORIGINS: &[(&str, Verdict, &str)] = &[
    // accepted
    ("https://mybrand.com", Allowed, "the plain case"),
    ("http://mybrand.com", Allowed, "http is on the list of schemes"),
    ("https://MyBrand.COM", Allowed, "host case"),
    ("HTTPS://mybrand.com", Allowed, "scheme case"),
    ("https://mybrand.com:8443", Allowed, "port falls away"),
    ("https://mybrand.com:443", Allowed, "default port"),
    ("https://mybrand.com:65535", Allowed, "highest port"),
    ("https://mybrand.com:1", Allowed, "lowest port"),
    ("https://mybrand.com:", Allowed, "empty port is the default (WHATWG)"),
    ("https://mybrand.com:00443", Allowed, "leading zeros (WHATWG)"),
    ("https://app.mybrand.com", Allowed, "one label below"),
    ("https://a.b.mybrand.com", Allowed, "two labels below"),
    ("https://a.b.c.d.mybrand.com:3000", Allowed, "any depth"),
    ("https://A.MyBrand.com", Allowed, "case below"),
    ("https://x--y.mybrand.com", Allowed, "preview host"),
    ("https://my_app.mybrand.com", Allowed, "underscore below one's own domain"),
    ("https://1.mybrand.com", Allowed, "numeric label below"),
    ("https://mybrand.com.", Allowed, "trailing dot falls away"),
    ("HTTPS://MyBrand.COM.", Allowed, "trailing dot and case"),
    ("https://app.mybrand.com.:8443", Allowed, "trailing dot and port"),
    ("https://mybrand.com/", Allowed, "path falls away"),
    ("https://mybrand.com/a/b", Allowed, "path falls away"),
    ("https://mybrand.com:8443/a?b#c", Allowed, "port, path, query, fragment"),
    ("https://mybrand.com?env=sandbox&utm_source=x", Allowed, "sandbox metrics"),
    ("https://mybrand.com#x", Allowed, "fragment"),
    ("https://evil.com@mybrand.com", Allowed, "userinfo falls away"),
    ("https://a:b@mybrand.com", Allowed, "userinfo with password"),
    ("https://mybrand.com\\@evil.com", Allowed, "backslash starts the path (WHATWG)"),
    ("https://mybrand.com/@evil.com", Allowed, "the @ is in the path"),
    ("https:mybrand.com", Allowed, "WHATWG needs no slashes"),
    ("https:///mybrand.com", Allowed, "WHATWG skips slashes"),
    ("https:\\\\mybrand.com", Allowed, "WHATWG reads backslashes as slashes"),
    ("https://%6dybrand.com", Allowed, "WHATWG decodes the host"),
    ("https://mybrand%2Ecom", Allowed, "WHATWG decodes the host"),
    ("https://xn--bcher-kva.de", Allowed, "A-label of a rule given in Unicode"),
    ("https://XN--BCHER-KVA.de", Allowed, "upper-case A-label"),
    ("https://b%C3%BCcher.de", Allowed, "percent-encoded U-label"),
    ("http://localhost", Allowed, "localhost"),
    ("http://localhost:3000", Allowed, "dev server"),
    ("https://LOCALHOST:8443", Allowed, "case"),
    ("http://localhost.", Allowed, "trailing dot"),
    ("capacitor://localhost", Allowed, "Capacitor on iOS"),
    ("ionic://localhost", Allowed, "Ionic"),
    ("tauri://localhost", Allowed, "Tauri on macOS"),
    ("capacitor://LocalHost", Allowed, "an opaque host is lowered too"),
    ("capacitor://app.mybrand.com", Allowed, "configured hostname"),
    ("tauri://mybrand.com:1234/x", Allowed, "port and path fall away"),
    ("chrome-extension://abcdefghijklmnopabcdefghijklmnop", Allowed, "listed id"),
    ("chrome-extension://abcdefghijklmnopabcdefghijklmnop/x.html", Allowed, "path falls away"),
    ("moz-extension://0f3c9a51-22b7-4d0e-9c1a-5b7e8f6a4d21", Allowed, "listed UUID"),
    ("moz-extension://0F3C9A51-22B7-4D0E-9C1A-5B7E8F6A4D21", Allowed, "UUID in upper case"),
    // somebody else
    ("https://evilmybrand.com", NotListed, "prefix without a dot"),
    ("https://xmybrand.com", NotListed, "prefix without a dot"),
    ("https://evil-mybrand.com", NotListed, "prefix with a hyphen"),
    ("https://mybrand.com.evil.com", NotListed, "brand as sub-domain"),
    ("https://mybrand.com.evil.net", NotListed, "brand as sub-domain"),
    ("https://mybrand.comevil", NotListed, "suffix"),
    ("https://mybrand.co", NotListed, "cut"),
    ("https://mybrand.com.au", NotListed, "another suffix"),
    ("https://mybrand.org", NotListed, "another top level"),
    ("https://com", NotListed, "the top level itself"),
    ("https://mybrand", NotListed, "without top level"),
    ("https://ybrand.com", NotListed, "cut in front"),
    ("https://my.brand.com", NotListed, "inserted dot"),
    ("https://mybrand.com@evil.com", NotListed, "brand as userinfo"),
    ("https://mybrand.com:443@evil.com", NotListed, "brand as userinfo with password"),
    ("https://a@mybrand.com@evil.com", NotListed, "the last @ counts"),
    ("https://evil.com#mybrand.com", NotListed, "brand in the fragment"),
    ("https://evil.com#@mybrand.com", NotListed, "brand in the fragment behind @"),
    ("https://evil.com?mybrand.com", NotListed, "brand in the query"),
    ("https://evil.com?@mybrand.com", NotListed, "brand in the query behind @"),
    ("https://evil.com/mybrand.com", NotListed, "brand in the path"),
    ("https://evil.com\\mybrand.com", NotListed, "brand behind a backslash"),
    ("https://evil.com\\@mybrand.com", NotListed, "backslash ends the host (WHATWG)"),
    ("https://evil.com/@mybrand.com", NotListed, "brand in the path behind @"),
    ("https://evil.com:443\\@mybrand.com", NotListed, "port, then backslash"),
    ("https://mybrand.com%2eevil.com", NotListed, "decodes to a sub-domain of evil.com"),
    ("https://mybrand.com_.evil.com", NotListed, "underscore trick"),
    ("https://mybrand.com-.evil.com", NotListed, "hyphen trick"),
    ("https://xn--mybrnd-5nf.com", NotListed, "homograph as A-label"),
    ("https://mybr%D0%B0nd.com", NotListed, "homograph, percent-encoded"),
    ("http://app.localhost", NotListed, "localhost is one host"),
    ("https://localhost.evil.com", NotListed, "localhost as sub-domain"),
    ("https://localhostx", NotListed, "longer than localhost"),
    ("https://abcdefghijklmnopabcdefghijklmnop", NotListed, "an extension id is no web host"),
    ("http://abcdefghijklmnopabcdefghijklmnop:80", NotListed, "an extension id is no web host"),
    ("https://0f3c9a51-22b7-4d0e-9c1a-5b7e8f6a4d21", NotListed, "a UUID is no web host"),
    ("https://xyz.abcdefghijklmnopabcdefghijklmnop", NotListed, "an id is no wildcard base"),
    ("chrome-extension://ponmlkjihgfedcbaponmlkjihgfedcba", NotListed, "another extension"),
    ("moz-extension://0f3c9a51-22b7-4d0e-9c1a-5b7e8f6a4d22", NotListed, "another extension"),
    ("capacitor://evil.com", NotListed, "another host in an app"),
    // no origin of anybody
    ("", Refused(Fault::Empty), "empty"),
    ("null", Refused(Fault::Null), "sandboxed frame, file, redirect"),
    ("NULL", Refused(Fault::Scheme), "only lower case is the keyword; the rest is no URL"),
    ("undefined", Refused(Fault::Scheme), "broken script"),
    ("mybrand.com", Refused(Fault::Scheme), "no scheme"),
    ("//mybrand.com", Refused(Fault::Scheme), "scheme-relative"),
    ("/mybrand.com", Refused(Fault::Scheme), "path"),
    ("mybrand.com:443", Refused(Fault::Scheme), "host taken for a scheme"),
    ("*", Refused(Fault::Scheme), "wildcard"),
    ("https://", Refused(Fault::NoHost), "no host"),
    ("https:", Refused(Fault::NoHost), "no host"),
    ("https://:443", Refused(Fault::NoHost), "no host before the port"),
    ("https://user@", Refused(Fault::NoHost), "no host behind userinfo"),
    ("https://?x", Refused(Fault::NoHost), "no host before the query"),
    ("capacitor://", Refused(Fault::NoHost), "no host"),
    ("capacitor:localhost", Refused(Fault::NoHost), "opaque path"),
    ("capacitor:///localhost", Refused(Fault::NoHost), "path without host"),
    ("file://mybrand.com", Refused(Fault::Scheme), "file"),
    ("file:///etc/passwd", Refused(Fault::Scheme), "file"),
    ("ftp://mybrand.com", Refused(Fault::Scheme), "unlisted scheme"),
    ("ws://mybrand.com", Refused(Fault::Scheme), "unlisted scheme"),
    ("wss://mybrand.com", Refused(Fault::Scheme), "unlisted scheme"),
    ("app://mybrand.com", Refused(Fault::Scheme), "unlisted scheme"),
    ("httpss://mybrand.com", Refused(Fault::Scheme), "longer scheme"),
    ("xhttps://mybrand.com", Refused(Fault::Scheme), "longer scheme"),
    ("data:text/html,x", Refused(Fault::List), "opaque; a comma already"),
    ("data:mybrand.com", Refused(Fault::Scheme), "opaque"),
    ("blob:https://mybrand.com/0f3c9a51", Refused(Fault::Scheme), "opaque"),
    ("javascript:alert(1)//mybrand.com", Refused(Fault::Scheme), "opaque"),
    ("about:blank", Refused(Fault::Scheme), "opaque"),
    ("mailto:a@mybrand.com", Refused(Fault::Scheme), "opaque"),
    ("view-source:https://mybrand.com", Refused(Fault::Scheme), "nested"),
    ("chrome-extension://mybrand.com", Refused(Fault::ExtensionId), "a domain is no id"),
    ("chrome-extension://abcdefghijklmnopabcdefghijklmnoq", Refused(Fault::ExtensionId), "q is no digit"),
    ("chrome-extension://abcdefghijklmnopabcdefghijklmno", Refused(Fault::ExtensionId), "31 letters"),
    ("chrome-extension://0f3c9a51-22b7-4d0e-9c1a-5b7e8f6a4d21", Refused(Fault::ExtensionId), "the other browser's id"),
    ("moz-extension://abcdefghijklmnopabcdefghijklmnop", Refused(Fault::ExtensionId), "the other browser's id"),
    ("moz-extension://", Refused(Fault::NoHost), "no id"),
    ("moz-extension://mybrand.com", Refused(Fault::ExtensionId), "a domain is no id"),
    ("safari-web-extension://0f3c9a51-22b7-4d0e-9c1a-5b7e8f6a4d21", Refused(Fault::Scheme), "not on the list"),
    ("https://127.0.0.1", Refused(Fault::Address), "IPv4"),
    ("https://127.0.0.1:3000", Refused(Fault::Address), "IPv4 with port"),
    ("https://127.0.0.1.", Refused(Fault::Address), "IPv4 with trailing dot"),
    ("https://2130706433", Refused(Fault::Address), "IPv4, decimal"),
    ("https://0x7f000001", Refused(Fault::Address), "IPv4, hexadecimal"),
    ("https://0x7f.1", Refused(Fault::Address), "IPv4, short and hexadecimal"),
    ("https://0177.0.0.1", Refused(Fault::Address), "IPv4, octal"),
    ("https://127.1", Refused(Fault::Address), "IPv4, short"),
    ("https://%31%32%37.0.0.1", Refused(Fault::Address), "IPv4, percent-encoded"),
    ("https://[::1]", Refused(Fault::Address), "IPv6"),
    ("http://[::1]:3000", Refused(Fault::Address), "IPv6 with port"),
    ("https://[::ffff:127.0.0.1]", Refused(Fault::Address), "mapped"),
    ("capacitor://127.0.0.1", Refused(Fault::Address), "IPv4 in an opaque host"),
    ("tauri://[::1]", Refused(Fault::Address), "IPv6 in an app"),
    ("https://256.256.256.256", Refused(Fault::Malformed), "no IPv4"),
    ("https://mybrand.com.1", Refused(Fault::Malformed), "ends in a number but is no IPv4"),
    ("https://[::1", Refused(Fault::Malformed), "open bracket"),
    ("https://mybrand.com:99999", Refused(Fault::Malformed), "port too high"),
    ("https://mybrand.com:65536", Refused(Fault::Malformed), "port too high"),
    ("https://mybrand.com:abc", Refused(Fault::Malformed), "port no number"),
    ("https://mybrand.com:-1", Refused(Fault::Malformed), "negative port"),
    ("https://mybrand.com:443:443", Refused(Fault::Malformed), "two ports"),
    ("https://mybrand.com:+443", Refused(Fault::Malformed), "signed port"),
    ("https://mybrand.com:0", Refused(Fault::PortZero), "port zero"),
    ("https://mybrand.com:00", Refused(Fault::PortZero), "port zero, longer"),
    (" https://mybrand.com", Refused(Fault::Octet), "leading space"),
    ("https://mybrand.com ", Refused(Fault::Octet), "trailing space"),
    ("\thttps://mybrand.com", Refused(Fault::Octet), "leading tab"),
    ("https://mybrand.com\t", Refused(Fault::Octet), "trailing tab"),
    ("https://mybrand\t.com", Refused(Fault::Octet), "WHATWG would drop the tab"),
    ("ht\ntps://mybrand.com", Refused(Fault::Octet), "WHATWG would drop the line feed"),
    ("https://mybrand.com\r\nX: y", Refused(Fault::Octet), "header injection"),
    ("https://mybrand.com\0.evil.com", Refused(Fault::Octet), "NUL"),
    ("https://mybrand.com\u{7f}", Refused(Fault::Octet), "DEL"),
    ("https://mybr\u{430}nd.com", Refused(Fault::Octet), "homograph, raw"),
    ("https://bücher.de", Refused(Fault::Octet), "raw non-ASCII of a listed host: no browser sends it"),
    ("https://mybrand。com", Refused(Fault::Octet), "ideographic dot, raw"),
    ("https://mybrand.com https://evil.com", Refused(Fault::Octet), "space-separated list"),
    ("https://mybrand.com,https://evil.com", Refused(Fault::List), "comma list"),
    ("https://mybrand.com,evil.com", Refused(Fault::List), "comma in the host"),
    ("null,https://mybrand.com", Refused(Fault::List), "list with null"),
    ("https://mybrand.com%00.evil.com", Refused(Fault::Malformed), "NUL, percent-encoded"),
    ("https://mybrand.com%20.evil.com", Refused(Fault::Malformed), "space, percent-encoded"),
    ("https://mybrand.com%.evil.com", Refused(Fault::Malformed), "bare percent"),
    ("https://mybrand.com%2F.evil.com", Refused(Fault::Malformed), "slash, percent-encoded"),
    ("https://mybrand.com%40evil.com", Refused(Fault::Malformed), "at, percent-encoded"),
    ("https://mybrand.com^.evil.com", Refused(Fault::Malformed), "forbidden host code point"),
    ("https://mybrand.com|.evil.com", Refused(Fault::Malformed), "forbidden host code point"),
    ("https://mybrand.com<.evil.com", Refused(Fault::Malformed), "forbidden host code point"),
    ("https://mybrand.com!.evil.com", Refused(Fault::HostName), "WHATWG lets it be, DNS does not"),
    ("https://mybrand.com$.evil.com", Refused(Fault::HostName), "as above"),
    ("https://mybrand.com&.evil.com", Refused(Fault::HostName), "as above"),
    ("https://mybrand.com'.evil.com", Refused(Fault::HostName), "as above"),
    ("https://mybrand.com(.evil.com", Refused(Fault::HostName), "as above"),
    ("https://mybrand.com).evil.com", Refused(Fault::HostName), "as above"),
    ("https://mybrand.com*.evil.com", Refused(Fault::HostName), "as above"),
    ("https://mybrand.com+.evil.com", Refused(Fault::HostName), "as above"),
    ("https://mybrand.com;.evil.com", Refused(Fault::HostName), "as above"),
    ("https://mybrand.com=.evil.com", Refused(Fault::HostName), "as above"),
    ("https://mybrand.com`.evil.com", Refused(Fault::HostName), "as above"),
    ("https://mybrand.com{.evil.com", Refused(Fault::HostName), "as above"),
    ("https://mybrand.com}.evil.com", Refused(Fault::HostName), "as above"),
    ("https://mybrand.com~.evil.com", Refused(Fault::HostName), "as above"),
    ("https://mybrand.com\".evil.com", Refused(Fault::HostName), "as above"),
    ("https://*.mybrand.com", Refused(Fault::HostName), "wildcard"),
    ("https://.mybrand.com", Refused(Fault::HostName), "empty label"),
    ("https://a..mybrand.com", Refused(Fault::HostName), "empty label"),
    ("https://mybrand.com..", Refused(Fault::HostName), "two trailing dots"),
    ("https://.", Refused(Fault::HostName), "only a dot"),
    ("https://xn--", Refused(Fault::Malformed), "empty A-label"),
    ("https://xn--a.mybrand.com", Refused(Fault::Malformed), "no punycode, below a listed domain"),
    ("https://xn--mybrand-.com", Refused(Fault::Malformed), "ASCII in disguise"),
    ("capacitor://local%68ost", Refused(Fault::HostName), "escape in an opaque host"),
    ("capacitor://mybrand.com!", Refused(Fault::HostName), "bad character in an opaque host"),
    ("chrome-extension://abcdefghijklmnop%61bcdefghijklmnop", Refused(Fault::ExtensionId), "escape in an id"),
];

#[test]
fn every_origin_gets_its_verdict() {
    let wrong: Vec<_> = ORIGINS
        .iter()
        .filter_map(|(value, want, why)| {
            let seen = verdict(value.as_bytes());
            (seen != *want).then(|| format!("{value:?} ({why}): want {want:?}, got {seen:?}"))
        })
        .collect();
    assert!(ORIGINS.len() >= 120 && wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn octets_that_are_no_utf8_and_values_too_long_are_refused() {
    assert_eq!(verdict(b"https://mybr\xffnd.com"), Refused(Fault::Octet));
    let padded = |len: usize| format!("https://mybrand.com/{}", "a".repeat(len - 20));
    assert_eq!(verdict(padded(MAX_ORIGIN).as_bytes()), Allowed);
    assert_eq!(verdict(padded(MAX_ORIGIN + 1).as_bytes()), Refused(Fault::TooLong));
    assert_eq!(verdict(padded(8192).as_bytes()), Refused(Fault::TooLong));
}

#[test]
fn two_origin_headers_are_refused_even_if_equal_and_none_is_none() {
    let one = b"https://mybrand.com".as_slice();
    let read = |values: &[&'static [u8]]| Origin::from_headers(values.iter().copied());
    assert_eq!(read(&[]), Ok(None));
    assert_eq!(read(&[one]).unwrap().unwrap().as_sent(), "https://mybrand.com");
    assert_eq!(read(&[one, one]), Err(Fault::Repeated));
    assert_eq!(read(&[one, b"null"]), Err(Fault::Repeated));
    assert_eq!(read(&[b"null"]), Err(Fault::Null));
}

#[test]
fn the_echo_is_exactly_what_came_in() {
    for value in ["https://mybrand.com", "HTTPS://MyBrand.COM.:8443", "capacitor://localhost"] {
        assert_eq!(Origin::parse(value.as_bytes()).unwrap().as_sent(), value);
    }
}

#[test]
fn the_domain_of_an_origin_is_a_text_of_the_list_and_none_of_the_senders() {
    let rules =
        OriginRules::parse(&["mybrand.com", "*.shop.example", "bücher.example", "localhost"]).unwrap();
    for (value, domain) in [
        ("https://mybrand.com:8443", Some("mybrand.com")),
        ("https://call-0800-now.shop.example", Some("shop.example")),
        ("https://a.b.shop.example", Some("shop.example")),
        ("https://xn--bcher-kva.example", Some("xn--bcher-kva.example")),
        ("http://localhost:3000", Some("localhost")),
        ("https://shop.example", None),
        ("https://elsewhere.example", None),
    ] {
        assert_eq!(rules.domain_of(&Origin::parse(value.as_bytes()).unwrap()), domain, "{value}");
    }
}

#[test]
fn an_empty_list_allows_nothing() {
    let none = OriginRules::default();
    assert!(none.is_empty());
    assert!(!none.allows(&Origin::parse(b"https://mybrand.com").unwrap()));
}

#[test]
fn a_wildcard_alone_does_not_cover_its_apex_and_a_host_not_what_is_below() {
    let allows = |rule: &str, value: &str| {
        OriginRule::parse(rule).unwrap().allows(&Origin::parse(value.as_bytes()).unwrap())
    };
    assert!(allows("*.mybrand.com", "https://a.mybrand.com"));
    assert!(allows("*.mybrand.com", "https://b.a.mybrand.com"));
    assert!(!allows("*.mybrand.com", "https://mybrand.com"));
    assert!(!allows("*.mybrand.com", "https://amybrand.com"));
    assert!(allows("mybrand.com", "https://mybrand.com"));
    assert!(!allows("mybrand.com", "https://a.mybrand.com"));
    assert!(allows("me.github.io", "https://me.github.io"));
    assert!(allows("*.me.github.io", "https://x.me.github.io"));
}

/// Text, normal form or the reason it is refused, why.
#[rustfmt::skip]
const RULES: &[(&str, Result<&str, RuleFault>, &str)] = &[
    ("mybrand.com", Ok("mybrand.com"), "raw domain"),
    ("*.mybrand.com", Ok("*.mybrand.com"), "wildcard"),
    ("MyBrand.COM", Ok("mybrand.com"), "case"),
    ("*.MyBrand.com", Ok("*.mybrand.com"), "case"),
    ("mybrand.com.", Ok("mybrand.com"), "trailing dot"),
    ("localhost", Ok("localhost"), "the one host without a dot"),
    ("LOCALHOST", Ok("localhost"), "case"),
    ("bücher.de", Ok("xn--bcher-kva.de"), "U-label"),
    ("*.bücher.de", Ok("*.xn--bcher-kva.de"), "U-label below"),
    ("xn--bcher-kva.de", Ok("xn--bcher-kva.de"), "A-label"),
    ("a.b.mybrand.co.uk", Ok("a.b.mybrand.co.uk"), "deep host"),
    ("*.mybrand.co.uk", Ok("*.mybrand.co.uk"), "wildcard below a registrable domain"),
    ("*.me.github.io", Ok("*.me.github.io"), "below one's own name at a private suffix"),
    ("me.github.io", Ok("me.github.io"), "exact host at a private suffix"),
    ("*.mybrand.test", Ok("*.mybrand.test"), "unknown top level"),
    ("tauri.localhost", Ok("tauri.localhost"), "Tauri on Windows"),
    ("my_app.mybrand.com", Ok("my_app.mybrand.com"), "underscore"),
    (CHROME, Ok(CHROME), "Chrome id"),
    (MOZ, Ok(MOZ), "Firefox id"),
    ("", Err(RuleFault::Empty), "nothing"),
    ("https://mybrand.com", Err(RuleFault::Scheme), "scheme"),
    ("//mybrand.com", Err(RuleFault::Scheme), "scheme-relative"),
    ("*://mybrand.com", Err(RuleFault::Scheme), "extension match pattern"),
    ("chrome-extension://abcdefghijklmnopabcdefghijklmnop", Err(RuleFault::Scheme), "ids are bare"),
    ("mybrand.com:8443", Err(RuleFault::Port), "port"),
    ("localhost:3000", Err(RuleFault::Port), "port"),
    ("mybrand.com:*", Err(RuleFault::Port), "any port"),
    ("mybrand.com/", Err(RuleFault::Path), "path"),
    ("mybrand.com/app", Err(RuleFault::Path), "path"),
    ("mybrand.com?x", Err(RuleFault::Path), "query"),
    ("mybrand.com#x", Err(RuleFault::Path), "fragment"),
    ("mybrand.com\\x", Err(RuleFault::Path), "backslash"),
    ("a@mybrand.com", Err(RuleFault::UserInfo), "userinfo"),
    ("*", Err(RuleFault::Wildcard), "everything"),
    ("*.*", Err(RuleFault::Wildcard), "two stars"),
    ("*.*.mybrand.com", Err(RuleFault::Wildcard), "two stars"),
    ("a.*.mybrand.com", Err(RuleFault::Wildcard), "inner star"),
    ("mybrand.*", Err(RuleFault::Wildcard), "star at the end"),
    ("*mybrand.com", Err(RuleFault::Wildcard), "star without a dot"),
    ("a*.mybrand.com", Err(RuleFault::Wildcard), "half a label"),
    ("**.mybrand.com", Err(RuleFault::Wildcard), "two stars in a label"),
    ("127.0.0.*", Err(RuleFault::Wildcard), "IP wildcard at the end"),
    ("*.0.0.1", Err(RuleFault::WildcardAddress), "IP wildcard"),
    ("*.127.0.0.1", Err(RuleFault::WildcardAddress), "below an address"),
    ("*.com", Err(RuleFault::WildcardPublicSuffix), "top level"),
    ("*.COM", Err(RuleFault::WildcardPublicSuffix), "top level"),
    ("*.com.", Err(RuleFault::WildcardPublicSuffix), "top level with a dot"),
    ("*.co.uk", Err(RuleFault::WildcardPublicSuffix), "public suffix"),
    ("*.github.io", Err(RuleFault::WildcardPublicSuffix), "private section"),
    ("*.vercel.app", Err(RuleFault::WildcardPublicSuffix), "private section"),
    ("*.pages.dev", Err(RuleFault::WildcardPublicSuffix), "private section"),
    ("*.foo.ck", Err(RuleFault::WildcardPublicSuffix), "wildcard of the list itself"),
    ("*.localhost", Err(RuleFault::WildcardPublicSuffix), "no owner"),
    ("*.unknowntld", Err(RuleFault::WildcardPublicSuffix), "a top level nobody knows yet"),
    ("*.公司.cn", Err(RuleFault::WildcardPublicSuffix), "IDN suffix"),
    ("127.0.0.1", Err(RuleFault::Address), "IPv4"),
    ("0x7f.1", Err(RuleFault::Address), "IPv4 in disguise"),
    ("2130706433", Err(RuleFault::Address), "IPv4 in disguise"),
    ("::1", Err(RuleFault::Address), "IPv6"),
    ("[::1]", Err(RuleFault::Address), "IPv6"),
    ("com", Err(RuleFault::NoDot), "top level"),
    ("intranet", Err(RuleFault::NoDot), "no dot"),
    ("null", Err(RuleFault::NoDot), "would invite everybody"),
    (" mybrand.com", Err(RuleFault::NotADomain), "space"),
    ("mybrand.com\n", Err(RuleFault::NotADomain), "line feed"),
    ("mybrand.com,evil.com", Err(RuleFault::NotADomain), "list"),
    ("my%62rand.com", Err(RuleFault::NotADomain), "escape"),
    ("my\u{200b}brand.com", Err(RuleFault::NotADomain), "invisible"),
    (".mybrand.com", Err(RuleFault::NotADomain), "cookie style"),
    ("*.", Err(RuleFault::NotADomain), "star and nothing"),
    ("a..mybrand.com", Err(RuleFault::NotADomain), "empty label"),
    ("xn--a.com", Err(RuleFault::NotADomain), "no punycode"),
    ("256.1.1.1", Err(RuleFault::NotADomain), "no IPv4 either"),
    ("mybrand!.com", Err(RuleFault::NotADomain), "bad character"),
];

#[test]
fn every_rule_is_saved_in_its_normal_form_or_refused_for_its_reason() {
    let wrong: Vec<_> = RULES
        .iter()
        .filter_map(|(text, want, why)| {
            let seen = OriginRule::parse(text).map(|rule| rule.to_string());
            (seen.as_deref().map_err(|&fault| fault) != *want)
                .then(|| format!("{text:?} ({why}): want {want:?}, got {seen:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_list_names_the_entry_that_is_no_rule() {
    assert_eq!(OriginRules::parse(&["a.com", "*.com"]), Err((1, RuleFault::WildcardPublicSuffix)));
}
