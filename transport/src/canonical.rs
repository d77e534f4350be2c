//! One text for one JSON value, whatever the order of its members: RFC 8785 for what requests contain.
//!
//! Members whose value is `null` are left out, because the contract reads them as absent. Numbers are
//! integers here (no member takes a fraction); anything else has no canonical form.

use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// The canonical text of an object. `None` for anything that is no object or has no canonical form.
pub(crate) fn object(json: &[u8]) -> Option<Zeroizing<String>> {
    let Value::Object(members) = serde_json::from_slice(json).ok()? else { return None };
    // A string grows by escapes sixfold at most; sized first, it never moves and leaves no copy.
    let mut out = Zeroizing::new(String::with_capacity(6 * json.len()));
    write_object(&members, &mut out)?;
    Some(out)
}

fn write(value: &Value, out: &mut String) -> Option<()> {
    match value {
        Value::Object(members) => write_object(members, out)?,
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(item, out)?;
            }
            out.push(']');
        }
        Value::Number(number) if !(number.is_u64() || number.is_i64()) => return None,
        // serde_json escapes as RFC 8785, 3.2.2.2 asks: the short forms, else \u00xx in lower case.
        scalar => out.push_str(&scalar.to_string()),
    }
    Some(())
}

fn write_object(members: &Map<String, Value>, out: &mut String) -> Option<()> {
    let mut sorted: Vec<_> = members.iter().filter(|(_, value)| !value.is_null()).collect();
    // RFC 8785, 3.2.3: by UTF-16 code units, which differ from UTF-8 order above U+FFFF.
    sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    out.push('{');
    for (at, (name, value)) in sorted.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(&Value::from(name.as_str()).to_string());
        out.push(':');
        write(value, out)?;
    }
    out.push('}');
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_members_does_not_matter_and_the_values_do() {
        let canon = |text: &str| object(text.as_bytes()).map(|text| text.to_string());
        assert_eq!(canon(r#"{"b":1,"a":"x"}"#), canon(r#" {"a" : "x", "b":1, "c":null}"#));
        assert_ne!(canon(r#"{"b":1}"#), canon(r#"{"b":2}"#));
        assert_eq!(
            canon(r#"{"\u20ac":1,"\r":2,"\ud83d\ude00":3,"\ufb33":4}"#).unwrap(),
            "{\"\\r\":2,\"€\":1,\"😀\":3,\"\u{fb33}\":4}"
        );
        assert_eq!(canon("[]"), None);
        assert_eq!(canon(r#"{"a":1.5}"#), None);
    }
}
