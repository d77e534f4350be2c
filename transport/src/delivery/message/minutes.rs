//! "5 minutes" in the plural form of its number: English has a form for 1, Polish another for 2 to
//! 4, Arabic six in all.

use std::collections::BTreeMap;
use std::time::Duration;

use icu_locale_core::LanguageIdentifier;
use icu_plurals::{PluralCategory, PluralRules};

use super::fault::TemplateFault;
use super::locale::Locale;
use super::phrases::PHRASE_BYTES;

/// Forms and plural rules of one language.
#[derive(Clone, Debug)]
pub(super) struct Minutes {
    /// Text for less than one minute.
    under: Box<str>,
    /// Form for each plural category of the language; `other` is always present.
    forms: BTreeMap<Box<str>, Box<str>>,
    /// The category of each number up to [`MOST_MINUTES`].
    categories: Vec<&'static str>,
}

/// The longest lifetime of a code.
const MOST_MINUTES: u64 = authepy_engine::limits::CODE_LIFETIME_MAX.as_secs() / 60;

impl Minutes {
    /// The rules of a language, without forms.
    pub(super) fn of(locale: Locale) -> Result<Self, TemplateFault> {
        Ok(Self { under: "".into(), forms: BTreeMap::new(), categories: categories(locale)? })
    }

    /// Replaces forms by those in `forms`.
    pub(super) fn overlay(&mut self, forms: &toml::Table) -> Result<(), TemplateFault> {
        for (name, value) in forms {
            let place = || format!("minutes.{name}");
            let text = value.as_str().ok_or_else(|| TemplateFault::new(place(), "must be a string"))?;
            let odd = text.len() > PHRASE_BYTES || text.chars().any(char::is_control);
            if odd || text.replace("{n}", "").contains(['{', '}']) {
                return Err(TemplateFault::new(place(), "must be one line without braces except {n}"));
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

    pub(super) fn told(&self, lifetime: Duration) -> String {
        let minutes = (lifetime.as_secs() / 60).min(MOST_MINUTES);
        if minutes == 0 {
            return self.under.to_string();
        }
        let category = usize::try_from(minutes).ok().and_then(|at| self.categories.get(at));
        let form = category.and_then(|category| self.forms.get(*category));
        let form = form.or_else(|| self.forms.get("other")).map_or("{n}", |form| form);
        form.replace("{n}", &minutes.to_string())
    }

    #[cfg(test)]
    pub(super) fn has_every_form(&self) -> bool {
        let mut needed = self.categories.iter().skip(1);
        !self.under.is_empty() && needed.all(|category| self.forms.contains_key(*category))
    }
}

/// CLDR plural category of `locale` for each possible number of minutes.
fn categories(locale: Locale) -> Result<Vec<&'static str>, TemplateFault> {
    let no_rules = || TemplateFault::new(locale.tag(), "has no plural rules");
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

#[cfg(test)]
mod tests {
    use super::super::phrases::Phrases;
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
}
