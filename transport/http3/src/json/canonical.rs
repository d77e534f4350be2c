//! Canonical JSON, independent of the order of members: RFC 8785 for what requests contain.
//!
//! Members with the value `null` are left out, because the contract treats them as absent. Two
//! values have the same canonical form only if every implementation reads them as equal. So
//! ambiguous input has none: an object with a repeated member, and any number except an integer of
//! 64 bits (no member takes other numbers, and RFC 8785 would round them to doubles).

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use zeroize::Zeroizing;

/// The canonical text of an object. `None` for anything that is no object or has no canonical form.
#[must_use]
pub fn object(json: &[u8]) -> Option<Zeroizing<String>> {
    let Node::Object(members) = serde_json::from_slice(json).ok()? else { return None };
    // A string grows by escapes sixfold at most; sized first, it never moves and leaves no copy.
    let mut out = Zeroizing::new(String::with_capacity(6 * json.len()));
    write_object(&members, &mut out)?;
    Some(out)
}

/// An unambiguous value. Texts are wiped: one of them is an address, another a code.
enum Node {
    Null,
    /// `true`, `false`, or an integer, as JSON spells it.
    Literal(String),
    Text(Zeroizing<String>),
    Array(Vec<Self>),
    /// Sorted by UTF-16 code units, which differs from UTF-8 order above U+FFFF (3.2.3).
    Object(Vec<(Zeroizing<String>, Self)>),
}

fn write(node: &Node, out: &mut String) -> Option<()> {
    match node {
        Node::Null => out.push_str("null"),
        Node::Literal(text) => out.push_str(text),
        Node::Text(text) => write_text(text, out)?,
        Node::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(item, out)?;
            }
            out.push(']');
        }
        Node::Object(members) => write_object(members, out)?,
    }
    Some(())
}

fn write_object(members: &[(Zeroizing<String>, Node)], out: &mut String) -> Option<()> {
    out.push('{');
    let present = members.iter().filter(|(_, node)| !matches!(node, Node::Null));
    for (at, (name, node)) in present.enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_text(name, out)?;
        out.push(':');
        write(node, out)?;
    }
    out.push('}');
    Some(())
}

/// serde_json escapes as 3.2.2.2 asks: the short forms, else `\u00xx` in lower case.
fn write_text(text: &str, out: &mut String) -> Option<()> {
    out.push_str(&Zeroizing::new(serde_json::to_string(text).ok()?));
    Some(())
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without fractions")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Literal(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Literal(value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Literal(value.to_string()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(Zeroizing::new(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Node::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
        let mut all: Vec<(Zeroizing<String>, Node)> = Vec::new();
        while let Some((name, node)) = members.next_entry::<String, Node>()? {
            all.push((Zeroizing::new(name), node));
        }
        all.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
        if all.windows(2).any(|pair| matches!(pair, [(a, _), (b, _)] if a == b)) {
            return Err(A::Error::custom("a member twice"));
        }
        Ok(Node::Object(all))
    }
}

#[cfg(test)]
mod tests;
