//! A growable byte buffer for secrets: it overwrites what it gives back.
//!
//! `Vec` leaves a copy behind whenever it grows. This one wipes the old memory first, and wipes
//! what it drops, so an API key or a code lives in one place and then nowhere.

use std::fmt;

use zeroize::Zeroize;

/// Smallest allocation: below it, growth would cost more wipes than it saves bytes.
const MIN_CAPACITY_BYTES: usize = 64;

/// Bytes that are overwritten when cleared, moved by growth, or dropped.
#[derive(Default)]
pub struct Wiped {
    /// All of the memory; after the first `len` bytes there are only zeroes.
    memory: Vec<u8>,
    len: usize,
}

impl Wiped {
    /// An empty buffer without an allocation.
    pub const fn new() -> Self {
        Self { memory: Vec::new(), len: 0 }
    }

    /// An empty buffer with room for `bytes`.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { memory: vec![0; bytes], len: 0 }
    }

    /// The bytes held.
    pub fn as_slice(&self) -> &[u8] {
        &self.memory[..self.len]
    }

    /// How many bytes are held.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes of memory are in use.
    pub fn capacity(&self) -> usize {
        self.memory.len()
    }

    /// Adds `more` at the end.
    pub fn append(&mut self, more: &[u8]) {
        self.extend_zeroed(more.len()).copy_from_slice(more);
    }

    /// Adds a part of what is held at the end, without a copy elsewhere.
    pub fn append_own(&mut self, part: std::ops::Range<usize>) {
        let start = self.len;
        self.extend_zeroed(part.len());
        self.memory.copy_within(part, start);
    }

    /// Adds `bytes` zeroes at the end, for a decoder to write into.
    pub fn extend_zeroed(&mut self, bytes: usize) -> &mut [u8] {
        let start = self.len;
        let end = start.saturating_add(bytes);
        if end > self.memory.len() {
            // Powers of two, so a buffer bounded by one never takes more memory than its bound.
            self.move_to(end.next_power_of_two().max(MIN_CAPACITY_BYTES));
        }
        self.len = end;
        &mut self.memory[start..end]
    }

    /// Overwrites and drops everything after the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len {
            self.memory[len..self.len].zeroize();
            self.len = len;
        }
    }

    /// Overwrites everything; the (clean) memory is kept for the next use.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    #[cold]
    fn move_to(&mut self, capacity: usize) {
        let mut larger = vec![0; capacity];
        larger[..self.len].copy_from_slice(self.as_slice());
        self.memory[..self.len].zeroize();
        self.memory = larger;
    }

    /// What is in the memory after the bytes held.
    #[cfg(test)]
    pub(super) fn spare(&self) -> &[u8] {
        &self.memory[self.len..]
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.clear();
    }
}

impl fmt::Debug for Wiped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn growth_keeps_the_bytes_and_stays_within_a_power_of_two() {
        let mut buffer = Wiped::new();
        let all: Vec<u8> = (0..16_384u32).map(|n| n as u8).collect();
        for byte in &all {
            buffer.append(std::slice::from_ref(byte));
        }
        assert_eq!(buffer.as_slice(), all);
        assert_eq!(buffer.capacity(), 16_384);
        assert_eq!(Wiped::with_capacity(100).capacity(), 100);
        let mut exact = Wiped::with_capacity(MIN_CAPACITY_BYTES + 1);
        exact.append(&all[..=MIN_CAPACITY_BYTES]);
        assert_eq!(exact.capacity(), MIN_CAPACITY_BYTES + 1, "what fits moves nothing");
    }

    #[test]
    fn what_was_cut_off_or_cleared_is_gone_from_the_memory() {
        let mut buffer = Wiped::new();
        buffer.append(b"keep:ak_live_secret");
        buffer.truncate(5);
        assert_eq!(buffer.as_slice(), b"keep:");
        assert_eq!(buffer.spare(), [0; MIN_CAPACITY_BYTES - 5]);
        buffer.truncate(6); // nothing comes back
        assert_eq!(buffer.len(), 5);
        buffer.clear();
        assert!(buffer.is_empty());
        assert_eq!(buffer.spare(), [0; MIN_CAPACITY_BYTES]);
        assert_eq!(buffer.extend_zeroed(19), [0; 19]);
    }

    #[test]
    fn a_part_may_be_held_twice() {
        let mut buffer = Wiped::new();
        buffer.append(&[b'x'; MIN_CAPACITY_BYTES - 3]);
        buffer.append(b"abc");
        buffer.append_own(MIN_CAPACITY_BYTES - 3..MIN_CAPACITY_BYTES);
        assert_eq!(&buffer.as_slice()[MIN_CAPACITY_BYTES - 3..], b"abcabc");
    }

    #[test]
    fn debug_shows_a_length_only() {
        let mut buffer = Wiped::with_capacity(8);
        buffer.append(b"secret");
        assert_eq!(format!("{buffer:?}"), "6 bytes");
    }
}
