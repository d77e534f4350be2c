//! A histogram of one tick's datagrams by their senders' demand, from which the threshold is read.

/// Histogram steps: four for each power of two of a `u32`.
const STEPS: usize = 128;

/// Number of datagrams by their sender's demand (peak rate times weight). The lower end of each
/// step is about 19 % above that of the previous one.
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

    /// The threshold that admits `room` datagrams, extended to the end of the step that exceeds it;
    /// `None` if all of them fit. It is rounded up because a step may be a single phone, which is
    /// admitted and has sent all it had to send.
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

/// The step of a demand. Demands below four count as four: one datagram always demands more.
fn step(asked: u32) -> usize {
    let asked = asked.max(4);
    let octave = asked.ilog2();
    (octave * 4 + ((asked >> (octave - 2)) & 3)) as usize
}

/// The largest demand in this step.
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
