//! An index into records: maps a keyed hash of their name to their place.
//!
//! ```text
//!   slots, descending: │ 9,a │ 8,b │ 8,c │ 8,d │ 0 │ 4,e │ 0 │ …        one word: tag (32 bits), place + 1
//!                                              └ its home is two slots before, taken by larger words
//! ```
//!
//! Linear probing with sorted slots, the largest word first; the top bits of a tag determine its
//! home slot. A lookup, hit or miss, probes from its home slot until a word is not larger, which
//! nearly always happens within one cache line. Inserting and removing shift the words in between
//! by one. Resizing reads and writes sequentially and needs no record. An empty slot is zero, the
//! least word, which ends every probe. Removed words are overwritten. The names are stored once, in
//! the records; two names share a tag with a probability of one in millions, and then the record
//! decides.

/// Slots of the smallest table.
const SLOTS_MIN: usize = 16;
/// Slots after the last home, for words displaced beyond it; extended by the same number when they
/// run out.
const TAIL: usize = 48;

/// Maps hashes to places. Owned by the table that holds the records.
#[derive(Default)]
pub(crate) struct Index {
    /// Zero, or [`word`]; descending except for the zeros, with no zero between a word and its
    /// home.
    slots: Vec<u64>,
    /// The base-two logarithm of the number of homes.
    bits: u32,
    len: usize,
}

/// A place is never `u32::MAX`, so a word is never zero.
fn word(hash: u64, at: u32) -> u64 {
    floor(hash) + u64::from(at) + 1
}

/// Less than every word of this hash's tag, and greater than all words of smaller tags.
fn floor(hash: u64) -> u64 {
    hash >> 32 << 32
}

fn place(word: u64) -> u32 {
    (word as u32).wrapping_sub(1)
}

impl Index {
    /// Bytes in excess of the smallest table's.
    pub(crate) fn bytes(&self) -> usize {
        self.slots.len().saturating_sub(SLOTS_MIN + TAIL) * size_of::<u64>()
    }

    /// The place of the record with this hash that `is_meant` accepts.
    pub(crate) fn find(&self, hash: u64, is_meant: impl Fn(u32) -> bool) -> Option<u32> {
        let floor = floor(hash);
        let near = self.slots.get(self.home(hash)..)?.iter();
        let same =
            near.skip_while(|word| **word > floor + u64::from(u32::MAX)).take_while(|word| **word > floor);
        same.map(|word| place(*word)).find(|at| is_meant(*at))
    }

    /// Inserts a record. The caller knows that it is not there.
    pub(crate) fn insert(&mut self, hash: u64, at: u32) {
        if (self.len + 1) * 4 > (3 << self.bits) {
            self.resize((self.bits + 1).max(SLOTS_MIN.ilog2()));
        }
        self.len += 1;
        let (home, mut carried) = (self.home(hash), word(hash, at));
        // Keeps the larger word and carries the other on; without a branch, since it would be
        // unpredictable.
        for slot in &mut self.slots[home..] {
            (*slot, carried) = ((*slot).max(carried), (*slot).min(carried));
            if carried == 0 {
                return;
            }
        }
        self.lengthen(carried);
    }

    /// Removes the record at `at`. False if it is not there.
    pub(crate) fn remove(&mut self, hash: u64, at: u32) -> bool {
        let (home, meant) = (self.home(hash), word(hash, at));
        let near = self.slots.get(home..).unwrap_or_default();
        let Some(found) = near.iter().position(|word| *word <= meant).map(|nth| home + nth) else {
            return false;
        };
        if self.slots[found] != meant {
            return false;
        }
        // The following words that are not in their home slots move up by one; the last of them
        // frees its slot.
        let mut free = found;
        while let Some(&behind) = self.slots.get(free + 1)
            && behind != 0
            && self.home(behind) <= free
        {
            self.slots[free] = behind;
            free += 1;
        }
        self.slots[free] = 0;
        self.len -= 1;
        // At this load, half the homes are as full as a table that has just grown.
        if self.bits > SLOTS_MIN.ilog2() && self.len * 16 < (3 << self.bits) {
            self.resize(self.bits - 1);
        }
        true
    }

    /// The first place with this tag, which is probably the right one.
    pub(crate) fn probe(&self, hash: u64) -> Option<u32> {
        self.find(hash, |_| true)
    }

    /// Prefetches the home slot of this hash; see [`crate::shard::touch`].
    pub(crate) fn touch(&self, hash: u64) -> u64 {
        self.slots.get(self.home(hash)).copied().unwrap_or_default()
    }

    /// Appends a word after the last slot, and another tail.
    fn lengthen(&mut self, word: u64) {
        self.slots.reserve_exact(TAIL);
        self.slots.push(word);
        self.slots.resize(self.slots.len() + TAIL - 1, 0);
    }

