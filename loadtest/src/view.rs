//! What a person sees while the run lasts: a screen where there is one, a line a second where there is none.
use std::fmt::Write;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use crate::live::Live;
use crate::profile::Profile;

mod screen;

/// Between two looks at whether the run is over.
const LOOK: Duration = Duration::from_millis(100);

/// Shows the run until it is over.
pub(crate) fn watch(profile: &Profile, live: &Live, over: &AtomicBool) {
    // The screen asks the terminal where it stands, by way of stdout.
    let somebody_looks = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
    if !(somebody_looks && screen::show(profile, live, over).is_ok()) {
        lines(profile, live, over);
    }
}

/// For logs, and for whoever reads them.
fn lines(profile: &Profile, live: &Live, over: &AtomicBool) {
    let mut said = 0;
    while !over.load(Relaxed) {
        thread::sleep(LOOK);
        let second = live.elapsed().as_secs();
        if second > said {
            said = second;
            eprintln!("{}", line(profile, live, second));
        }
    }
}

fn line(profile: &Profile, live: &Live, second: u64) -> String {
    let mut text = format!("{second:>4} s of {}", profile.seconds);
    for (role, part) in &live.parts {
        let [started, completed] = [&part.started, &part.completed].map(|count| count.load(Relaxed));
        let [refused, wrong] = [&part.refused, &part.wrong].map(|count| count.load(Relaxed));
        let not_started = part.not_started.load(Relaxed);
        // Writing to a String can't fail.
        let _ = write!(text, "  {} {completed}/{started}", role.name());
        for (count, what) in [(refused, "refused"), (not_started, "not started"), (wrong, "WRONG")] {
            if count > 0 {
                let _ = write!(text, " {count} {what}");
            }
        }
    }
    if let Some([median, p99]) = live.look() {
        let millis = |micros| micros as f64 / 1000.0;
        let _ = write!(text, "  p50 {:.1} ms, p99 {:.1} ms", millis(median), millis(p99));
    }
    text
}
