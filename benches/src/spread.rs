//! How far windows were apart, and on what they were taken.
use std::{fs, thread};

/// Median, least, most; of nothing, zeros.
#[must_use]
pub fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(0.0);
    let last = values.len().saturating_sub(1);
    (f64::midpoint(at(last / 2), at(values.len() / 2)), at(0), at(last))
}

/// What the figures were taken on.
#[must_use]
pub fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split_once(": ")).map_or("unknown CPU", |(_, model)| model);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("?");
    let cores = thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let all = info.lines().filter(|line| line.starts_with("processor")).count().max(cores);
    format!("machine: {all} × {model}; load average at the start {load}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_and_its_spread_the_ends() {
        assert_eq!(spread(vec![9.0, 1.0, 3.0]), (3.0, 1.0, 9.0));
        assert_eq!(spread(vec![4.0, 2.0]), (3.0, 2.0, 4.0));
        assert_eq!(spread(Vec::new()), (0.0, 0.0, 0.0));
    }
}
