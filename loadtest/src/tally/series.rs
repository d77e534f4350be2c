//! A role's numbers over the run's time, for the curves of the report.
use std::time::Duration;

use hdrhistogram::Histogram;

use super::{LONGEST, micros};

/// One role's numbers over time, in equal slices.
#[derive(Default)]
pub(crate) struct Series(pub(crate) Vec<Slice>);

/// What fell into one slice of the run.
#[derive(Default)]
pub(crate) struct Slice {
    pub(crate) right: u64,
    pub(crate) refused: u64,
    pub(crate) wrong: u64,
    pub(crate) completed: u64,
    /// In µs, of right answers; two digits are enough for a curve.
    pub(crate) latency: Option<Histogram<u64>>,
}

/// A run that overstays (patience, a slow end) ends in its last slice.
pub(crate) const SLICES_MAX: usize = 240;

impl Series {
    /// The slice with this number, made if need be.
    pub(crate) fn at(&mut self, slice: usize) -> &mut Slice {
        let slice = slice.min(SLICES_MAX - 1);
        if self.0.len() <= slice {
            self.0.resize_with(slice + 1, Slice::default);
        }
        &mut self.0[slice]
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (nth, theirs) in other.0.iter().enumerate() {
            self.at(nth).take(theirs);
        }
    }
}

impl Slice {
    pub(crate) fn record(&mut self, took: Duration) {
        if self.latency.is_none() {
            self.latency = Histogram::new_with_bounds(1, LONGEST, 2).ok();
        }
        self.latency.iter_mut().for_each(|all| all.saturating_record(micros(took)));
    }

    /// Adds what fell into another one.
    pub(crate) fn take(&mut self, other: &Self) {
        self.right += other.right;
        self.refused += other.refused;
        self.wrong += other.wrong;
        self.completed += other.completed;
        match (&mut self.latency, &other.latency) {
            (Some(ours), Some(theirs)) => drop(ours.add(theirs)),
            (ours @ None, theirs) => ours.clone_from(theirs),
            _ => {}
        }
    }
}
