//! How much came from how demanding phones in one tick, and what bound would have let so much of it in.

/// Quarters of the octaves of a `u32`.
const STEPS: usize = 128;

/// Datagrams, by what their senders asked for: the least of each step is some 19 % above that of the one before.
pub(super) struct Demand([u32; STEPS]);

impl Default for Demand {
    fn default() -> Self {
        Self([0; STEPS])
    }
}

impl Demand {
    pub(super) fn count(&mut self, asked: u32, datagrams: u32) {
        let of_step = &mut self.0[step(asked)];
        *of_step = of_step.saturating_add(datagrams);
    }

    /// Undoes [`Demand::count`].
    pub(super) fn take(&mut self, asked: u32, datagrams: u32) {
        let of_step = &mut self.0[step(asked)];
        *of_step = of_step.saturating_sub(datagrams);
    }

    /// The bound up to which `room` datagrams came, with all of the step that goes beyond; `None` if all of them fit
    /// in. Rounded up, since a step may be a single phone that is heard, and has said what it had to say.
    pub(super) fn bound_for(&self, room: u32) -> Option<u32> {
        let mut left = room;
        let is_too_much = |came: &u32| {
            let fits = left.checked_sub(*came);
            left = fits.unwrap_or(0);
            fits.is_none()
        };
        self.0.iter().position(is_too_much).map(most)
    }
}

/// What is below four is told as four: no datagram asks for so little.
fn step(asked: u32) -> usize {
    let asked = asked.max(4);
    let octave = asked.ilog2();
    (octave * 4 + ((asked >> (octave - 2)) & 3)) as usize
}

/// The most that is told as this step.
fn most(step: usize) -> u32 {
    let (octave, quarter) = ((step + 1) / 4, (step + 1) % 4);
    u32::try_from(((4 + quarter as u64) << octave.saturating_sub(2)) - 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_follow_each_other_without_gaps() {
        for at in step(4)..STEPS - 1 {
            assert_eq!((step(most(at)), step(most(at) + 1)), (at, at + 1));
        }
        assert_eq!((step(0), step(u32::MAX), most(STEPS - 1)), (step(4), STEPS - 1, u32::MAX));
    }

    #[test]
    fn a_bound_lets_as_much_in_as_there_is_room_for_and_not_much_more() {
        let mut demand = Demand::default();
        (1..=100).for_each(|asked| demand.count(asked * 100, 10));
        assert_eq!(demand.bound_for(1_000), None);
        for room in [0, 10, 100, 500, 980] {
            let let_in = demand.bound_for(room).unwrap() / 100 * 10;
            assert!(let_in > room && let_in <= room * 6 / 5 + 10, "{room}: {let_in}");
        }
    }
}
