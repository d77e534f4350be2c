//! Parses values of settings: spans (`30s`), sizes (`512MiB`), limits (`5/10m`).

use std::time::Duration;

use authepy_engine::limits::{LIMITS_PER_POLICY, Limit, WINDOW_COUNT_MAX, WINDOW_SPAN_MAX};
use serde::Deserialize;
use serde::de::{Deserializer, Error};

/// A text that may be unset.
#[derive(Debug, Clone, Deserialize)]
pub struct Text(String);

impl Text {
    /// The text, unless it is empty.
    pub fn get(&self) -> Option<&str> {
        (!self.0.is_empty()).then_some(self.0.as_str())
    }
}

/// A duration: `300s`, `10m`, `3h`, `1d`.
#[derive(Debug, Clone, Copy)]
pub struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let span =
            humantime::parse_duration(&text).map_err(|_| D::Error::custom("a duration like 30s or 10m"))?;
        Ok(Self(span))
    }
}

/// Whether mail to privacy relays is sent: `allow` or `refuse`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relays {
    /// Sent like any other mail.
    Allow,
    /// Refused with 422 `disposable-domain`.
    Refuse,
}

impl<'de> Deserialize<'de> for Relays {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match String::deserialize(from)?.as_str() {
            "allow" => Ok(Self::Allow),
            "refuse" => Ok(Self::Refuse),
            _ => Err(D::Error::custom("allow or refuse")),
        }
    }
}

/// A number of bytes: `512MiB`, `1GiB`, `65536`.
#[derive(Debug, Clone, Copy)]
pub struct Size(pub usize);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        size(&String::deserialize(from)?).map(Self).ok_or_else(|| D::Error::custom("a size like 512MiB"))
    }
}

fn size(text: &str) -> Option<usize> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: usize = match &text[digits.len()..] {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    digits.trim().parse::<usize>().ok()?.checked_mul(unit)
}

/// `"off"`, `"5/10m"`, or a list of the latter; its length is bounded so that it fits into an
/// answer's `RateLimit`. Empty means no limit.
#[derive(Debug, Clone)]
pub struct Limits(pub Vec<Limit>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl<'de> Deserialize<'de> for Limits {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let expected = "a limit: \"off\", \"5/10m\" or a list of those";
        let list = match OneOrMany::deserialize(from).map_err(|_| D::Error::custom(expected))? {
            OneOrMany::One(off) if off == "off" => Vec::new(),
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(many) => many,
        };
        if list.len() > LIMITS_PER_POLICY {
            return Err(D::Error::custom(format_args!("at most {LIMITS_PER_POLICY} limits")));
        }
        let limits: Option<Vec<Limit>> = list.iter().map(|text| limit(text)).collect();
        limits.map(Self).ok_or_else(|| D::Error::custom(expected))
    }
}

fn limit(text: &str) -> Option<Limit> {
    let (count, window) = text.split_once('/')?;
    let count = count.trim().parse().ok().filter(|&count: &u32| count <= WINDOW_COUNT_MAX)?;
    let window = humantime::parse_duration(window.trim()).ok()?;
    let in_range = (Duration::from_millis(1)..=WINDOW_SPAN_MAX).contains(&window);
    in_range.then_some(Limit { count, window })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_limits_read_as_written() {
        assert_eq!(size("512MiB"), Some(512 << 20));
        assert_eq!(size("17"), Some(17));
        assert_eq!(size("512MB"), None);
        assert_eq!(size("99999999999999GiB"), None);
        assert_eq!(limit("5/10m"), Some(Limit { count: 5, window: Duration::from_secs(600) }));
        assert_eq!(limit("0/1s").map(|l| l.count), Some(0));
        for bad in ["5", "5/", "/10m", "-1/1m", "5/0s", "5/8d", "10001/1d", "4294967296/1m"] {
            assert_eq!(limit(bad), None, "{bad}");
        }
    }
}
