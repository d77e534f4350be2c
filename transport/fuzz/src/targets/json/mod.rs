//! A body is taken exactly if each of its members is known, said once and of its type; its values are those
//! of the JSON; and its canonical text is the same value in one spelling.

mod tree;

use std::borrow::Cow;
use std::net::IpAddr;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use authepy_http3::json::bodies::{AlertBody, CheckBody, IntrospectBody, IssueBody, ResendBody};
use authepy_http3::json::{self, Malformed, Metadata, canonical};
use tree::Tree;

pub(crate) fn check(body: &[u8], canary: bool) {
    let tree = serde_json::from_slice::<Tree>(body).ok();
    let has = |members: &'static [&'static str]| {
        let fits = |(name, value): &(String, Tree)| members.contains(&&**name) && value.is_text_or_null();
        tree.as_ref().and_then(Tree::members).is_some_and(|all| all.iter().all(fits))
    };
    let seen = seen(body, canary);
    assert_eq!(takes::<CheckBody<'_>>(&seen), tree.as_ref().is_some_and(is_check));
    assert_eq!(takes::<ResendBody<'_>>(&seen), has(&["recipient"]));
    assert_eq!(takes::<IntrospectBody<'_>>(&seen), has(&["receipt"]));
    assert_eq!(takes::<AlertBody<'_>>(&seen), has(&["subject", "text"]));
    assert_eq!(takes::<IssueBody<'_>>(&seen), tree.as_ref().is_some_and(is_issue));
    issue(body);
    batch(body);
    canonical_text(body, tree.as_ref());
}

fn takes<'a, T: Deserialize<'a>>(body: &'a [u8]) -> bool {
    json::read::<T>(body).is_ok()
}

/// The canary's bug: of two members with one name, the last is seen.
fn seen(body: &[u8], canary: bool) -> Cow<'_, [u8]> {
    match serde_json::from_slice::<Value>(body) {
        Ok(value) if canary => value.to_string().into_bytes().into(),
        _ => body.into(),
    }
}

fn is_check(tree: &Tree) -> bool {
    tree.members().is_some_and(|members| {
        members.iter().all(|(name, value)| match &**name {
            "code" | "recipient" | "nonce" => value.is_text_or_null(),
            "receipt" => value.is_null() || value.is_bool(),
            _ => false,
        })
    })
}

fn is_issue(tree: &Tree) -> bool {
    let at_most = |value: &Tree, most: u64| value.is_null() || value.number().is_some_and(|n| n <= most);
    tree.members().is_some_and(|members| {
        members.iter().all(|(name, value)| match &**name {
            "recipient" | "purpose" | "locale" | "nonce" | "template" => value.is_text_or_null(),
            "lifetime" => at_most(value, u64::MAX),
            "code_length" => at_most(value, u64::from(u8::MAX)),
            "metadata" => value.is_null() || is_metadata(value),
            "client" => value.is_null() || is_client(value),
            _ => false,
        })
    })
}

fn is_metadata(tree: &Tree) -> bool {
    tree.members().is_some_and(|members| members.iter().all(|(_, value)| value.text().is_some()))
}

fn is_client(tree: &Tree) -> bool {
    let is_ip = |value: &Tree| value.text().is_some_and(|text| text.parse::<IpAddr>().is_ok());
    tree.members().is_some_and(|members| {
        members.iter().all(|(name, value)| name == "ip" && (value.is_null() || is_ip(value)))
    })
}

/// What is taken is what the JSON says.
fn issue(body: &[u8]) {
    let (Ok(issue), Ok(value)) = (json::read::<IssueBody<'_>>(body), serde_json::from_slice::<Value>(body))
    else {
        return;
    };
    assert_eq!(issue.recipient.as_deref(), value["recipient"].as_str());
    assert_eq!(issue.purpose.as_deref(), value["purpose"].as_str());
    assert_eq!(issue.locale.as_deref(), value["locale"].as_str());
    assert_eq!(issue.template.as_deref(), value["template"].as_str());
    assert_eq!(issue.nonce.as_deref(), value["nonce"].as_str());
    assert_eq!(issue.lifetime, value["lifetime"].as_u64());
    assert_eq!(issue.code_length.map(u64::from), value["code_length"].as_u64());
    assert_eq!(issue.client_ip().map(Ok), value["client"]["ip"].as_str().map(str::parse::<IpAddr>));
    let metadata = issue.metadata.as_ref().map(Metadata::canonical);
    let metadata = metadata.map(|text| serde_json::from_str::<Value>(&text).expect("canonical JSON"));
    assert_eq!(metadata.as_ref(), Some(&value["metadata"]).filter(|metadata| !metadata.is_null()));
    let secret = ["lifetime", "code_length", "template", "client"];
    assert_eq!(issue.needs_secret_key(), secret.iter().any(|member| !value[member].is_null()));
}

/// A batch is an array of 1 to 100 items, each as it was written. (One that can't be read harms no other.)
fn batch(body: &[u8]) {
    let items = json::items(body, 100, Malformed("too many"));
    let Ok(values) = serde_json::from_slice::<Vec<Value>>(body) else { return };
    assert_eq!(items.is_ok(), (1..=100).contains(&values.len()));
    let read = |item: &&RawValue| serde_json::from_str::<Value>(item.get()).expect("it was read before");
    assert!(items.iter().flatten().map(read).eq(values.into_iter().take(items.iter().flatten().count())));
}

fn canonical_text(body: &[u8], tree: Option<&Tree>) {
    let text = canonical::object(body);
    let has_one_reading = tree.is_some_and(|tree| tree.members().is_some() && tree.is_exact());
    assert_eq!(text.is_some(), has_one_reading);
    let (Some(text), Some(tree)) = (text, tree) else { return };
    assert_eq!(canonical::object(text.as_bytes()).as_ref(), Some(&text), "it is canonical");
    let value: Value = serde_json::from_str(&text).expect("canonical JSON");
    assert_eq!(value, tree.without_nulls());
}
