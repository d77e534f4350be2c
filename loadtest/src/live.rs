//! What is shared while the run lasts: the cap, and what a person may watch.
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::clock;
use crate::profile::Profile;
use crate::scenario::Role;
use crate::tally::SLICES_MAX;

/// One run's counters.
pub(crate) struct Live {
    pub(crate) in_flight: AtomicUsize,
    pub(crate) parts: BTreeMap<Role, Counters>,
    /// The first story's zero.
    begin: OnceLock<Instant>,
    slice: Duration,
    /// Honest callers' latencies since somebody looked last, in µs.
    recent: Mutex<Option<Histogram<u64>>>,
}

/// One role's counters.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) started: AtomicU64,
    pub(crate) completed: AtomicU64,
    pub(crate) not_started: AtomicU64,
    pub(crate) right: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) wrong: AtomicU64,
}

impl Live {
    pub(crate) fn new(profile: &Profile) -> Self {
        let parts = profile.parts.keys().map(|role| (*role, Counters::default())).collect();
        let recent = Histogram::new_with_bounds(1, 60_000_000, 2).ok();
        Self {
            in_flight: AtomicUsize::new(0),
            parts,
            begin: OnceLock::new(),
            slice: slice(profile.seconds),
            recent: Mutex::new(recent),
        }
    }

    /// The run begins here.
    pub(crate) fn begin(&self, at: Instant) {
        let _only_once = self.begin.set(at);
    }

    /// Since the run began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begin.get().map_or(Duration::ZERO, |begin| clock::now().saturating_duration_since(*begin))
    }

    /// Which slice of the run's time it is.
    pub(crate) fn slice_now(&self) -> usize {
        usize::try_from(self.elapsed().as_nanos() / self.slice.as_nanos().max(1)).unwrap_or(0)
    }

    pub(crate) fn saw(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.iter_mut().for_each(|all| all.saturating_record(micros));
    }

    /// The median and the 99th percentile since the last look.
    pub(crate) fn look(&self) -> Option<[u64; 2]> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let all = recent.as_mut()?;
        let seen = (!all.is_empty()).then(|| [0.5, 0.99].map(|quantile| all.value_at_quantile(quantile)));
        all.reset();
        seen
    }
}

/// How long a slice is: 80 for the run, and room for what overstays.
pub(crate) fn slice(seconds: f64) -> Duration {
    const { assert!(SLICES_MAX >= 160) };
    Duration::from_secs_f64((seconds / 80.0).clamp(0.1, 60.0))
}
