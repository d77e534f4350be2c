//! The texts of one language: phrases with places for the code, the project and the minutes.
//!
//! A phrase is no program: `{code}`, `{project}` and `{minutes}` stand for what they say, any other brace is
//! refused when the phrase is read. Filling one copies each value once, into memory that is wiped.

use std::collections::BTreeMap;
use std::time::Duration;

use icu_locale_core::LanguageIdentifier;
use icu_plurals::{PluralCategory, PluralRules};
use zeroize::Zeroizing;

use super::fault::TemplateFault;
use super::locale::Locale;

/// Longest phrase in a file, in bytes: a sentence or two.
const PHRASE_BYTES: usize = 1024;
/// Phrases of one language, beside its minutes.
const PHRASES: usize = 64;
/// Bytes set aside for a filled phrase beyond its own: ten digits, 64 characters of a project's name and
/// the minutes. A phrase that names them twice grows, and leaves a copy behind.
const ROOM: usize = 384;

/// What phrases are filled with.
pub(super) struct Facts<'a> {
    pub(super) code: &'a str,
    pub(super) project: &'a str,
    /// Of the code; told in whole minutes, rounded down: a text must not outlive the code.
    pub(super) lifetime: Duration,
}

/// All texts of one language.
#[derive(Clone, Debug)]
pub(super) struct Phrases {
    texts: BTreeMap<Box<str>, Phrase>,
    minutes: Minutes,
}

/// "5 minutes", by the language's own rules.
#[derive(Clone, Debug, Default)]
struct Minutes {
    /// Less than one.
    under: Box<str>,
    /// For each category of number that the language tells apart; `other` is always there.
    forms: BTreeMap<Box<str>, Box<str>>,
    /// The category of each number up to [`MOST_MINUTES`].
    categories: Vec<&'static str>,
}

/// No code lives longer.
const MOST_MINUTES: u64 = authepy_engine::limits::CODE_LIFETIME_MAX.as_secs() / 60;

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
    /// The embedded texts.
    pub(super) fn embedded(locale: Locale) -> Result<Self, TemplateFault> {
        let table: toml::Table = locale
            .strings()
            .parse()
            .map_err(|_| TemplateFault::new(locale.tag(), "the embedded texts are no TOML"))?;
        let mut phrases = Self { texts: BTreeMap::new(), minutes: Minutes::default() };
        phrases.minutes.categories = categories(locale)?;
        phrases.overlay(&table).map_err(|fault| fault.within(locale.tag()))?;
        Ok(phrases)
    }

    /// Puts the texts of `table` in the place of these, and beside them.
    pub(super) fn overlay(&mut self, table: &toml::Table) -> Result<(), TemplateFault> {
        for (name, value) in table {
            match value {
                toml::Value::String(text) => {
                    let phrase = Phrase::parse(text).map_err(|why| TemplateFault::new(name, why))?;
                    self.texts.insert(name.as_str().into(), phrase);
                }
                toml::Value::Table(forms) if name == "minutes" => self.minutes.overlay(forms)?,
                _ => return Err(TemplateFault::new(name, "is no text")),
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

impl Minutes {
    fn overlay(&mut self, forms: &toml::Table) -> Result<(), TemplateFault> {
        for (name, value) in forms {
            let place = || format!("minutes.{name}");
            let text = value.as_str().ok_or_else(|| TemplateFault::new(place(), "is no text"))?;
            let odd = text.len() > PHRASE_BYTES || text.chars().any(char::is_control);
            if odd || text.replace("{n}", "").contains(['{', '}']) {
                return Err(TemplateFault::new(place(), "is one line and may hold {n}"));
            }
            match name.as_str() {
                "under" => self.under = text.into(),
                "zero" | "one" | "two" | "few" | "many" | "other" => {
                    self.forms.insert(name.as_str().into(), text.into());
                }
                _ => return Err(TemplateFault::new(place(), "is no category of numbers")),
            }
        }
        Ok(())
    }

    fn told(&self, lifetime: Duration) -> String {
        let minutes = (lifetime.as_secs() / 60).min(MOST_MINUTES);
        if minutes == 0 {
            return self.under.to_string();
        }
        let category = usize::try_from(minutes).ok().and_then(|at| self.categories.get(at));
        let form = category.and_then(|category| self.forms.get(*category));
        let form = form.or_else(|| self.forms.get("other")).map_or("{n}", |form| form);
        form.replace("{n}", &minutes.to_string())
    }
}

/// The names CLDR gives to what `locale` tells apart, for each number of minutes a code may live.
fn categories(locale: Locale) -> Result<Vec<&'static str>, TemplateFault> {
    let no_rules = || TemplateFault::new(locale.tag(), "has no rules for numbers");
    let language: LanguageIdentifier = locale.tag().parse().map_err(|_| no_rules())?;
    let rules = PluralRules::try_new_cardinal((&language).into()).map_err(|_| no_rules())?;
    let name = |minutes: u64| match rules.category_for(minutes) {
        PluralCategory::Zero => "zero",
        PluralCategory::One => "one",
        PluralCategory::Two => "two",
        PluralCategory::Few => "few",
        PluralCategory::Many => "many",
        PluralCategory::Other => "other",
    };
    Ok((0..=MOST_MINUTES).map(name).collect())
}

impl Phrase {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > PHRASE_BYTES {
            return Err("is too long");
        }
        if text.chars().any(char::is_control) {
            return Err("is one line without control characters");
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

    fn told(tag: &str, minutes: u64) -> String {
        let phrases = Phrases::embedded(Locale::lookup(tag).unwrap()).unwrap();
        phrases.minutes(Duration::from_secs(60 * minutes + 59))
    }

    #[test]
    fn minutes_are_counted_as_each_language_counts() {
        for (tag, forms) in [
            ("en", ["less than a minute", "1 minute", "2 minutes", "5 minutes", "10 minutes"]),
            ("de", ["weniger als einer Minute", "1 Minute", "2 Minuten", "5 Minuten", "10 Minuten"]),
            ("pl", ["niecałą minutę", "1 minutę", "2 minuty", "5 minut", "10 minut"]),
            ("tr", ["bir dakikadan kısa süre", "1 dakika", "2 dakika", "5 dakika", "10 dakika"]),
            ("ja", ["1分未満", "1分", "2分", "5分", "10分"]),
            ("ar", ["أقل من دقيقة", "دقيقة واحدة", "دقيقتين", "5 دقائق", "10 دقائق"]),
        ] {
            assert_eq!([0, 1, 2, 5, 10].map(|minutes| told(tag, minutes)), forms, "{tag}");
        }
        assert_eq!(told("pl", 4), "4 minuty");
    }

    #[test]
    fn every_language_has_every_form_its_numbers_need() {
        let english = Phrases::embedded(Locale::ENGLISH).unwrap();
        for locale in Locale::all() {
            let phrases = Phrases::embedded(locale).unwrap();
            assert!(phrases.names().eq(english.names()), "{}", locale.tag());
            assert!(!phrases.minutes.under.is_empty());
            for category in &phrases.minutes.categories[1..] {
                assert!(phrases.minutes.forms.contains_key(*category), "{} {category}", locale.tag());
            }
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
