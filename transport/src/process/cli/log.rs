//! The log: lines on standard error, written by a thread of its own. `config/log_filter.rs` decides
//! which lines. Messages that libraries send through the `log` crate are not collected.
//!
//! The reader of standard error may stop reading or exit. Lines are then dropped and counted; no
//! thread waits for the reader, because a lane that did would serve nobody.
//!
//! ```text
//!   lanes, delivery, control ── line, if there is room ─▶ flume(4,096) ─▶ log thread ─▶ standard error
//!                                    └─ else: counted, logged with the next line
//! ```

use std::io::{self, IsTerminal as _, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Config, LogFilter};
use crate::process::check;

/// Lines that may wait: about 1 MiB, some seconds of a start at level `trace`.
const LINES_WAITING: usize = 4_096;
/// Longest time that the exiting process waits for them.
const FLUSH: Duration = Duration::from_millis(100);

static LOG: OnceLock<Lines> = OnceLock::new();

/// Handle of the log thread.
struct Lines {
    waiting: flume::Sender<Line>,
    lost: AtomicU64,
}

enum Line {
    Text(Vec<u8>),
    /// Answers once everything before it is written.
    Mark(flume::Sender<()>),
}

/// Starts the log: text on a terminal, else JSON, unless the config says otherwise.
pub(super) fn start(config: &Config) {
    let (sender, lines) = flume::bounded(LINES_WAITING);
    let log = LOG.get_or_init(|| Lines { waiting: sender, lost: AtomicU64::new(0) });
    // Without a thread nothing is written, as when nobody reads.
    let _thread = std::thread::Builder::new().name("log".into()).spawn(move || write(&lines, log));
    let (filter, warning) = filter(&config.log.level);
    let json = config.log.format.get().map_or(!io::stderr().is_terminal(), |format| format == "json");
    let lines = tracing_subscriber::fmt::layer().with_ansi(!json).with_writer(log);
    let lines = if json { lines.json().boxed() } else { lines.boxed() };
    // An error means that a log is already installed.
    let _installed = tracing_subscriber::registry().with(filter).with(lines).try_init();
    if let Some(warning) = warning {
        tracing::warn!("{warning}");
    }
}

/// `RUST_LOG` if it is a filter that concerns this program, else the config's level; and a warning,
/// if there is one.
fn filter(level: &str) -> (Targets, Option<String>) {
    const VARIABLE: &str = "RUST_LOG";
    let of_config = || LogFilter::parse(level).map(|filter| filter.targets).unwrap_or_default();
    let Some(text) = std::env::var(VARIABLE).ok().filter(|text| !text.trim().is_empty()) else {
        return (of_config(), None);
    };
    match LogFilter::parse(&text) {
        Some(filter) => {
            let warning = check::unheard(VARIABLE, &filter);
            (filter.targets, warning)
        }
        // Not quoted: it may be anything.
        None => (
            of_config(),
            Some(format!("{VARIABLE} is not a filter of this program's log; log.level is used")),
        ),
    }
}

/// Waits up to [`FLUSH`] until all earlier lines are written.
pub(super) fn flush() {
    let Some(log) = LOG.get() else { return };
    let (mark, written) = flume::bounded(1);
    if log.waiting.send_timeout(Line::Mark(mark), FLUSH).is_ok() {
        let _in_time = written.recv_timeout(FLUSH);
    }
}

fn write(lines: &flume::Receiver<Line>, log: &Lines) {
    for line in lines {
        let lost = log.lost.swap(0, Ordering::Relaxed);
        let mut error = io::stderr();
        // An error means that nobody reads; later lines may be read again.
        if lost > 0 {
            let _unread = writeln!(
                error,
                "{{\"level\":\"WARN\",\"fields\":{{\"message\":\"log lines were lost\",\"lines\":{lost}}}}}"
            );
        }
        match line {
            Line::Text(text) => drop(error.write_all(&text)),
            Line::Mark(written) => drop(written.try_send(())),
        }
    }
}

impl<'a> MakeWriter<'a> for &'static Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self
    }
}

impl Write for &Lines {
    /// One call per line. Never returns an error: the subscriber would print it to standard error,
    /// and panic if nobody reads that.
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if self.waiting.try_send(Line::Text(text.to_vec())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
