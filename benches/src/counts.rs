//! Counts of instructions: how they are kept in a file, and when new ones are not like the old ones.
//!
//! A count is worth what it was counted with: another compiler, C library or valgrind makes other code of the same
//! source, or takes another way through it. So the file names them, and where they differ the band is wide
//! enough for a compiler and too narrow for a blunder. On another architecture nothing can be compared.
use std::fmt;
use std::str::FromStr;

/// Per cent that a count may lie above or below the kept one.
pub const BAND_PERCENT: u64 = 3;
/// The same where other tools counted.
pub const BAND_OF_OTHER_TOOLS_PERCENT: u64 = 15;

const HEADER: &str = "# Instructions a turn takes. Written by `target/release/instructions --write`.";

/// What `instructions` found in one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// As Rust calls it: `x86_64`.
    pub architecture: String,
    /// Compiler, C library, valgrind and the processor it shows.
    pub tools: String,
    /// Questions by name, and what a turn takes.
    pub rows: Vec<(String, u64)>,
}

/// What the kept count says of a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Within the band.
    Within,
    /// Beyond it.
    Dearer,
    /// Below it: well, but the file should know.
    Cheaper,
    /// Nothing: the file has no such name.
    NotKept,
    /// The other way round: the file has it, and nobody asked.
    NotAsked,
    /// Nothing: it was counted on another architecture.
    Incomparable,
}

impl Finding {
    /// Whether the gate stays open.
    #[must_use]
    pub fn is_well(self) -> bool {
        matches!(self, Self::Within | Self::Incomparable)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Within => "",
            Self::Dearer => "DEARER",
            Self::Cheaper => "CHEAPER: --write",
            Self::NotKept => "NOT IN THE FILE: --write",
            Self::NotAsked => "NO SUCH QUESTION: --write",
            Self::Incomparable => "not judged",
        })
    }
}

/// One name in either list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The question's.
    pub name: String,
    /// Instructions by the file.
    pub kept: Option<u64>,
    /// Instructions now.
    pub now: Option<u64>,
    /// What comes of it.
    pub finding: Finding,
}

impl Counts {
    /// Holds `now` against these, the kept ones: first all questions of now, then what only the file names.
    #[must_use]
    pub fn judge(&self, now: &Self) -> Vec<Row> {
        let asked = now.rows.iter().map(|(name, count)| {
            let kept = self.get(name);
            let finding = kept.map_or(Finding::NotKept, |kept| self.compare(kept, *count, now));
            Row { name: name.clone(), kept, now: Some(*count), finding }
        });
        let forgotten = self.rows.iter().filter(|(name, _)| now.get(name).is_none());
        let forgotten = forgotten.map(|(name, kept)| {
            let finding = Finding::NotAsked;
            Row { name: name.clone(), kept: Some(*kept), now: None, finding }
        });
        asked.chain(forgotten).collect()
    }

    /// How far `now` may be off, in per cent; `None` where nothing can be said.
    #[must_use]
    pub fn band(&self, now: &Self) -> Option<u64> {
        let is_same = self.tools == now.tools;
        (self.architecture == now.architecture).then_some(if is_same {
            BAND_PERCENT
        } else {
            BAND_OF_OTHER_TOOLS_PERCENT
        })
    }

    fn compare(&self, kept: u64, count: u64, now: &Self) -> Finding {
        let Some(band) = self.band(now) else { return Finding::Incomparable };
        // Rounded to the file's favour by nothing: of 100 instructions three are three.
        if count * 100 > kept * (100 + band) {
            Finding::Dearer
        } else if count * 100 < kept * (100 - band) {
            Finding::Cheaper
        } else {
            Finding::Within
        }
    }

    fn get(&self, name: &str) -> Option<u64> {
        self.rows.iter().find(|(known, _)| known == name).map(|(_, count)| *count)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}\narchitecture {}\ntools {}", self.architecture, self.tools)?;
        self.rows.iter().try_for_each(|(name, count)| writeln!(f, "{name} {count}"))
    }
}

impl FromStr for Counts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let mut pairs = lines.map(|line| line.split_once(' ').ok_or(format!("no name and value: {line}")));
        let mut header = |wanted: &str| match pairs.next() {
            Some(Ok((name, value))) if name == wanted => Ok(value.to_owned()),
            _ => Err(format!("`{wanted}` is missing where it must stand")),
        };
        let (architecture, tools) = (header("architecture")?, header("tools")?);
        let row = |pair: Result<(&str, &str), String>| {
            let (name, count) = pair?;
            Ok((name.to_owned(), count.parse().map_err(|_| format!("{name}: no count: {count}"))?))
        };
        let mut counts = Self { architecture, tools, rows: Vec::new() };
        for (name, count) in pairs.map(row).collect::<Result<Vec<(String, u64)>, String>>()? {
            if counts.get(&name).is_some() {
                return Err(format!("{name} is there twice"));
            }
            counts.rows.push((name, count));
        }
        Ok(counts)
    }
}

#[cfg(test)]
#[path = "counts/tests.rs"]
mod tests;
