//! Lines and areas on two axes, as SVG text.
use std::fmt::Write;

/// The whole drawing, and the frame in it that data fills.
const SIZE: (f64, f64) = (540.0, 250.0);
const LEFT: f64 = 52.0;
const TOP: f64 = 10.0;
const RIGHT: f64 = 12.0;
const BOTTOM: f64 = 24.0;

/// One axis: from data to a share of its length, and what is written along it.
pub(super) struct Axis {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) is_log: bool,
    pub(super) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// From zero to a round number above `most`, with about five ticks.
    pub(super) fn linear(most: f64, unit: &str) -> Self {
        let step = round_step(most.max(1e-9) / 4.0);
        let to = (most.max(step) / step).ceil() * step;
        let mut ticks = Vec::new();
        for nth in 0..=8 {
            let at = step * f64::from(nth);
            if at <= to * 1.0001 {
                ticks.push((at, format!("{}{unit}", trim(at))));
            }
        }
        Self { from: 0.0, to, is_log: false, ticks }
    }

    /// Between powers of ten around `least` and `most`, both above zero.
    pub(super) fn log(least: f64, most: f64, name: impl Fn(f64) -> String) -> Self {
        let floor = |at: f64| 10_f64.powf(at.max(1e-9).log10().floor());
        let steps = [1.0, 2.0, 5.0];
        let below = |at: f64| steps.iter().rev().map(|step| step * floor(at)).find(|tick| *tick <= at);
        let (from, most) = (below(least).unwrap_or(least), most.max(least * 1.5));
        let to = steps.iter().map(|step| step * floor(most)).find(|tick| *tick >= most);
        let to = to.unwrap_or(10.0 * floor(most));
        let is_wide = to / from > 300.0;
        let mut ticks = Vec::new();
        let mut decade = floor(from);
        while decade <= to * 1.0001 {
            for step in if is_wide { &steps[..1] } else { &steps[..] } {
                let at = decade * step;
                if (from * 0.9999..=to * 1.0001).contains(&at) {
                    ticks.push((at, name(at)));
                }
            }
            decade *= 10.0;
        }
        Self { from, to, is_log: true, ticks }
    }

    fn share(&self, at: f64) -> f64 {
        let place = |at: f64| if self.is_log { at.max(self.from).ln() } else { at };
        let (from, to) = (place(self.from), place(self.to));
        ((place(at) - from) / (to - from)).clamp(0.0, 1.0)
    }
}

/// A drawing in the making.
pub(super) struct Chart {
    x: Axis,
    y: Axis,
    out: String,
}

impl Chart {
    pub(super) fn new(x: Axis, y: Axis, label: &str) -> Self {
        let mut out = format!("<svg viewBox='0 0 {} {}' role=img aria-label='{label}'>", SIZE.0, SIZE.1);
        let frame = Self { x, y, out: String::new() };
        // Writing to a String can't fail.
        for (at, name) in &frame.y.ticks {
            let y = frame.up(*at);
            let _ = write!(out, "<path class=grid d='M{LEFT} {y:.1}H{}'/>", SIZE.0 - RIGHT);
            let _ = write!(out, "<text x={} y={:.1} text-anchor=end>{name}</text>", LEFT - 8.0, y + 4.0);
        }
        for (at, name) in &frame.x.ticks {
            let (x, y) = (frame.along(*at), SIZE.1 - 6.0);
            let _ = write!(out, "<text x={x:.1} y={y:.1} text-anchor=middle>{name}</text>");
        }
        Self { out, ..frame }
    }

    /// A band over a part of the x axis.
    pub(super) fn band(&mut self, (from, to): (f64, f64), color: &str) {
        let (x, width) = (self.along(from), self.along(to) - self.along(from));
        let height = SIZE.1 - TOP - BOTTOM;
        let _ = write!(
            self.out,
            "<rect x={x:.1} y={TOP} width={width:.1} height={height} fill='{color}' opacity=.1 />"
        );
    }

    pub(super) fn line(&mut self, points: &[(f64, f64)], color: &str, dashed: bool) {
        let path = self.path(points.iter().copied());
        let dash = if dashed { " stroke-dasharray='3 5'" } else { "" };
        let _ = write!(self.out, "<path class=line d='{path}' stroke='{color}'{dash} />");
    }

    /// Between two lines over the same x.
    pub(super) fn area(&mut self, points: &[(f64, f64, f64)], color: &str, opacity: f64) {
        let there = points.iter().map(|&(x, _, high)| (x, high));
        let back = points.iter().rev().map(|&(x, low, _)| (x, low));
        let path = self.path(there.chain(back));
        let _ = write!(self.out, "<path d='{path}Z' fill='{color}' fill-opacity={opacity} />");
    }

    /// What a pointer over this part of the x axis is told.
    pub(super) fn tip(&mut self, (from, to): (f64, f64), text: &str) {
        let (x, width) = (self.along(from), (self.along(to) - self.along(from)).max(0.5));
        let height = SIZE.1 - TOP - BOTTOM;
        let _ = write!(
            self.out,
            "<rect class=hit x={x:.1} y={TOP} width={width:.1} height={height}><title>{text}</title></rect>"
        );
    }

    pub(super) fn end(mut self) -> String {
        self.out.push_str("</svg>");
        self.out
    }

    fn path(&self, points: impl Iterator<Item = (f64, f64)>) -> String {
        let mut path = String::new();
        for (x, y) in points {
            let pen = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{pen}{:.1} {:.1}", self.along(x), self.up(y));
        }
        path
    }

    fn along(&self, x: f64) -> f64 {
        LEFT + self.x.share(x) * (SIZE.0 - LEFT - RIGHT)
    }

    fn up(&self, y: f64) -> f64 {
        SIZE.1 - BOTTOM - self.y.share(y) * (SIZE.1 - TOP - BOTTOM)
    }
}

/// 1, 2 or 5 times a power of ten, at least `step`.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .iter()
        .map(|round| round * power)
        .find(|round| *round >= step * 0.9999)
        .unwrap_or(step)
}

fn trim(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers_around_the_data() {
        let axis = Axis::linear(37.0, " s");
        assert_eq!((axis.to, axis.ticks.len()), (40.0, 5));
        assert_eq!(axis.ticks[1].1, "10 s");
        let axis = Axis::log(230.0, 7_400.0, |at| at.to_string());
        assert_eq!((axis.from, axis.to), (200.0, 10_000.0));
        assert_eq!(axis.ticks.first().map(|(_, name)| name.as_str()), Some("200"));
        assert!((axis.share(200.0) - 0.0).abs() < 1e-9 && (axis.share(10_000.0) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_drawing_stays_in_its_frame() {
        let mut chart = Chart::new(Axis::linear(10.0, ""), Axis::linear(10.0, ""), "x");
        chart.line(&[(-5.0, 3.0), (20.0, 99.0)], "red", false);
        assert!(chart.end().contains("d='M52.0 161.2L528.0 10.0'"));
    }
}
