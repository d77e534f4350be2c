use super::*;
use proptest::prelude::*;

/// Values near the boundary between the fast path and the general parser.
fn near_origins() -> impl Strategy<Value = String> {
    let scheme = prop::sample::select(vec![
        "https://",
        "http://",
        "https:/",
        "https:",
        "HTTPS://",
        "https:///",
        "ftp://",
        "",
    ]);
    let label = prop_oneof![
        4 => "[a-z][a-z0-9-]{0,6}",
        1 => "[a-zA-Z0-9_%.*@-]{0,6}",
        1 => prop::sample::select(vec![
            "xn--bcher-kva", "xn--", "xn--a", "1", "0x7f", "127", "localhost", "-", "a--b", "0",
        ]).prop_map(str::to_owned),
    ];
    let port = prop_oneof![
        3 => Just(String::new()),
        2 => (0_u32..70_000).prop_map(|port| format!(":{port}")),
        1 => ":[0-9a-f]{0,6}",
    ];
    let tail = prop::sample::select(vec!["", "", "", "/", "/a?b#c", "?", "#", "\\", ".", "@b.c"]);
    (scheme, prop::collection::vec(label, 0..5), port, tail)
        .prop_map(|(scheme, labels, port, tail)| format!("{scheme}{}{port}{tail}", labels.join(".")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn the_short_way_agrees_with_the_url_standard(text in near_origins()) {
        if let Some(host) = plain_host(&text) {
            let long = Origin::parse_whatwg(&text);
            prop_assert_eq!(
                long.map(|origin| origin.place),
                Ok(OriginHost::Host(Cow::Borrowed(host))),
                "{}", text
            );
        }
    }

    #[test]
    fn a_list_allows_what_one_of_its_rules_allows(
        texts in prop::collection::vec("(\\*\\.)?([ab]\\.){0,2}(x|y)\\.(com|net)", 0..6),
        host in "([ab]\\.){0,3}(x|y)\\.(com|net)",
    ) {
        let rules: Vec<OriginRule> = texts.iter().filter_map(|text| OriginRule::parse(text).ok()).collect();
        let value = format!("https://{host}");
        if let Ok(origin) = Origin::parse(value.as_bytes()) {
            let one_by_one = rules.iter().any(|rule| rule.allows(&origin));
            prop_assert_eq!(rules.into_iter().collect::<OriginRules>().allows(&origin), one_by_one);
        }
    }

    #[test]
    fn no_octets_make_the_parser_panic(value in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = Origin::parse(&value);
    }

    #[test]
    fn no_text_makes_the_rule_parser_panic_and_a_rule_reads_itself(text in "\\PC{0,40}") {
        if let Ok(rule) = OriginRule::parse(&text) {
            prop_assert_eq!(OriginRule::parse(&rule.to_string()), Ok(rule));
        }
    }
}

#[test]
fn what_browsers_send_goes_the_short_way() {
    for text in ["https://mybrand.com", "http://localhost:3000", "https://a-b.c1.mybrand.com:8443"] {
        assert!(plain_host(text).is_some(), "{text}");
    }
}

#[test]
fn a_fault_is_said_in_words() {
    assert_eq!(Origin::parse(b"null").unwrap_err().to_string(), "the origin is null");
    assert_eq!(OriginRule::parse("").unwrap_err().to_string(), "the rule is empty");
}

#[test]
fn an_extension_is_allowed_by_its_own_id_alone() {
    let (own, other) = ("abcdefghijklmnopabcdefghijklmnop", "bbcdefghijklmnopabcdefghijklmnop");
    let origin = format!("chrome-extension://{own}");
    let origin = Origin::parse(origin.as_bytes()).unwrap();
    for (id, allowed) in [(own, true), (other, false)] {
        assert_eq!(OriginRule::parse(id).unwrap().allows(&origin), allowed);
        assert_eq!(OriginRules::parse(&[id]).unwrap().allows(&origin), allowed);
    }
}

#[test]
fn a_union_allows_what_any_of_its_lists_does_and_only_nothing_is_empty() {
    let list = |texts: &[&str]| OriginRules::parse(texts).unwrap();
    let lists = [list(&["a.com"]), list(&["*.b.com"]), list(&["abcdefghijklmnopabcdefghijklmnop"])];
    let all = OriginRules::union(lists.iter());
    let origins = ["https://a.com", "https://x.b.com", "chrome-extension://abcdefghijklmnopabcdefghijklmnop"];
    for (nth, text) in origins.iter().enumerate() {
        let origin = Origin::parse(text.as_bytes()).unwrap();
        assert!(all.allows(&origin), "{text}");
        assert_eq!(lists.each_ref().map(|list| list.allows(&origin)), [0, 1, 2].map(|at| at == nth));
    }
    assert!(lists.iter().all(|list| !list.is_empty()) && !all.is_empty());
    assert!(OriginRules::union(std::iter::empty()).is_empty());
}
