//! The caller's own notes on a verification: a flat object of strings, kept as canonical JSON.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

/// Members in order, none twice. As long as the body at most.
pub struct Metadata(BTreeMap<String, String>);

impl Metadata {
    /// How many members there are.
    #[must_use]
    pub fn members(&self) -> usize {
        self.0.len()
    }

    /// Bytes of all names and values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len()).sum()
    }

    /// One JSON text for the same members in any order.
    #[must_use]
    pub fn canonical(&self) -> Box<str> {
        // A map of strings always serialises.
        serde_json::to_string(&self.0).unwrap_or_default().into()
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Metadata;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Metadata, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((name, value)) = members.next_entry::<String, String>()? {
            if map.insert(name, value).is_some() {
                return Err(A::Error::custom("a member twice"));
            }
        }
        Ok(Metadata(map))
    }
}
