//! A batch: a JSON array whose items are read one by one later, so that a bad one harms no other.

use serde::de::{Deserializer as _, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::limits::BATCH_ITEMS;
use crate::reply::Problem;

/// The items of a batch, unread. An empty batch asks for nothing and is most likely a caller's bug, so it
/// is refused like one that is too long, as batch interfaces in the field do.
pub(crate) fn items(body: &[u8]) -> Result<Vec<&RawValue>, Problem> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    if first != Some(&b'[') {
        return Err(Problem::MalformedRequest("the body is not a JSON array"));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let items = json.deserialize_seq(ItemsVisitor).and_then(|items| json.end().map(|()| items));
    let items = items.map_err(|_| Problem::MalformedRequest("the body is not JSON"))?;
    match items.len() {
        0 => Err(Problem::MalformedRequest("a batch has at least one item")),
        1..=BATCH_ITEMS => Ok(items),
        _ => Err(Problem::MalformedRequest("a batch has at most 100 items")),
    }
}

struct ItemsVisitor;

impl<'de> Visitor<'de> for ItemsVisitor {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array")
    }

    /// Keeps one item too many to tell that there are too many; what follows is only read over.
    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while items.len() <= BATCH_ITEMS {
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
mod tests {
    use super::*;

    fn detail(body: &str) -> &'static str {
        match items(body.as_bytes()) {
            Err(Problem::MalformedRequest(detail)) => detail,
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn items_come_in_order_and_unread() {
        let items = items(br#" [ {"recipient":1}, 5, [["x"]] ,null ] "#).unwrap();
        let texts: Vec<&str> = items.iter().map(|item| item.get()).collect();
        assert_eq!(texts, [r#"{"recipient":1}"#, "5", r#"[["x"]]"#, "null"]);
    }

    #[test]
    fn a_hundred_items_are_a_batch_and_one_more_is_none() {
        let batch = |count: usize| format!("[{}]", vec!["{}"; count].join(","));
        assert_eq!(items(batch(100).as_bytes()).unwrap().len(), 100);
        for count in [101, 102, 2_000] {
            assert_eq!(detail(&batch(count)), "a batch has at most 100 items");
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
        assert!(items(b"[\"\xff\"]").is_err());
    }
}
