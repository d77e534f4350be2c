//! The strikes of evicted networks: a table of fixed size.
//!
//! ```text
//!   keyed hash ─▶ bucket ─▶ │ tag, count │ time of the latest │ spans back to the four before │ × 4
//! ```
//!
//! A full peer table evicts the record with the fewest requests, records with strikes last. The
//! strikes of an evicted record are kept here, without the windows, and restored when the network
//! has a record again. So filling the table with struck networks neither refuses newcomers nor
//! erases strikes.
//!
//! In a full bucket, the cell to replace is one that no longer counts, else the one with the fewest
//! strikes, else the oldest; the new entry is itself a candidate. So many networks with one strike
//! each only replace each other.
//!
//! Nobody is banned earlier because of this table. Spans are kept in units of 1/65,536 of the
//! longest window of `bans.strikes` and rounded up, so a restored strike is as old as it was or a
//! little older. Only [`RECENT`] times are kept; further strikes get the time of the oldest of
//! these. Latches are not kept: all are taken to have closed with the latest strike. The
//! probability that a network is confused with one of another is 4 in 2³².

use crate::clock::Moment;
use crate::limits::FORGOTTEN_CELL_BYTES;
use crate::rules::limit::Limits;
use crate::rules::strike::{Kept, RECENT};

const WAYS: usize = 4;
/// Tag and count; the time of the latest strike in milliseconds; spans. All zero if empty. Plain
/// integers, so that a zeroed table costs no memory until it is written to.
type Cell = [u64; 3];

const _: () = assert!(size_of::<Cell>() == FORGOTTEN_CELL_BYTES);

/// Strikes without a record. Owned by the peer table.
#[derive(Default)]
pub(crate) struct ForgottenStrikes {
    /// Allocated with the first strike to keep, which most processes never see.
    cells: Vec<Cell>,
}

impl ForgottenStrikes {
    /// Keeps the strikes of the network with this hash, if there is room for them in `capacity`
    /// cells.
    pub(crate) fn keep(&mut self, hash: u64, kept: &Kept, capacity: usize, rule: Limits<'_>, now: Moment) {
        if self.cells.is_empty() {
            self.cells = vec![[0; 3]; capacity / WAYS * WAYS];
        }
        let Some(bucket) = self.bucket(hash) else { return };
        let rank = |cell: &Cell| match counts(cell, rule, now) {
            true => (count(cell), cell[1]),
            false => (0, 0),
        };
        let own = pack(hash, kept, rule);
        if let Some(least) = bucket.iter_mut().min_by_key(|cell| rank(cell))
            && rank(least) < rank(&own)
        {
            *least = own;
        }
    }

    /// Removes and returns the strikes kept of this network.
    pub(crate) fn take(&mut self, hash: u64, rule: Limits<'_>, now: Moment) -> Option<Kept> {
        let is_meant = |cell: &&mut Cell| count(cell) > 0 && tag(cell[0]) == tag(hash);
        let cell = std::mem::take(self.bucket(hash)?.iter_mut().find(is_meant)?);
        counts(&cell, rule, now).then(|| unpack(&cell, rule))
    }

    /// The table's bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.cells.len() * FORGOTTEN_CELL_BYTES
    }

    fn bucket(&mut self, hash: u64) -> Option<&mut [Cell]> {
        let buckets = (self.cells.len() / WAYS) as u64;
        let at = (((hash & COUNT) * buckets) >> 32) as usize * WAYS;
        self.cells.get_mut(at..at + WAYS)
    }
}

/// The lower half of a cell's first word is the count; the upper half is the hash's.
const COUNT: u64 = u32::MAX as u64;

fn tag(hash: u64) -> u64 {
    hash & !COUNT
}

fn count(cell: &Cell) -> u32 {
    (cell[0] & COUNT) as u32
}

/// Whether the cell's latest strike still counts.
fn counts(cell: &Cell, rule: Limits<'_>, now: Moment) -> bool {
    count(cell) > 0 && Moment::from_millis(cell[1]).plus(rule.longest()) > now
}

/// The unit of the spans, in milliseconds times 65,536.
fn unit(rule: Limits<'_>) -> u128 {
    u128::from(Moment::default().plus(rule.longest()).as_millis()).max(1)
}

fn pack(hash: u64, kept: &Kept, rule: Limits<'_>) -> Cell {
    let latest = kept.recent[0].as_millis();
    let spans = kept.recent[1..].iter().rev().fold(0, |spans, at| {
        let span = u128::from(latest.saturating_sub(at.as_millis()));
        let units = (span << 16).div_ceil(unit(rule));
        (spans << 16) | u64::from(u16::try_from(units).unwrap_or(u16::MAX))
    });
    [tag(hash) | u64::from(kept.count), latest, spans]
}

