use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;

fn canon(text: &str) -> Option<String> {
    object(text.as_bytes()).map(|text| text.to_string())
}

#[test]
fn the_order_of_members_does_not_matter_and_the_values_do() {
    assert_eq!(canon(r#"{"b":1,"a":"x"}"#), canon(r#" {"a" : "x", "b":1, "c":null}"#));
    assert_ne!(canon(r#"{"b":1}"#), canon(r#"{"b":2}"#));
    assert_eq!(canon(r#"{"a":[null,{"b":null}]}"#).unwrap(), r#"{"a":[null,{}]}"#);
}

/// RFC 8785, 3.2.3, and the strings of 3.2.2.
#[test]
fn the_samples_of_rfc_8785_come_out_as_printed() {
    let sorting = r#"{"\u20ac":"Euro Sign","\r":"Carriage Return",
        "\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\ud83d\ude00":"Emoji: Grinning Face",
        "\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}"#;
    let sorted = concat!(
        "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",",
        "\"ö\":\"Latin Small Letter O With Diaeresis\",\"€\":\"Euro Sign\",",
        "\"😀\":\"Emoji: Grinning Face\",\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}"
    );
    assert_eq!(canon(sorting).unwrap(), sorted);
    let strings =
        r#"{"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"#;
    let written = r#"{"literals":[null,true,false],"string":"€$\u000f\nA'B\"\\\\\"/"}"#;
    assert_eq!(canon(strings).unwrap(), written);
}

#[test]
fn what_has_several_readings_has_no_canonical_form() {
    for text in [
        "[]",
        "null",
        "",
        r#"{"a":1.5}"#,
        r#"{"a":1.0}"#,
        r#"{"a":1e2}"#,
        r#"{"a":-0}"#,
        r#"{"a":18446744073709551616}"#,
        r#"{"a":1,"a":1}"#,
        r#"{"a":null,"a":1}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"{"m":{"a":"1","a":"2"}}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":1} x"#,
    ] {
        assert_eq!(canon(text), None, "{text}");
    }
    assert_eq!(canon(&format!("{{\"a\":{}", "[".repeat(8_000))), None);
}

/// A number that depends on a seed and a text: the same for the same, otherwise anything.
fn mixed(seed: u64, text: &str) -> u64 {
    text.bytes()
        .fold(seed | 1, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(29))
}

/// The value in one of its many spellings: members in any order, any escapes, any white space.
fn spelled(value: &Value, seed: u64) -> String {
    let space = ["", " ", "\n", "\t\r "][(seed % 4) as usize];
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| mixed(seed, name));
            let each = members.into_iter().map(|(name, value)| {
                let below = mixed(seed, name);
                format!("{space}{}{space}:{}", spelled_text(name, below), spelled(value, below))
            });
            format!("{{{}{space}}}", each.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => {
            let each = items.iter().map(|item| format!("{space}{}", spelled(item, seed.rotate_left(7))));
            format!("[{}{space}]", each.collect::<Vec<_>>().join(","))
        }
        Value::String(text) => spelled_text(text, seed),
        scalar => format!("{space}{scalar}{space}"),
    }
}

fn spelled_text(text: &str, seed: u64) -> String {
    let mut out = String::from("\"");
    for (at, c) in text.chars().enumerate() {
        let must = matches!(c, '"' | '\\') || u32::from(c) < 0x20;
        if must || (seed >> (at % 64)) & 1 == 1 {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04X}")));
        } else {
            out.push(c);
        }
    }
    out.push('"');
    out
}

fn nodes(value: &Value) -> usize {
    1 + match value {
        Value::Object(members) => members.values().map(nodes).sum(),
        Value::Array(items) => items.iter().map(nodes).sum::<usize>(),
        _ => 0,
    }
}

/// Changes the node that `left` counts down to.
fn change(value: &mut Value, left: &mut usize) {
    if *left == 0 {
        match value {
            Value::Null => *value = Value::from(0),
            Value::Bool(b) => *b = !*b,
            Value::Number(n) => *value = Value::from(n.as_u64().map_or(7, |n| n ^ 1)),
            Value::String(text) => text.push('x'),
            Value::Array(items) => items.push(Value::from(true)),
            Value::Object(members) => {
                let longest = members.keys().map(String::len).max().unwrap_or(0);
                members.insert("n".repeat(longest + 1), Value::from(true));
            }
        }
    }
    *left = left.wrapping_sub(1);
    match value {
        Value::Object(members) => members.values_mut().for_each(|value| change(value, left)),
        Value::Array(items) => items.iter_mut().for_each(|item| change(item, left)),
        _ => {}
    }
}

/// Objects of anything a request could hold. `null` only in arrays, where it is a value.
fn objects() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (i64::MIN..0).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(Value::Array(vec![Value::Null])),
    ];
    let members = |inner| {
        proptest::collection::btree_map(any::<String>(), inner, 0..5)
            .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>()))
    };
    let tree = leaf.prop_recursive(4, 32, 5, move |inner| {
        prop_oneof![proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::Array), members(inner)]
    });
    members(tree.boxed())
}

proptest! {
    #[test]
    fn every_spelling_of_a_value_has_one_text(value in objects(), one in any::<u64>(), other in any::<u64>()) {
        let text = canon(&spelled(&value, one));
        prop_assert!(text.is_some());
        prop_assert_eq!(&text, &canon(&spelled(&value, other)));
        let back: Value = serde_json::from_str(&text.unwrap()).unwrap();
        prop_assert_eq!(back, value);
    }

    #[test]
    fn any_change_to_a_value_changes_its_text(value in objects(), seed in any::<u64>(), which in any::<prop::sample::Index>()) {
        let mut changed = value.clone();
        change(&mut changed, &mut which.index(nodes(&value)));
        prop_assert_ne!(canon(&spelled(&value, seed)), canon(&spelled(&changed, seed)));
    }
}
