//! OpenMetrics 1.0 text: per family its metadata, then its samples; `# EOF` at the end.

use std::fmt::Write as _;

/// Type of a metric family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only increases while the process lives. Its samples end in `_total`.
    Counter,
    /// Increases and decreases.
    Gauge,
}

/// The text being written.
#[derive(Default)]
pub(super) struct Exposition(String);

impl Exposition {
    /// Begins a family. A name that ends in `_bytes` states its unit.
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let kind_name = if kind == Kind::Counter { "counter" } else { "gauge" };
        // Writing to a String can't fail.
        let _ = writeln!(self.0, "# TYPE {name} {kind_name}");
        if name.ends_with("_bytes") {
            let _ = writeln!(self.0, "# UNIT {name} bytes");
        }
        let _ = writeln!(self.0, "# HELP {name} {help}");
        Family { out: &mut self.0, name, suffix: if kind == Kind::Counter { "_total" } else { "" } }
    }

    /// The whole text.
    pub(super) fn end(mut self) -> String {
        self.0.push_str("# EOF\n");
        self.0
    }
}

/// The family being written.
pub(super) struct Family<'a> {
    out: &'a mut String,
    name: &'static str,
    suffix: &'static str,
}

impl Family<'_> {
    /// A sample without labels.
    pub(super) fn value(&mut self, value: u64) {
        self.sample([], value);
    }

    /// A sample. Names and labels are constants of this program, so nothing needs escaping.
    pub(super) fn sample<const N: usize>(&mut self, labels: [(&str, &str); N], value: u64) {
        let _ = write!(self.out, "{}{}", self.name, self.suffix);
        for (at, (name, label)) in labels.into_iter().enumerate() {
            let _ = write!(self.out, "{}{name}=\"{label}\"", if at == 0 { '{' } else { ',' });
        }
        let _ = writeln!(self.out, "{} {value}", if N == 0 { "" } else { "}" });
    }
}
