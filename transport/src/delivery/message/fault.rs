//! Errors in templates, reported to the operator who wrote them.

use std::fmt;

/// The first error in the operator's templates, and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateFault {
    place: String,
    why: String,
}

impl TemplateFault {
    pub(super) fn new(place: impl Into<String>, why: impl Into<String>) -> Self {
        Self { place: place.into(), why: why.into() }
    }

    /// Adds an enclosing place in front.
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
