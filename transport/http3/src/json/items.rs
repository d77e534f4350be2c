//! A batch: a JSON array whose items are read one by one later, so that a bad one harms no other.

use serde::de::{DeserializeSeed, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Malformed;

/// The items of a batch, not parsed yet: at most `most` of them, or the error `too_many`.
///
/// An empty batch is most likely a bug of the caller, so it is refused like one that is too long,
/// as other batch APIs do.
///
/// # Errors
/// The body is no JSON array, or has none or too many items.
pub fn items(body: &[u8], most: usize, too_many: Malformed) -> Result<Vec<&RawValue>, Malformed> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    if first != Some(&b'[') {
        return Err(Malformed("the body is not a JSON array"));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let items = Items { most }.deserialize(&mut json).and_then(|items| json.end().map(|()| items));
    let items = items.map_err(|_| Malformed("the body is not JSON"))?;
    match items.len() {
        0 => Err(Malformed("a batch has at least one item")),
        held if held <= most => Ok(items),
        _ => Err(too_many),
    }
}

struct Items {
    most: usize,
}

impl<'de> DeserializeSeed<'de> for Items {
    type Value = Vec<&'de RawValue>;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Items {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array")
    }

    /// Keeps one item more than allowed, as a sign that there are too many; the rest is skipped.
    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while items.len() <= self.most {
            match array.next_element()? {
                Some(item) => items.push(item),
                None => return Ok(items),
            }
        }
        while array.next_element::<IgnoredAny>()?.is_some() {}
        Ok(items)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TOO_MANY: Malformed = Malformed("a batch has at most 100 items");

    fn read(body: &[u8]) -> Result<Vec<&RawValue>, Malformed> {
        items(body, 100, TOO_MANY)
    }

    fn detail(body: &str) -> &'static str {
        read(body.as_bytes()).unwrap_err().0
    }

    #[test]
    fn items_come_in_order_and_unread() {
        let items = read(br#" [ {"recipient":1}, 5, [["x"]] ,null ] "#).unwrap();
        let texts: Vec<&str> = items.iter().map(|item| item.get()).collect();
        assert_eq!(texts, [r#"{"recipient":1}"#, "5", r#"[["x"]]"#, "null"]);
    }

    #[test]
    fn a_hundred_items_are_a_batch_and_one_more_is_none() {
        let batch = |count: usize| format!("[{}]", vec!["{}"; count].join(","));
        assert_eq!(read(batch(100).as_bytes()).unwrap().len(), 100);
        for count in [101, 102, 2_000] {
            assert_eq!(detail(&batch(count)), TOO_MANY.0);
        }
        assert_eq!(detail("[]"), "a batch has at least one item");
    }

    #[test]
    fn what_is_no_array_is_no_batch() {
        for body in ["", "{}", "\"x\"", "null", r#"{"recipient":"a@b.org"}"#] {
            assert_eq!(detail(body), "the body is not a JSON array", "{body}");
        }
        let deep = "[".repeat(8_000);
        for body in ["[", "[{}", "[{},]", "[{}] x", "[{}]]", "[{\"a\":}]", "[\"\u{0}\"]", &deep] {
            assert_eq!(detail(body), "the body is not JSON", "{body}");
        }
        assert!(read(b"[\"\xff\"]").is_err());
    }
}
