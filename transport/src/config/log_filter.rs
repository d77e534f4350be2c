//! Filters log lines by target and level: `log.level`, or `RUST_LOG` instead.
//!
//! Only crates on a list are logged. Log lines of libraries may contain anything that passes
//! through them, above all peers' addresses, and can't be reviewed at each release. A filter may
//! change the levels of listed crates and their modules; other targets are ignored.

use std::str::FromStr as _;

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};

/// Crates that may write to the log. `tests/operations/log_scan/` checks every line of theirs for
/// secrets and addresses.
const LOGGED: [&str; 2] = ["authepy_transport", "authepy_engine"];
const LEVELS: [Level; 5] = [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR];

/// A filter restricted to the listed crates.
#[derive(Clone, Debug)]
pub(crate) struct LogFilter {
    /// What is written.
    pub(crate) targets: Targets,
    /// Requested targets that are never logged.
    pub(crate) left_out: Vec<String>,
}

impl LogFilter {
    /// Parses a level such as `info`, or a list such as `warn,authepy_transport::control=debug`.
    /// `None` if it is neither, or concerns none of the listed crates.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let asked = Targets::from_str(text).ok().filter(|_| !text.trim().is_empty())?;
        let (mut modules, mut left_out) = (Vec::new(), Vec::new());
        let mut speaks = asked.default_level().is_some();
        for (target, level) in asked.iter() {
            let is_module = LOGGED.iter().any(|own| {
                target.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
            });
            let is_around = LOGGED.iter().any(|own| own.starts_with(target));
            match (is_module, is_around) {
                (true, _) => modules.push((target.to_owned(), level)),
                (false, true) => {}
                (false, false) => left_out.push(target.to_owned()),
            }
            speaks |= is_module || is_around;
        }
        let whole = LOGGED.map(|own| (own.to_owned(), level_of(&asked, own)));
        // In this order: a module's level overrides its crate's.
        let targets = Targets::new().with_targets(whole).with_targets(modules);
        speaks.then_some(Self { targets, left_out })
    }
}

/// The level of a target in `asked`.
fn level_of(asked: &Targets, target: &str) -> LevelFilter {
    let most = LEVELS.into_iter().find(|level| asked.would_enable(target, level));
    most.map_or(LevelFilter::OFF, LevelFilter::from_level)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed expectation is the point")]
mod tests {
    use super::*;

    const LIBRARIES: [&str; 6] = ["quinn_proto::endpoint", "h2", "hyper", "rustls", "sqlx::query", "authepy"];

    #[test]
    fn no_filter_lets_a_library_be_heard() {
        for text in
            ["trace", "quinn_proto=trace,info", "=trace,debug", "trace,authepy_transport=warn", "h2,warn"]
        {
            let filter = LogFilter::parse(text).unwrap();
            for library in LIBRARIES {
                assert!(!filter.targets.would_enable(library, &Level::ERROR), "{text}: {library}");
            }
        }
    }

    #[test]
    fn levels_of_our_own_are_as_asked() {
        let cases = [
            ("info", "authepy_transport::context", Some(Level::INFO)),
            ("TRACE", "authepy_engine", Some(Level::TRACE)),
            ("off", "authepy_transport", None),
            (
                "warn,authepy_transport::control=debug",
                "authepy_transport::control::keeper",
                Some(Level::DEBUG),
            ),
            ("warn,authepy_transport::control=debug", "authepy_transport::context", Some(Level::WARN)),
            ("authepy=debug", "authepy_transport::context", Some(Level::DEBUG)),
            ("authepy_engine", "authepy_engine::shard", Some(Level::TRACE)),
            ("authepy_engine", "authepy_transport", None),
            ("quinn=trace,error", "authepy_transport", Some(Level::ERROR)),
        ];
        for (text, target, expected) in cases {
            let filter = LogFilter::parse(text).unwrap();
            assert_eq!(level_of(&filter.targets, target).into_level(), expected, "{text}: {target}");
        }
    }

    #[test]
    fn what_says_nothing_of_us_is_no_filter() {
        for text in ["", " ", "quinn=trace", "nonsense", "info=debug=warn", "[span]=info"] {
            assert!(LogFilter::parse(text).is_none(), "{text:?}");
        }
        assert_eq!(LogFilter::parse("quinn=trace,h2,info").unwrap().left_out, ["quinn", "h2"]);
    }
}
