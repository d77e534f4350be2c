//! When to look at which record again: a wheel of one-second slots.
//!
//! The wheel frees memory and decides nothing: whether a code has expired is decided when it is read.
//! A visit further away than one turn of the wheel is put into the last slot and goes round again.

use crate::clock::Moment;

const SLOTS: u64 = 1_024; // one turn is 17 minutes, longer than any code lives
const SLOT_MILLIS: u64 = 1_000;

/// The appointments of one shard.
pub(super) struct Wheel {
    slots: Vec<Vec<(u32, Moment)>>,
    /// The slot being emptied, counted from the start of time.
    cursor: u64,
}

impl Default for Wheel {
    fn default() -> Self {
        Self { slots: (0..SLOTS).map(|_| Vec::new()).collect(), cursor: 0 }
    }
}

impl Wheel {
    /// Asks for a visit of the record at `at`, not before `due`.
    pub(super) fn schedule(&mut self, at: u32, due: Moment) {
        let wanted = due.as_millis() / SLOT_MILLIS + 1;
        let tick = wanted.clamp(self.cursor + 1, self.cursor + SLOTS - 1);
        self.slots[(tick % SLOTS) as usize].push((at, due));
    }

    /// The next visit that is due, with the moment it was scheduled for.
    pub(super) fn next(&mut self, now: Moment) -> Option<(u32, Moment)> {
        let tick = now.as_millis() / SLOT_MILLIS;
        loop {
            let slot = &mut self.slots[(self.cursor % SLOTS) as usize];
            match slot.pop() {
                Some((at, due)) if due <= now => return Some((at, due)),
                Some((at, due)) => self.schedule(at, due),
                None if self.cursor < tick => {
                    // An attack's burst must not leave its memory behind.
                    slot.shrink_to(64);
                    self.cursor += 1;
                }
                None => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Seeded;

    #[test]
    fn every_appointment_is_kept_once_not_early_and_at_most_a_slot_late() {
        let mut random = Seeded::new(4);
        let mut wheel = Wheel::default();
        let mut due: Vec<Moment> = Vec::new();
        let (mut kept, mut now) = (0, 0u64);
        for _ in 0..20_000 {
            if random.below(3) == 0 {
                let at = Moment::from_millis(now + random.below(3_000_000));
                wheel.schedule(due.len() as u32, at);
                due.push(at);
            }
            now += random.below(2_000);
            while let Some((at, moment)) = wheel.next(Moment::from_millis(now)) {
                assert_eq!(due[at as usize], moment);
                assert!(moment.as_millis() <= now);
                kept += 1;
            }
            let overdue = due.iter().filter(|m| m.as_millis() + 2 * SLOT_MILLIS < now).count();
            assert!(kept >= overdue);
        }
        while wheel.next(Moment::from_millis(now + 10_000_000)).is_some() {
            kept += 1;
        }
        assert_eq!(kept, due.len());
    }
}
