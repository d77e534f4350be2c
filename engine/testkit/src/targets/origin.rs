//! An origin is admitted exactly if the URL standard finds a host in it that one of the rules names.
//!
//! The input is a rule, a line feed, and the value of an `Origin` header.

use authepy_engine::perimeter::origin::{Origin, OriginRule, OriginRules};
use url::Url;

const LIST: [&str; 5] =
    ["localhost", "mybrand.com", "*.mybrand.com", "b\u{fc}cher.de", "abcdefghijklmnopabcdefghijklmnop"];

/// Looks at one input, with one answer falsified where this is the canary.
///
/// # Panics
/// If the property does not hold.
pub fn check(input: &[u8], canary: bool) {
    let (text, value) = match input.iter().position(|&octet| octet == b'\n') {
        Some(at) => (&input[..at], &input[at + 1..]),
        None => (&b""[..], input),
    };
    let mut rules: Vec<OriginRule> =
        LIST.iter().map(|text| OriginRule::parse(text).expect("a proper rule")).collect();
    if let Ok(rule) = OriginRule::parse(&String::from_utf8_lossy(text)) {
        assert_eq!(OriginRule::parse(&rule.to_string()).as_ref(), Ok(&rule), "a rule reads itself");
        rules.push(rule);
    }
    let list: OriginRules = rules.iter().cloned().collect();
    match Origin::parse(value) {
        Ok(origin) => {
            let allowed = allows(&list, &origin, canary);
            assert_eq!(allowed, rules.iter().any(|rule| rule.allows(&origin)), "the list is its rules");
            let (host, is_extension) = host_of(value).expect("the standard finds a host, too");
            let named = rules.iter().any(|rule| names(rule, &host, is_extension));
            assert_eq!(allowed, named, "{host:?} against {rules:?}");
            assert_eq!(list.domain_of(&origin).is_some(), allowed && !is_extension);
            assert_eq!(origin.as_sent().as_bytes(), value);
        }
        Err(why) => assert!(!is_plain(value), "{:?}: {why}", String::from_utf8_lossy(value)),
    }
}

/// The host as the URL standard reads it, without the root's dot, and whether it names an extension.
fn host_of(value: &[u8]) -> Option<(String, bool)> {
    let url = Url::parse(std::str::from_utf8(value).ok()?).ok()?;
    let host = url.host_str()?;
    match url.scheme() {
        "http" | "https" => Some((host.strip_suffix('.').unwrap_or(host).to_owned(), false)),
        // The standard leaves these hosts as they are: read them as a web page's.
        "capacitor" | "ionic" | "tauri" => host_of(format!("https://{host}").as_bytes()),
        "chrome-extension" | "moz-extension" => Some((host.to_ascii_lowercase(), true)),
        _ => None,
    }
}

fn names(rule: &OriginRule, host: &str, is_extension: bool) -> bool {
    let (text, of_extension) = (rule.to_string(), matches!(rule, OriginRule::Extension(_)));
    let fits = match text.strip_prefix('*') {
        Some(below) => host.ends_with(below) && host.len() > below.len(),
        None => text == host,
    };
    fits && is_extension == of_extension
}

/// What nobody may refuse: a web page of a plain host.
fn is_plain(value: &[u8]) -> bool {
    let Some(host) = value.strip_prefix(b"https://") else { return false };
    let labels = host.split(|&octet| octet == b'.');
    let is_word = |label: &[u8]| !label.is_empty() && label.iter().all(u8::is_ascii_lowercase);
    host.len() < 200 && labels.clone().count() > 1 && labels.clone().all(is_word)
}

/// The canary's bug: a wildcard that does not look for the dot.
fn allows(list: &OriginRules, origin: &Origin<'_>, canary: bool) -> bool {
    list.allows(origin) || canary && origin.as_sent().ends_with("mybrand.com")
}
