//! A set of names in one blob: about 8 bytes per entry in addition to the text.

use ahash::RandomState;
use hashbrown::HashTable;
use std::fmt;

/// An immutable set of domain names.
pub(super) struct DomainSet {
    /// Each name, preceded by one octet with its length (a domain has at most 253).
    blob: Box<[u8]>,
    /// Start of each name in `blob`; 32 bits suffice for [`MAX_BYTES`](super::MAX_BYTES).
    starts: HashTable<u32>,
    hasher: RandomState,
}

impl DomainSet {
    /// The set of `names`. A name over 255 octets or beyond 4 GiB is left out; the limits of the
    /// reader prevent both.
    pub(super) fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let hasher = RandomState::new();
        let mut blob = Vec::new();
        let mut starts = HashTable::new();
        for name in names {
            let hash = hasher.hash_one(name.as_bytes());
            let known = starts.find(hash, |&at| name_at(&blob, at) == name.as_bytes()).is_some();
            let (Ok(start), Ok(len)) = (u32::try_from(blob.len()), u8::try_from(name.len())) else {
                continue;
            };
            if !known {
                blob.push(len);
                blob.extend_from_slice(name.as_bytes());
                starts.insert_unique(hash, start, |&at| hasher.hash_one(name_at(&blob, at)));
            }
        }
        starts.shrink_to_fit(|&at| hasher.hash_one(name_at(&blob, at)));
        Self { blob: blob.into_boxed_slice(), starts, hasher }
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        let name = name.as_bytes();
        // Most operator lists are empty: skip the hash.
        !self.starts.is_empty()
            && self.starts.find(self.hasher.hash_one(name), |&at| name_at(&self.blob, at) == name).is_some()
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// Bytes on the heap.
    pub(super) fn memory(&self) -> usize {
        self.blob.len() + self.starts.allocation_size()
    }
}

fn name_at(blob: &[u8], start: u32) -> &[u8] {
    let rest = blob.get(start as usize..).unwrap_or_default();
    rest.split_first().and_then(|(&len, names)| names.get(..usize::from(len))).unwrap_or_default()
}

impl fmt::Debug for DomainSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DomainSet({})", self.len())
    }
}
