//! Why a template can't be used: said to the operator, who wrote it.

use std::fmt;

/// The first thing that is wrong with the operator's templates, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateFault {
    place: String,
    why: String,
}

impl TemplateFault {
    pub(super) fn new(place: impl Into<String>, why: impl Into<String>) -> Self {
        Self { place: place.into(), why: why.into() }
    }

    /// The same, seen from further out.
    pub(super) fn within(self, outer: &str) -> Self {
        let place = if self.place.is_empty() { outer.to_owned() } else { format!("{outer}: {}", self.place) };
        Self { place, ..self }
    }
}

impl fmt::Display for TemplateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place.is_empty() {
            true => f.write_str(&self.why),
            false => write!(f, "{}: {}", self.place, self.why),
        }
    }
}

impl std::error::Error for TemplateFault {}
