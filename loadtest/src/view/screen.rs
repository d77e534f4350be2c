//! The live view, below the command that started it; what was last seen stays in the scrollback.
//!
//! It takes the terminal's bottom lines and nothing else: no raw mode, no other screen, so Ctrl-C is Ctrl-C,
//! and a terminal is never left behind in a state of ours.
use std::collections::VecDeque;
use std::io::{self, Stdout, stdout};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use ratatui::backend::CrosstermBackend;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, LineGauge, Row, Sparkline, Table};
use ratatui::{Frame, Terminal, TerminalOptions, Viewport};

use super::LOOK;
use crate::live::{Counters, Live};
use crate::profile::Profile;
use crate::scenario::Role;

/// Lines beside one for each role: title, progress, blank, table head, blank, curves.
const LINES: u16 = 5 + CURVES;
const CURVES: u16 = 5;
/// Looks between two points of a curve: half a second.
const BEAT: u64 = 5;
/// Points of a curve that are kept: more than any terminal is wide.
const KEPT: usize = 400;

/// Shows the run until it is over. An error means that this terminal can't.
pub(super) fn show(profile: &Profile, live: &Live, over: &AtomicBool) -> io::Result<()> {
    let height = LINES + u16::try_from(live.parts.len()).unwrap_or(u16::MAX);
    let options = TerminalOptions { viewport: Viewport::Inline(height) };
    let mut terminal: Terminal<CrosstermBackend<Stdout>> =
        Terminal::with_options(CrosstermBackend::new(stdout()), options)?;
    let mut view = View::default();
    for look in 1_u64.. {
        let last = over.load(Relaxed);
        if last || look.is_multiple_of(BEAT) {
            view.beat(live);
        }
        terminal.draw(|frame| view.draw(frame, profile, live))?;
        if last {
            break;
        }
        thread::sleep(LOOK);
    }
    println!();
    Ok(())
}

/// What the view remembers.
#[derive(Default)]
struct View {
    /// In µs.
    p99: VecDeque<u64>,
    answers: VecDeque<u64>,
    median: u64,
    counted: u64,
    last: Duration,
}

impl View {
    /// Half a second is over: another point for each curve.
    fn beat(&mut self, live: &Live) {
        let of = |part: &Counters| {
            part.right.load(Relaxed) + part.refused.load(Relaxed) + part.wrong.load(Relaxed)
        };
        let (counted, now) = (live.parts.values().map(of).sum::<u64>(), live.elapsed());
        let span = now.saturating_sub(self.last).as_secs_f64().max(0.1);
        let rate = (counted.saturating_sub(self.counted) as f64 / span) as u64;
        let [median, p99] = live.look().unwrap_or([0, 0]);
        (self.counted, self.last, self.median) = (counted, now, median);
        for (curve, point) in [(&mut self.p99, p99), (&mut self.answers, rate)] {
            curve.push_back(point);
            if curve.len() > KEPT {
                curve.pop_front();
            }
        }
    }

    fn draw(&self, frame: &mut Frame<'_>, profile: &Profile, live: &Live) {
        let area = frame.area();
        let roles = Constraint::Length(1 + u16::try_from(live.parts.len()).unwrap_or(0));
        let lines = [Constraint::Length(1), Constraint::Length(1), Constraint::Length(1), roles];
        let rest = [Constraint::Length(1), Constraint::Length(CURVES)];
        let [title, progress, _, table, _, curves] =
            Layout::vertical(lines.into_iter().chain(rest)).areas(area);
        frame.render_widget(headline(profile, live), title);
        let done = (live.elapsed().as_secs_f64() / profile.seconds).clamp(0.0, 1.0);
        let gauge =
            LineGauge::default().ratio(done).filled_symbol("━").filled_style(Style::new().fg(Color::Green));
        frame.render_widget(gauge, progress);
        frame.render_widget(table_of(live), table);
        let [left, right] = Layout::horizontal([Constraint::Fill(1); 2]).spacing(2).areas(curves);
        let millis = |micros: u64| format!("{:.1} ms", micros as f64 / 1e3);
        let waits = format!("honest p99 {}, median {}", millis(last(&self.p99)), millis(self.median));
        curve(frame, left, &self.p99, waits, Color::Yellow);
        curve(frame, right, &self.answers, format!("answers {}/s", last(&self.answers)), Color::Cyan);
        // A cursor that is placed is shown, also after Ctrl-C.
        frame.set_cursor_position(Position::new(area.x, area.bottom().saturating_sub(1)));
    }
}