fn unpack(cell: &Cell, rule: Limits<'_>) -> Kept {
    let [_, latest, mut spans] = *cell;
    let mut recent = [Moment::from_millis(latest); RECENT];
    for at in &mut recent[1..] {
        let span = (u128::from(spans & 0xffff) * unit(rule)).div_ceil(1 << 16);
        *at = Moment::from_millis(latest.saturating_sub(u64::try_from(span).unwrap_or(u64::MAX)));
        spans >>= 16;
    }
    Kept { count: count(cell), recent }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::limits::Limit;
    use crate::rules::limit::Windows;
    use crate::testing::Seeded;

    fn at(second: u64) -> Moment {
        Moment::from_millis(second * 1_000)
    }

    /// `count` strikes at one moment.
    fn kept(count: u32, second: u64) -> Kept {
        Kept { count, recent: [at(second); RECENT] }
    }

    #[test]
    fn what_was_kept_is_given_back_once_while_it_counts() {
        let windows = Windows::from(&[Limit { count: 5, window: Duration::from_secs(600) }][..]);
        let rule = windows.limits();
        let mut forgotten = ForgottenStrikes::default();
        assert_eq!(forgotten.take(7 << 32, rule, at(0)), None);
        forgotten.keep(7 << 32, &kept(4, 10), 64, rule, at(20));
        assert_eq!(forgotten.take(8 << 32, rule, at(20)), None, "another network");
        assert_eq!(forgotten.take(7 << 32, rule, at(609)), Some(kept(4, 10)));
        assert_eq!(forgotten.take(7 << 32, rule, at(609)), None);
        forgotten.keep(7 << 32, &kept(4, 10), 64, rule, at(20));
        assert_eq!(forgotten.take(7 << 32, rule, at(610)), None, "they count no more");
        assert_eq!(forgotten.bytes(), 64 * FORGOTTEN_CELL_BYTES);
    }

    #[test]
    fn a_strike_comes_back_as_old_as_it_was_and_never_younger() {
        let windows = Windows::from(&[Limit { count: 5, window: Duration::from_secs(600) }][..]);
        let (rule, mut random) = (windows.limits(), Seeded::new(6));
        for n in 0..1_000 {
            let mut recent = [at(10_000); RECENT];
            for nth in 1..RECENT {
                recent[nth] = Moment::from_millis(recent[nth - 1].as_millis() - random.below(140_000));
            }
            let mut forgotten = ForgottenStrikes::default();
            let kept = Kept { count: 5 + n % 3, recent };
            forgotten.keep(random.draw() | 1, &kept, 64, rule, at(10_000));
            let hash = tag(forgotten.cells.iter().find(|cell| count(cell) > 0).unwrap()[0]);
            forgotten.cells.sort_unstable_by_key(|cell| count(cell) == 0);
            let back = forgotten.take(hash, rule, at(10_000)).unwrap();
            assert_eq!((back.count, back.recent[0]), (kept.count, recent[0]));
            for (back, own) in back.recent.iter().zip(recent) {
                let older = own.as_millis() - back.as_millis();
                assert!(older <= 11, "{older} ms");
            }
        }
    }

    #[test]
    fn a_full_table_forgets_the_fewest_and_oldest_and_noise_launders_nothing() {
        let windows = Windows::from(&[Limit { count: 5, window: Duration::from_secs(600) }][..]);
        let (rule, mut random) = (windows.limits(), Seeded::new(5));
        let mut forgotten = ForgottenStrikes::default();
        let villains: Vec<u64> = (0..8).map(|_| random.draw()).collect();
        for &villain in &villains {
            forgotten.keep(villain, &kept(4, 0), 1_024, rule, at(0));
        }
        for n in 0..1_000_000 {
            forgotten.keep(random.draw(), &kept(1 + n % 3, 100), 1_024, rule, at(100));
        }
        for &villain in &villains {
            assert_eq!(forgotten.take(villain, rule, at(599)), Some(kept(4, 0)));
        }
        // Old strikes are replaced first.
        forgotten.keep(villains[0], &kept(4, 0), 1_024, rule, at(100));
        for _ in 0..100_000 {
            forgotten.keep(random.draw(), &kept(1, 700), 1_024, rule, at(700));
        }
        assert!(forgotten.cells.iter().all(|cell| count(cell) < 4));
    }

    #[test]
    fn without_any_room_everything_is_forgotten() {
        let windows = Windows::from(&[Limit { count: 5, window: Duration::from_secs(600) }][..]);
        let mut forgotten = ForgottenStrikes::default();
        for capacity in [0, 3] {
            forgotten.keep(1, &kept(4, 0), capacity, windows.limits(), at(0));
            assert_eq!(forgotten.take(1, windows.limits(), at(0)), None);
        }
    }
}