    /// Doubles or halves the homes, sequentially in the old table and the new.
    fn resize(&mut self, bits: u32) {
        let slots = vec![0; (1 << bits) + TAIL];
        let old = std::mem::replace(&mut self.slots, slots);
        self.bits = bits;
        let mut free = 0;
        for word in old.into_iter().filter(|word| *word != 0) {
            let at = self.home(word).max(free);
            match self.slots.get_mut(at) {
                Some(slot) => *slot = word,
                None => self.lengthen(word),
            }
            free = at + 1;
        }
    }

    /// The largest tags have the first slots as home.
    fn home(&self, hash_or_word: u64) -> usize {
        (!hash_or_word >> 1 >> (63 - self.bits)) as usize
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::testing::Seeded;

    /// Descending, no zero between a word and its home, and `len` is right.
    fn assert_sound(index: &Index) {
        let words: Vec<_> = index.slots.iter().enumerate().filter(|(_, word)| **word != 0).collect();
        assert_eq!(words.len(), index.len);
        assert!(words.is_sorted_by(|(_, a), (_, b)| a > b));
        for (slot, word) in words {
            let home = index.home(*word);
            assert!(home <= slot && index.slots[home..slot].iter().all(|word| *word != 0));
        }
    }

    #[test]
    fn it_finds_what_a_map_finds() {
        let mut random = Seeded::new(7);
        // A narrow range makes many hashes share a tag, and all have the last slots as home.
        for spread in [10, 4_000, u64::MAX >> 32] {
            let (mut index, mut names) = (Index::default(), BTreeMap::new());
            for at in 0..20_000u32 {
                let hash = random.below(spread) << 32 | random.below(1 << 20);
                let some = names.keys().nth(random.below(names.len().max(1) as u64) as usize).copied();
                match (random.below(2), some) {
                    (1, Some(gone)) => assert!(index.remove(names.remove(&gone).unwrap(), gone)),
                    _ if names.len() == 300 => {}
                    _ => {
                        index.insert(hash, at);
                        names.insert(at, hash);
                    }
                }
                // Misses: a hash that is not in use, and a place that is not in use.
                assert_eq!(index.find(hash, |place| place == u32::MAX), None);
                assert!(!index.remove(hash, u32::MAX - 1));
                let found = |(at, hash): (&u32, &u64)| index.find(*hash, |place| place == *at) == Some(*at);
                assert!(names.iter().all(found));
                assert_eq!(index.len, names.len());
            }
            assert_sound(&index);
        }
    }

    #[test]
    fn a_table_that_only_grows_keeps_everything() {
        let mut random = Seeded::new(8);
        let mut index = Index::default();
        let hashes: Vec<u64> = (0..100_000).map(|_| random.below(u64::MAX)).collect();
        for (at, hash) in hashes.iter().enumerate() {
            index.insert(*hash, at as u32);
        }
        assert_sound(&index);
        for (at, hash) in hashes.iter().enumerate() {
            assert_eq!(index.find(*hash, |place| place == at as u32), Some(at as u32));
        }
        assert!(index.slots.len() <= 100_000 * 8 / 3 + TAIL, "{} slots", index.slots.len());
    }

    #[test]
    fn what_was_removed_has_left_no_word_behind() {
        let mut random = Seeded::new(9);
        let mut index = Index::default();
        let hashes: Vec<u64> = (0..1_000).map(|_| random.below(u64::MAX)).collect();
        hashes.iter().enumerate().for_each(|(at, hash)| index.insert(*hash, at as u32));
        hashes.iter().enumerate().for_each(|(at, hash)| assert!(index.remove(*hash, at as u32)));
        assert!(index.slots.iter().all(|word| *word == 0));
    }

    #[test]
    fn a_table_that_empties_gives_its_memory_back_and_keeps_the_rest() {
        let mut random = Seeded::new(10);
        let mut index = Index::default();
        let hashes: Vec<u64> = (0..50_000).map(|_| random.below(u64::MAX)).collect();
        hashes.iter().enumerate().for_each(|(at, hash)| index.insert(*hash, at as u32));
        for (at, hash) in hashes.iter().enumerate() {
            assert!(index.remove(*hash, at as u32));
            if at % 997 == 0 {
                assert_sound(&index);
                let left = index.len.max(SLOTS_MIN);
                assert!(index.slots.len() <= left * 16 / 3 + 2 * TAIL, "{} of {left}", index.slots.len());
                let rest = hashes.iter().enumerate().skip(at + 1).step_by(501);
                rest.for_each(|(at, hash)| {
                    assert_eq!(index.find(*hash, |place| place == at as u32), Some(at as u32));
                });
            }
        }
        assert_eq!(index.bytes(), 0);
    }

    #[test]
    fn an_empty_index_finds_nothing() {
        let mut index = Index::default();
        for hash in [0, u64::MAX] {
            assert_eq!((index.probe(hash), index.touch(hash)), (None, 0));
            assert!(!index.remove(hash, 3));
        }
        assert_eq!(index.len, 0);
    }
}
