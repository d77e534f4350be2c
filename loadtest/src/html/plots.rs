//! The four charts of the report.
use std::fmt::Write;

use hdrhistogram::Histogram;

use super::FELT;
use super::chart::{Axis, Chart};
use crate::live;
use crate::report::Report;
use crate::scenario::Role;
use crate::tally::{Series, Slice, Step};

/// Points on a time axis: fewer than slices, so that each holds enough answers for a percentile.
const POINTS: usize = 40;

/// A time in µs, for people.
pub(super) fn time(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{:.2} ms", micros as f64 / 1e3),
        10_000..100_000 => format!("{:.1} ms", micros as f64 / 1e3),
        100_000..1_000_000 => format!("{} ms", micros / 1_000),
        _ => format!("{:.2} s", micros as f64 / 1e6),
    }
}

/// A tick on an axis of µs.
fn tick(micros: f64) -> String {
    match micros {
        ..1e3 => format!("{micros:.0} µs"),
        1e3..1e6 => format!("{:.0} ms", micros / 1e3),
        _ => format!("{:.0} s", micros / 1e6),
    }
}

/// What some roles did, in equal steps of time.
struct Timeline {
    step: f64,
    points: Vec<Slice>,
}

impl Timeline {
    fn of(report: &Report<'_>, chosen: impl Fn(Role) -> bool) -> Self {
        let width = live::slice(report.profile.seconds).as_secs_f64();
        let together = ((report.profile.seconds / width / POINTS as f64).round() as usize).max(1);
        let mut all = Series::default();
        for (_, part) in report.tally.parts.iter().filter(|(role, _)| chosen(**role)) {
            part.series.0.iter().enumerate().for_each(|(nth, slice)| all.at(nth / together).take(slice));
        }
        Self { step: width * together as f64, points: all.0 }
    }

    /// The middle of each point's time.
    fn at(&self, nth: usize) -> f64 {
        (nth as f64 + 0.5) * self.step
    }

    fn span(&self, nth: usize) -> (f64, f64) {
        (nth as f64 * self.step, (nth + 1) as f64 * self.step)
    }

    fn rate(&self, count: u64) -> f64 {
        count as f64 / self.step
    }

    /// One figure over time.
    fn curve(&self, figure: impl Fn(&Slice) -> Option<f64>) -> Vec<(f64, f64)> {
        let points = self.points.iter().enumerate();
        points.filter_map(|(nth, slice)| Some((self.at(nth), figure(slice)?))).collect()
    }
}

/// What honest callers waited for an answer, over the run.
pub(super) fn latency(report: &Report<'_>) -> String {
    let line = Timeline::of(report, Role::is_honest);
    let of = |quantile: f64| {
        line.curve(|slice| slice.latency.as_ref().map(|all| all.value_at_quantile(quantile) as f64))
    };
    let (median, high, highest) = (of(0.5), of(0.9), of(0.99));
    let all = || [&median, &high, &highest].into_iter().flatten().map(|point| point.1);
    let (least, most) = (all().fold(f64::MAX, f64::min), all().fold(0.0, f64::max));
    if most == 0.0 {
        return figure("Latency over time", "No honest answer was right.", String::new(), &[]);
    }
    let y = Axis::log(least.max(1.0), most, tick);
    let mut chart = Chart::new(seconds(report), y, "latency over time");
    spike(&mut chart, report);
    let between: Vec<_> = median.iter().zip(&highest).map(|(low, high)| (low.0, low.1, high.1)).collect();
    chart.area(&between, "var(--a)", 0.1);
    chart.line(&highest, "var(--c)", false);
    chart.line(&high, "var(--b)", false);
    chart.line(&median, "var(--a)", false);
    for (nth, slice) in line.points.iter().enumerate() {
        if let Some(all) = &slice.latency {
            let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|quantile| time(all.value_at_quantile(quantile)));
            let text =
                format!("{:.1} s: p50 {p50}, p90 {p90}, p99 {p99}, {} answers", line.at(nth), all.len());
            chart.tip(line.span(nth), &text);
        }
    }
    let legend = [("var(--a)", "median"), ("var(--b)", "p90"), ("var(--c)", "p99")];
    let about = "Right answers to honest callers. Where a crowd comes at once, its time is shaded.";
    figure("Latency over time", about, chart.end(), &legend)
}

/// Each felt step's whole distribution, the tail as wide as the rest.
pub(super) fn percentiles(report: &Report<'_>) -> String {
    let honest = || report.tally.parts.iter().filter(|(role, _)| role.is_honest()).map(|(_, part)| part);
    let merged = |step: Step| {
        let mut all: Option<Histogram<u64>> = None;
        for theirs in honest().filter_map(|part| part.histogram(step)) {
            match &mut all {
                Some(ours) => drop(ours.add(theirs)),
                None => all = Some(theirs.clone()),
            }
        }
        all.map(|all| (step, all))
    };
    let steps: Vec<_> = FELT.into_iter().filter_map(merged).collect();
    let most = steps.iter().map(|(_, all)| all.max()).max().unwrap_or(1) as f64;
    let least = steps.iter().map(|(_, all)| all.min()).min().unwrap_or(1).max(1) as f64;
    let longest = steps.iter().map(|(_, all)| all.len()).max().unwrap_or(1).max(100) as f64;
    let names =
        [(1.0, "0"), (2.0, "50 %"), (10.0, "90 %"), (100.0, "99 %"), (1e3, "99.9 %"), (1e4, "99.99 %")];
    let names = names.into_iter().filter(|(at, _)| *at <= longest);
    let ticks = names.map(|(at, name)| (at, name.to_owned())).collect();
    let x = Axis { from: 1.0, to: longest, is_log: true, ticks };
    let mut chart = Chart::new(x, Axis::log(least, most, tick), "latency by percentile");
    let colors = ["var(--b)", "var(--a)", "var(--d)", "var(--c)"];
    let mut legend = Vec::new();
    for ((step, all), color) in steps.iter().zip(colors) {
        let end = (all.len() as f64).log10();
        let at = |nth: u32| 10_f64.powf(end * f64::from(nth) / 100.0);
        let value = |odds: f64| all.value_at_quantile(1.0 - 1.0 / odds) as f64;
        let curve: Vec<_> = (0..=100).map(|nth| (at(nth), value(at(nth)))).collect();
        chart.line(&curve, color, false);
        legend.push((color, step.name()));
    }
    figure(
        "Latency by percentile",
        "The slowest one in ten, in a hundred, in a thousand.",
        chart.end(),
        &legend,
    )
}

