//! A slab of records, each with at most one scheduled visit.
//!
//! ```text
//!   chunks ─▶ [ place │ place │ … 256 ]          value + link {prev, next, due, list} = T + 16 B
//!                 ▲ ▲──────┘
//!   heads  ─▶ 1,024 seconds, eight lists each; a record is in one of them, or in none
//! ```
//!
//! Visits free memory and decide nothing: expiry is decided at read. A visit further away than one
//! turn of the wheel waits in the last second and is then listed again. The lists are threaded
//! through the places themselves, so a flood of issues leaves no allocation behind. Chunks never
//! move, so growing copies no secret and needs no second table beside the first. Walking a list
//! waits for memory at each step, so each second has several lists, which are walked in turn to
//! overlap the waits. For the same reason, empty places are kept in a stack of their own, not in a
//! chain.

use crate::clock::Moment;

const CHUNK: usize = 256;
const SLOTS: u64 = 1_024; // one turn is 17 minutes, longer than any code lives
const SLOT_MILLIS: u64 = 1_000;
/// Lists per slot.
const WAYS: u64 = 8;
const NONE: u32 = u32::MAX;
const UNLISTED: u16 = u16::MAX;

/// Bytes of a place besides its value.
pub(crate) const LINK_BYTES: usize = size_of::<Link>();

#[derive(Clone, Copy)]
struct Link {
    prev: u32,
    next: u32,
    /// The second in which the visit is due. A `u32` of seconds is 136 years.
    due: u32,
    /// The head that leads here.
    list: u16,
}

const UNLINKED: Link = Link { prev: NONE, next: NONE, due: 0, list: UNLISTED };

struct Entry<T> {
    value: Option<T>,
    link: Link,
}

/// Records by place. Owned by the table that indexes their names.
pub(crate) struct Records<T> {
    chunks: Vec<Vec<Entry<T>>>,
    /// First record of each list of each slot; 32 KiB.
    heads: Box<[u32]>,
    /// The slot being emptied, counted from the start of time.
    cursor: u64,
    /// The empty places, used from the end; 4 B each, 8 just after it has grown.
    free: Vec<u32>,
    len: usize,
}

/// One of the lists of a second; `second` counts from time zero.
fn list_of(second: u64, way: u64) -> usize {
    ((second % SLOTS) * WAYS + way) as usize
}

impl<T> Default for Records<T> {
    fn default() -> Self {
        let heads = vec![NONE; (SLOTS * WAYS) as usize].into_boxed_slice();
        Self { chunks: Vec::new(), heads, cursor: 0, free: Vec::new(), len: 0 }
    }
}