fn last(curve: &VecDeque<u64>) -> u64 {
    curve.back().copied().unwrap_or(0)
}

fn headline<'a>(profile: &Profile, live: &Live) -> Line<'a> {
    let wrong: u64 = live.parts.values().map(|part| part.wrong.load(Relaxed)).sum();
    let verdict = match wrong {
        0 => " nothing wrong so far ".black().on_green(),
        _ => Span::from(format!(" {wrong} WRONG ")).white().on_red(),
    };
    let seconds = live.elapsed().as_secs();
    let of = format!("  seed {}, {seconds} s of {}  ", profile.seed, profile.seconds);
    Line::from(vec![profile.scenario.name().bold(), of.into(), verdict])
}

fn table_of(live: &Live) -> Table<'_> {
    let row = |(role, part): (&Role, &Counters)| {
        let number = |count: &AtomicU64| count.load(Relaxed).to_string();
        let wrong = part.wrong.load(Relaxed);
        let name = if role.is_honest() { role.name().green() } else { role.name().cyan() };
        let wrong = if wrong > 0 { wrong.to_string().red().bold() } else { "0".into() };
        let counts = [&part.started, &part.completed, &part.not_started, &part.right, &part.refused];
        let cells = std::iter::once(name).chain(counts.map(|count| Span::from(number(count))));
        Row::new(cells.chain([wrong]).map(|cell| Line::from(cell).right_aligned()).collect::<Vec<_>>())
    };
    let head = ["who", "started", "completed", "not started", "right", "refused", "wrong"];
    let head = head.map(|name| Line::from(name).right_aligned());
    let widths = [10, 9, 10, 12, 9, 9, 7].map(Constraint::Length);
    Table::new(live.parts.iter().map(row), widths).header(Row::new(head).dim())
}

fn curve(frame: &mut Frame<'_>, area: Rect, points: &VecDeque<u64>, title: String, color: Color) {
    let seen = points.len().saturating_sub(usize::from(area.width));
    let line = Sparkline::default()
        .block(Block::new().title(title.dim()))
        .data(points.iter().skip(seen))
        .style(Style::new().fg(color));
    frame.render_widget(line, area);
}

#[cfg(test)]
mod tests {
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::clock;
    use crate::scenario::Scenario;

    fn screen(view: &View, profile: &Profile, live: &Live) -> String {
        let mut terminal = Terminal::new(TestBackend::new(90, 14)).unwrap();
        terminal.draw(|frame| view.draw(frame, profile, live)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn the_screen_shows_every_role_its_counts_and_what_is_wrong() {
        let profile = Scenario::Bombing.profile();
        let live = Live::new(&profile);
        live.begin(clock::now());
        let bombers = &live.parts[&Role::Bombers];
        bombers.refused.store(321, Relaxed);
        live.saw(Duration::from_millis(7));
        let mut view = View::default();
        view.beat(&live);
        let before = screen(&view, &profile, &live);
        for part in ["bombing", "seed 1, 0 s of 10", "nothing wrong so far", "canary", "321", "honest p99 7."]
        {
            assert!(before.contains(part), "{part} is not in\n{before}");
        }
        bombers.wrong.store(2, Relaxed);
        assert!(screen(&view, &profile, &live).contains("2 WRONG"));
    }
}
