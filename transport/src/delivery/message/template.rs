//! A template: layouts and the phrases of every language. Renders the words of a mail.
//!
//! ```text
//!   facts ─▶ phrases of the language ─▶ layouts ─▶ law ─┬─ kept ─▶ words, with the autofill line last
//!                                                       └─ not ──▶ the built-in template's words
//! ```
//!
//! A template is tested with samples in every language before it is used. If a mail still breaks
//! the requirements later (a layout may branch on the code), the built-in template is used instead.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use minijinja::context;
use minijinja::value::Value;
use zeroize::Zeroizing;

use super::fault::TemplateFault;
use super::law;
use super::layout::{Layouts, Spoken};
use super::locale::Locale;
use super::phrases::{Facts, Phrases};
use super::words::Words;

/// Longest domain name (RFC 1035).
const DOMAIN_BYTES: usize = 253;

const TEXT: &str = include_str!("../../../templates/mail.txt");
const HTML: &str = include_str!("../../../templates/mail.html");

/// Layouts and phrases of mails.
pub(super) struct Template {
    layouts: Layouts,
    /// Indexed by language number.
    phrases: Vec<Phrases>,
    /// Language of mails whose caller asked for none that is known.
    fallback: Locale,
    /// Used when this one fails; `None` only in the built-in template.
    embedded: Option<Arc<Self>>,
    /// Whether a failure was logged: once is enough.
    troubled: AtomicBool,
}

/// One layer of a template. A part that one layer lacks comes from the next one.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts {
    pub(super) text: Option<String>,
    pub(super) html: Option<String>,
    pub(super) strings: Option<toml::Table>,
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Template(..)")
    }
}

impl Template {
    /// The built-in template.
    pub(super) fn embedded() -> Result<Self, TemplateFault> {
        let template = Self {
            layouts: Layouts::compile(TEXT, HTML)?,
            phrases: Locale::all().map(Phrases::embedded).collect::<Result<_, _>>()?,
            fallback: Locale::ENGLISH,
            embedded: None,
            troubled: AtomicBool::new(false),
        };
        template.prove()?;
        Ok(template)
    }

    /// The template with the operator's files over the built-in one.
    pub(super) fn over(embedded: &Arc<Self>, layers: &[&Parts]) -> Result<Self, TemplateFault> {
        let text = layers.iter().find_map(|parts| parts.text.as_deref()).unwrap_or(TEXT);
        let html = layers.iter().find_map(|parts| parts.html.as_deref()).unwrap_or(HTML);
        let mut template = Self {
            layouts: Layouts::compile(text, html)?,
            phrases: embedded.phrases.clone(),
            fallback: embedded.fallback,
            embedded: Some(embedded.clone()),
            troubled: AtomicBool::new(false),
        };
        for strings in layers.iter().rev().filter_map(|parts| parts.strings.as_ref()) {
            template.overlay(strings)?;
        }
        template.prove()?;
        Ok(template)
    }

    /// Top-level tables are languages; `locale` names the fallback language.
    fn overlay(&mut self, strings: &toml::Table) -> Result<(), TemplateFault> {
        let exactly = |tag: &str| Locale::lookup(tag).filter(|locale| locale.tag() == tag);
        for (name, value) in strings {
            let no_language = || TemplateFault::new(name, "is not one of the supported languages");
            if name == "locale" {
                self.fallback = value.as_str().and_then(exactly).ok_or_else(no_language)?;
                continue;
            }
            let locale = exactly(name).ok_or_else(no_language)?;
            let texts =
                value.as_table().ok_or_else(|| TemplateFault::new(name, "must be a table of texts"))?;
            let phrases = self.phrases.get_mut(locale.index()).ok_or_else(no_language)?;
            phrases.overlay(texts).map_err(|fault| fault.within(name))?;
        }
        Ok(())
    }

    /// Renders one mail. Pages of `domain` may autofill the code.
    pub(super) fn words(
        &self,
        locale: Option<Locale>,
        facts: &Facts<'_>,
        domain: Option<&str>,
    ) -> Result<Words, TemplateFault> {
        let locale = locale.unwrap_or(self.fallback);
        let mut words = self.render(locale, facts).or_else(|fault| match &self.embedded {
            Some(embedded) => {
                if !self.troubled.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%fault, "a mail template failed; the built-in template is used instead");
                }
                embedded.render(locale, facts)
            }
            None => Err(fault),
        })?;
        if let Some(domain) = domain.filter(|domain| is_domain(domain)) {
            words.bind(domain, facts.code);
        }
        Ok(words)
    }

    fn render(&self, locale: Locale, facts: &Facts<'_>) -> Result<Words, TemplateFault> {
        let phrases = self.phrases.get(locale.index()).ok_or_else(|| TemplateFault::new("", "is empty"))?;
        let filled = phrases.names().filter_map(|name| Some((name.into(), phrases.fill(name, facts)?)));
        let values = context! {
            code => facts.code,
            project => facts.project,
            minutes => phrases.minutes(facts.lifetime),
            locale => locale.tag(),
            dir => locale.direction(),
            s => Value::from_object(Spoken(filled.collect())),
        };
        let subject = phrases.fill("subject", facts).unwrap_or_default();
        let (mut text, html) = (self.layouts.text(&values)?, self.layouts.html(&values)?);
        if !text.ends_with('\n') {
            text.push('\n');
        }
        let words = Words { subject, text, html: Some(html), language: Some(locale.tag()) };
        law::hold(&words, facts.code)?;
        Ok(words)
    }

    /// Renders samples in every language, the shortest and the longest possible.
    fn prove(&self) -> Result<(), TemplateFault> {
        let (long, five) = ("W".repeat(64), Duration::from_secs(300));
        for locale in Locale::all() {
            let tried = |code: &str, project: &str, lifetime| {
                let rendered = self.render(locale, &Facts { code, project, lifetime });
                rendered.map_err(|fault| fault.within(locale.tag()))
            };
            for minutes in 0..=10 {
                tried("9081726354", &long, Duration::from_secs(60 * minutes))?;
            }
            let words = tried("482913", "Acme", five)?;
            law::plain(&words).map_err(|fault| fault.within(locale.tag()))?;
        }
        Ok(())
    }
}

/// Whether `text` is a domain of lower-case A-labels, as in origin rules.
fn is_domain(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    (1..=DOMAIN_BYTES).contains(&text.len()) && text.bytes().all(plain)
}

impl Words {
    /// Appends the line that binds the code to a domain for autofill (origin-bound one-time codes,
    /// WICG).
    fn bind(&mut self, domain: &str, code: &str) {
        let body = self.text.trim_end();
        let mut bound = Zeroizing::new(String::with_capacity(body.len() + domain.len() + code.len() + 8));
        for part in [body, "\n\n@", domain, " #", code, "\n"] {
            bound.push_str(part);
        }
        self.text = bound;
    }
}
