//! What became of the requests of one phase.
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use authepy_benches::cpu;

/// The part of a phase that is not looked at: until the server's queues are what they will be.
const LEAD: f64 = 0.25;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Accepted,
    /// 503.
    Refused,
    /// Not answered in time.
    GivenUp,
    /// The stream or the connection broke.
    Lost,
    /// Another status, or none.
    Wrong(u16),
}

/// One phase.
pub(crate) struct Tally {
    begun: Instant,
    length: Duration,
    /// Requests a second, as meant.
    pub(crate) rate: f64,
    started: u64,
    /// CPU of the server's while it lasted, in ns.
    cpu: u64,
    /// The most that a request started after it should have.
    pub(crate) lag: Duration,
    /// When it ended (from the phase's begin), how long it took, how it ended.
    ends: Vec<(Duration, Duration, End)>,
}

impl Tally {
    pub(crate) fn begin(rate: f64, length: Duration) -> Rc<RefCell<Self>> {
        let (begun, lag, ends) = (cpu::now(), Duration::ZERO, Vec::new());
        Rc::new(RefCell::new(Self { begun, length, rate, started: 0, cpu: 0, lag, ends }))
    }

    pub(crate) fn start(&mut self, meant: Instant) {
        self.started += 1;
        self.lag = self.lag.max(cpu::now().saturating_duration_since(meant));
    }

    pub(crate) fn end(&mut self, meant: Instant, end: End) {
        let now = cpu::now();
        self.ends.push((now.duration_since(self.begun), now.saturating_duration_since(meant), end));
    }

    pub(crate) fn spent(&mut self, cpu: u64) {
        self.cpu = cpu;
    }

    /// CPU of the server's for each that it accepted while the phase lasted, in ns.
    pub(crate) fn cost(&self) -> f64 {
        let accepted = self.ends.iter().filter(|(at, _, end)| *end == End::Accepted && *at < self.length);
        self.cpu as f64 / accepted.count().max(1) as f64
    }

    pub(crate) fn is_under_way(&self) -> bool {
        self.started > self.ends.len() as u64
    }

    /// Accepted a second.
    pub(crate) fn goodput(&self) -> f64 {
        self.accepted().count() as f64 / self.length.mul_f64(1.0 - LEAD).as_secs_f64()
    }

    /// Started a second.
    pub(crate) fn offered(&self) -> f64 {
        self.started as f64 / self.length.as_secs_f64()
    }

    /// In ms, of those that were accepted.
    pub(crate) fn latency(&self, quantile: f64) -> f64 {
        let mut all: Vec<_> = self.accepted().map(|(_, took, _)| *took).collect();
        all.sort();
        let at = (all.len() as f64 * quantile) as usize;
        all.get(at.min(all.len().saturating_sub(1))).map_or(0.0, |took| took.as_secs_f64() * 1e3)
    }

    /// The share of all that ended so.
    pub(crate) fn share(&self, end: End) -> f64 {
        self.ends.iter().filter(|(_, _, other)| *other == end).count() as f64 / self.ends.len().max(1) as f64
    }

    /// The first answer that is no answer of an overloaded server.
    pub(crate) fn wrong(&self) -> Option<u16> {
        self.ends
            .iter()
            .find_map(|(_, _, end)| if let End::Wrong(status) = end { Some(*status) } else { None })
    }

    /// Seconds from the phase's begin after which all was well: of what was meant in each later slice at least
    /// 95 % was accepted within `bound`. `None` if that never came.
    pub(crate) fn normal_after(&self, bound: Duration) -> Option<f64> {
        const SLICE: Duration = Duration::from_millis(250);
        let slices = (self.length.as_secs_f64() / SLICE.as_secs_f64()) as usize;
        let is_well = |slice: usize| {
            // By when they were meant, so that an answer that comes late counts where it was waited for.
            let meant =
                |at: Duration, took| (at.saturating_sub(took).as_secs_f64() / SLICE.as_secs_f64()) as usize;
            let of_slice = self.ends.iter().filter(|(at, took, _)| meant(*at, *took) == slice);
            let (mut all, mut served) = (0u32, 0u32);
            for (_, took, end) in of_slice {
                all += 1;
                served += u32::from(*end == End::Accepted && *took <= bound);
            }
            f64::from(served) >= 0.95 * f64::from(all)
        };
        let first = (0..slices).rev().take_while(|&slice| is_well(slice)).last()?;
        Some(first as f64 * SLICE.as_secs_f64())
    }

    fn accepted(&self) -> impl Iterator<Item = &(Duration, Duration, End)> {
        let (from, to) = (self.length.mul_f64(LEAD), self.length);
        self.ends.iter().filter(move |(at, _, end)| *end == End::Accepted && (from..to).contains(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(ends: &[(u64, u64, End)]) -> Tally {
        let millis = Duration::from_millis;
        let ends = ends.iter().map(|&(at, took, end)| (millis(at), millis(took), end)).collect::<Vec<_>>();
        let (rate, started) = (10.0, ends.len() as u64);
        Tally { begun: cpu::now(), length: millis(1_000), rate, started, cpu: 0, lag: Duration::ZERO, ends }
    }

    #[test]
    fn goodput_counts_what_was_accepted_after_the_lead() {
        let tally = tally(&[
            (100, 1, End::Accepted),
            (300, 5, End::Accepted),
            (900, 9, End::Accepted),
            (900, 9, End::Refused),
            (1_500, 700, End::Accepted),
        ]);
        assert!((tally.goodput() - 2.0 / 0.75).abs() < 1e-9);
        assert!((tally.latency(0.99) - 9.0).abs() < 1e-9);
        assert!((tally.share(End::Refused) - 0.2).abs() < 1e-9);
        assert!(tally.wrong().is_none());
    }

    #[test]
    fn it_is_normal_again_after_the_last_bad_slice() {
        let well: Vec<_> = (0..100).map(|n| (n * 10 + 5, 5, End::Accepted)).collect();
        let bound = Duration::from_millis(20);
        assert_eq!(tally(&well).normal_after(bound), Some(0.0));
        let mut late = well.clone();
        late.iter_mut().take(40).for_each(|end| *end = (end.0 + 400, 405, End::Accepted));
        assert_eq!(tally(&late).normal_after(bound), Some(0.5));
        let mut never = well;
        never.iter_mut().rev().take(40).for_each(|end| end.2 = End::GivenUp);
        assert_eq!(tally(&never).normal_after(bound), None);
    }
}