/// What became of everything asked, by everybody.
pub(super) fn outcomes(report: &Report<'_>) -> String {
    let honest = Timeline::of(report, Role::is_honest);
    let others = Timeline::of(report, |role| !role.is_honest());
    let length = honest.points.len().max(others.points.len());
    let none = Slice::default();
    let layers = |nth: usize| {
        let [good, bad] = [&honest, &others].map(|line| line.points.get(nth).unwrap_or(&none));
        [good.right, bad.right, good.refused + bad.refused, good.wrong + bad.wrong]
    };
    let rate = |nth: usize, upto: usize| honest.rate(layers(nth)[..upto].iter().sum());
    let most = (0..length).map(|nth| rate(nth, 4)).fold(1.0, f64::max);
    let mut chart = Chart::new(seconds(report), Axis::linear(most, "/s"), "outcomes over time");
    let colors = ["var(--d)", "var(--attack)", "var(--refused)", "var(--wrong)"];
    for (layer, color) in colors.into_iter().enumerate() {
        let point = |nth: usize| (honest.at(nth), rate(nth, layer), rate(nth, layer + 1));
        chart.area(&(0..length).map(point).collect::<Vec<_>>(), color, 0.85);
    }
    for nth in 0..length {
        let [good, bad, refused, wrong] = layers(nth).map(|count| honest.rate(count));
        let text = format!(
            "{:.1} s: {good:.0}/s right to honest, {bad:.0}/s to attackers, {refused:.0}/s refused, {wrong:.0}/s wrong",
            honest.at(nth)
        );
        chart.tip(honest.span(nth), &text);
    }
    let names = ["right, honest", "right, attackers", "refused as it must be", "wrong"];
    let legend: Vec<_> = colors.into_iter().zip(names).collect();
    figure("Outcomes over time", "Answers a second, judged one by one.", chart.end(), &legend)
}

/// What was to begin, and what ended well.
pub(super) fn throughput(report: &Report<'_>) -> String {
    let line = Timeline::of(report, |_| true);
    let mut offered = vec![0_u64; line.points.len().max(1)];
    for plan in report.profile.schedule() {
        let nth = (plan.start.as_secs_f64() / line.step) as usize;
        if let Some(count) = offered.get_mut(nth) {
            *count += 1;
        }
    }
    let offered: Vec<_> = (0..offered.len()).map(|nth| (line.at(nth), line.rate(offered[nth]))).collect();
    let completed = line.curve(|slice| Some(line.rate(slice.completed)));
    let most = offered.iter().chain(&completed).map(|point| point.1).fold(1.0, f64::max);
    let mut chart = Chart::new(seconds(report), Axis::linear(most, "/s"), "throughput");
    spike(&mut chart, report);
    chart.area(&completed.iter().map(|&(x, y)| (x, 0.0, y)).collect::<Vec<_>>(), "var(--a)", 0.18);
    chart.line(&completed, "var(--a)", false);
    chart.line(&offered, "var(--soft)", true);
    for (nth, (at, rate)) in offered.iter().enumerate() {
        let done = completed.get(nth).map_or(0.0, |point| point.1);
        chart.tip(line.span(nth), &format!("{at:.1} s: {rate:.0}/s offered, {done:.0}/s completed"));
    }
    let legend = [("var(--soft)", "offered"), ("var(--a)", "completed")];
    figure(
        "Throughput",
        "Stories a second: begun on schedule, whatever the server does.",
        chart.end(),
        &legend,
    )
}

/// The time axis: all charts have the same, or they could not be compared.
fn seconds(report: &Report<'_>) -> Axis {
    let line = Timeline::of(report, |_| true);
    let end = report.profile.seconds.max(line.points.len() as f64 * line.step);
    let mut axis = Axis::linear(end, " s");
    axis.ticks.retain(|(at, _)| *at <= end);
    Axis { to: end, ..axis }
}

/// Where the crowd came.
fn spike(chart: &mut Chart, report: &Report<'_>) {
    let third = report.profile.seconds / 3.0;
    if report.profile.parts.values().any(|knobs| knobs.spike > 1.0) {
        chart.band((third, 2.0 * third), "var(--c)");
    }
}

fn figure(title: &str, about: &str, svg: String, legend: &[(&str, &str)]) -> String {
    let mut out = format!("<figure><h2>{title}</h2><figcaption>{about}</figcaption>{svg}<div class=legend>");
    for (color, name) in legend {
        // Writing to a String can't fail.
        let _ = write!(out, "<span><i style='background:{color}'></i>{name}</span>");
    }
    out.push_str("</div></figure>");
    out
}