impl<T> Records<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Places ever used: walking `0..places()` visits every record.
    pub(crate) fn places(&self) -> u32 {
        self.chunks.last().map_or(0, |last| ((self.chunks.len() - 1) * CHUNK + last.len()) as u32)
    }

    /// Bytes of the places, in use or empty. Empty places are reused, never freed.
    pub(crate) fn bytes(&self) -> usize {
        self.places() as usize * size_of::<Entry<T>>() + self.free.capacity() * size_of::<u32>()
    }

    pub(crate) fn get(&self, at: u32) -> Option<&T> {
        self.place(at)?.value.as_ref()
    }

    pub(crate) fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.place_mut(at)?.value.as_mut()
    }

    /// Prefetches a place; see [`crate::shard::touch`] for this and the following.
    pub(crate) fn touch(&self, at: u32) -> u64 {
        self.place(at).map_or(0, |place| u64::from(place.value.is_some()) ^ u64::from(place.link.due))
    }

    /// Prefetches the places of the next `records` inserts.
    pub(crate) fn touch_free(&self, records: usize) -> u64 {
        self.free.iter().rev().take(records).fold(0, |sum, &at| sum ^ self.touch(at))
    }

    pub(crate) fn insert(&mut self, value: T) -> u32 {
        self.len += 1;
        let place = Entry { value: Some(value), link: UNLINKED };
        if let Some(at) = self.free.pop()
            && let Some(free) = self.place_mut(at)
        {
            *free = place;
            return at;
        }
        match self.chunks.last_mut() {
            Some(last) if last.len() < CHUNK => last.push(place),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(place);
                self.chunks.push(chunk);
            }
        }
        self.places() - 1
    }

    pub(crate) fn remove(&mut self, at: u32) -> Option<T> {
        let value = self.place_mut(at)?.value.take()?;
        self.unlist(at);
        self.free.push(at);
        self.len -= 1;
        Some(value)
    }

    /// Schedules a visit of the record at `at` in the second after `due`, replacing any other.
    pub(crate) fn schedule(&mut self, at: u32, due: Moment) {
        self.unlist(at);
        let second = (due.as_millis() / SLOT_MILLIS + 1).min(u64::from(u32::MAX));
        self.list(at, second as u32);
    }

    /// Like [`Records::schedule`], unless an earlier visit is planned.
    pub(crate) fn schedule_by(&mut self, at: u32, due: Moment) {
        let second = due.as_millis() / SLOT_MILLIS + 1;
        let planned = self.place(at).filter(|p| p.link.list != UNLISTED).map(|p| u64::from(p.link.due));
        if planned.is_none_or(|planned| planned > second) {
            self.schedule(at, due);
        }
    }

    /// Like [`Records::schedule`], unless any visit is planned.
    pub(crate) fn schedule_once(&mut self, at: u32, due: Moment) {
        if self.place(at).is_some_and(|place| place.link.list == UNLISTED) {
            self.schedule(at, due);
        }
    }

    /// The next records that are due, at most `most`; they have no scheduled visit any more.
    pub(crate) fn take_due(&mut self, now: Moment, most: usize, due: &mut Vec<u32>) {
        due.clear();
        let tick = now.as_millis() / SLOT_MILLIS;
        // After a long pause one turn covers every list; further turns would find them empty.
        self.cursor = self.cursor.max(tick.saturating_sub(SLOTS));
        loop {
            let before = due.len();
            for way in 0..WAYS {
                if due.len() == most {
                    return;
                }
                due.extend(self.next_due(way, tick));
            }
            if due.len() == before {
                if self.cursor >= tick {
                    return;
                }
                self.cursor += 1;
            }
        }
    }

    /// The next record of one list of the slot at the cursor.
    fn next_due(&mut self, way: u64, tick: u64) -> Option<u32> {
        loop {
            let at = self.heads[list_of(self.cursor, way)];
            let due = self.place(at)?.link.due;
            self.unlist(at);
            if u64::from(due) <= tick {
                return Some(at);
            }
            self.list(at, due);
        }
    }

    fn list(&mut self, at: u32, due: u32) {
        let tick = u64::from(due).clamp(self.cursor + 1, self.cursor + SLOTS - 1);
        let list = list_of(tick, u64::from(at) % WAYS);
        let next = std::mem::replace(&mut self.heads[list], at);
        if let Some(after) = self.place_mut(next) {
            after.link.prev = at;
        }
        if let Some(place) = self.place_mut(at) {
            place.link = Link { prev: NONE, next, due, list: list as u16 };
        }
    }

    fn unlist(&mut self, at: u32) {
        let Some(place) = self.place_mut(at) else { return };
        let Link { prev, next, list, .. } = std::mem::replace(&mut place.link, UNLINKED);
        if list == UNLISTED {
            return;
        }
        match self.place_mut(prev) {
            Some(before) => before.link.next = next,
            None => self.heads[usize::from(list)] = next,
        }
        if let Some(after) = self.place_mut(next) {
            after.link.prev = prev;
        }
    }

    fn place(&self, at: u32) -> Option<&Entry<T>> {
        self.chunks.get(at as usize / CHUNK)?.get(at as usize % CHUNK)
    }

    fn place_mut(&mut self, at: u32) -> Option<&mut Entry<T>> {
        self.chunks.get_mut(at as usize / CHUNK)?.get_mut(at as usize % CHUNK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Seeded;
    use std::collections::BTreeMap;

    #[test]
    fn every_appointment_is_kept_once_not_early_and_at_most_a_slot_late() {
        let mut random = Seeded::new(4);
        let mut records = Records::default();
        let mut due: BTreeMap<u32, u64> = BTreeMap::new();
        let mut now = 0u64;
        let (mut visits, mut taken) = (0, Vec::new());
        for n in 0..60_000u64 {
            let moment = now + random.below(3_000_000);
            let some = due.keys().nth(random.below(due.len().max(1) as u64) as usize).copied();
            match (random.below(9), some) {
                (0..3, _) => {
                    let at = records.insert(n);
                    records.schedule(at, Moment::from_millis(moment));
                    assert_eq!(due.insert(at, moment), None, "a place in use was given away");
                }
                (3, Some(at)) => {
                    records.schedule(at, Moment::from_millis(moment));
                    due.insert(at, moment);
                }
                (4, Some(at)) => {
                    records.schedule_by(at, Moment::from_millis(moment));
                    due.entry(at)
                        .and_modify(|due| *due = if moment / 1_000 < *due / 1_000 { moment } else { *due });
                }
                (5, Some(at)) => {
                    assert!(records.remove(at).is_some() && records.get(at).is_none());
                    due.remove(&at);
                }
                _ => now += random.below(8_000),
            }
            loop {
                records.take_due(Moment::from_millis(now), 1 + n as usize % 7, &mut taken);
                if taken.is_empty() {
                    break;
                }
                for &at in &taken {
                    let moment = due.remove(&at).unwrap();
                    assert!(moment <= now);
                    records.remove(at).unwrap();
                    visits += 1;
                }
            }
            assert!(due.values().all(|moment| moment + 2 * SLOT_MILLIS > now), "a visit was forgotten");
            assert_eq!(records.len(), due.len());
        }
        assert!(visits > 5_000 && records.places() < 20_000, "{visits} visits, {} places", records.places());
    }
}
