//! Texts of one language: phrases with placeholders for the code, the project and the minutes.
//!
//! The placeholders are `{code}`, `{project}` and `{minutes}`; any other brace is an error when the
//! phrase is parsed. Filling a phrase copies each value once, into memory that is wiped.

use std::collections::BTreeMap;
use std::time::Duration;

use zeroize::Zeroizing;

use super::fault::TemplateFault;
use super::locale::Locale;
use super::minutes::Minutes;

/// Longest phrase in a file, in bytes: a sentence or two.
pub(super) const PHRASE_BYTES: usize = 1024;
/// Phrases of one language, beside its minutes.
const PHRASES: usize = 64;
/// Bytes reserved for a filled phrase beyond its own: ten digits, 64 characters of a project's
/// name, and the minutes. A phrase that uses them twice may reallocate, which leaves an unwiped
/// copy.
const ROOM: usize = 384;

/// Values for the placeholders.
pub(super) struct Facts<'a> {
    pub(super) code: &'a str,
    pub(super) project: &'a str,
    /// Lifetime of the code. Stated in whole minutes, rounded down, so that the text never promises
    /// too much.
    pub(super) lifetime: Duration,
}

/// All texts of one language.
#[derive(Clone, Debug)]
pub(super) struct Phrases {
    texts: BTreeMap<Box<str>, Phrase>,
    minutes: Minutes,
}

#[derive(Clone, Debug)]
struct Phrase(Vec<Piece>);

#[derive(Clone, Debug)]
enum Piece {
    Text(Box<str>),
    Code,
    Project,
    Minutes,
}

impl Phrases {
    /// The built-in texts.
    pub(super) fn embedded(locale: Locale) -> Result<Self, TemplateFault> {
        let table: toml::Table = locale
            .strings()
            .parse()
            .map_err(|_| TemplateFault::new(locale.tag(), "the built-in texts are not TOML"))?;
        let mut phrases = Self { texts: BTreeMap::new(), minutes: Minutes::of(locale)? };
        phrases.overlay(&table).map_err(|fault| fault.within(locale.tag()))?;
        Ok(phrases)
    }

    /// Adds the texts of `table`; they replace texts of the same name.
    pub(super) fn overlay(&mut self, table: &toml::Table) -> Result<(), TemplateFault> {
        for (name, value) in table {
            match value {
                toml::Value::String(text) => {
                    let phrase = Phrase::parse(text).map_err(|why| TemplateFault::new(name, why))?;
                    self.texts.insert(name.as_str().into(), phrase);
                }
                toml::Value::Table(forms) if name == "minutes" => self.minutes.overlay(forms)?,
                _ => return Err(TemplateFault::new(name, "must be a string")),
            }
        }
        match self.texts.len() <= PHRASES {
            true => Ok(()),
            false => Err(TemplateFault::new("", "has too many texts")),
        }
    }

    pub(super) fn fill(&self, name: &str, facts: &Facts<'_>) -> Option<Zeroizing<String>> {
        self.texts.get(name).map(|phrase| phrase.fill(facts, &self.minutes.told(facts.lifetime)))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.texts.keys().map(|name| &**name)
    }

    /// "5 minutes".
    pub(super) fn minutes(&self, lifetime: Duration) -> String {
        self.minutes.told(lifetime)
    }
}

impl Phrase {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > PHRASE_BYTES {
            return Err("is too long");
        }
        if text.chars().any(char::is_control) {
            return Err("must be one line without control characters");
        }
        let (mut pieces, mut rest) = (Vec::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            if !before.is_empty() {
                pieces.push(Piece::Text(before.into()));
            }
            let place =
                [("{code}", Piece::Code), ("{project}", Piece::Project), ("{minutes}", Piece::Minutes)];
            let found = place.into_iter().find(|(name, _)| from.starts_with(name));
            let (name, piece) = found.ok_or("braces hold code, project or minutes")?;
            pieces.push(piece);
            rest = &from[name.len()..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.into()));
        }
        Ok(Self(pieces))
    }

    fn fill(&self, facts: &Facts<'_>, minutes: &str) -> Zeroizing<String> {
        let mut filled = Zeroizing::new(String::with_capacity(PHRASE_BYTES + ROOM));
        for piece in &self.0 {
            filled.push_str(match piece {
                Piece::Text(text) => text,
                Piece::Code => facts.code,
                Piece::Project => facts.project,
                Piece::Minutes => minutes,
            });
        }
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_every_form_its_numbers_need() {
        let english = Phrases::embedded(Locale::ENGLISH).unwrap();
        for locale in Locale::all() {
            let phrases = Phrases::embedded(locale).unwrap();
            assert!(phrases.names().eq(english.names()), "{}", locale.tag());
            assert!(phrases.minutes.has_every_form(), "{}", locale.tag());
        }
    }

    #[test]
    fn a_phrase_holds_three_names_and_no_other_brace() {
        let facts = Facts { code: "482913", project: "{code}", lifetime: Duration::from_secs(300) };
        let filled = |text| Phrase::parse(text).map(|phrase| phrase.fill(&facts, "5 minutes").to_string());
        assert_eq!(filled("{code} for {project} in {minutes}!").unwrap(), "482913 for {code} in 5 minutes!");
        assert_eq!(filled("").unwrap(), "");
        for wrong in ["{email}", "{", "}", "{code", "{{code}}", "{ code }", "a\nb", "a\u{7}"] {
            assert!(filled(wrong).is_err(), "{wrong:?}");
        }
    }
}
