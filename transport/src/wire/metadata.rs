//! The caller's own notes on a verification: a flat object of strings, kept as canonical JSON.

use std::collections::BTreeMap;

use authepy_engine::limits::{METADATA_BYTES, METADATA_MEMBERS};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

/// Members in order, none twice.
pub(crate) struct Metadata(BTreeMap<String, String>);

impl Metadata {
    /// One JSON text for the same members in any order.
    pub(crate) fn canonical(&self) -> Box<str> {
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
        let (mut map, mut bytes) = (BTreeMap::new(), 0);
        while let Some((name, value)) = members.next_entry::<String, String>()? {
            bytes += name.len() + value.len();
            let fits = bytes <= METADATA_BYTES && map.len() < METADATA_MEMBERS;
            if !fits || map.insert(name, value).is_some() {
                return Err(A::Error::custom("too much, or a member twice"));
            }
        }
        Ok(Metadata(map))
    }
}
