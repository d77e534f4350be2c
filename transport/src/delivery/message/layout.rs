//! Layouts around the phrases: minijinja, reduced to what a layout needs.
//!
//! There are no includes, imports, filters or functions; an undefined name is an error, and HTML is
//! escaped. Fuel bounds the work, [`Page`] the output. Phrases ([`Spoken`]) and output live in
//! memory that is wiped; minijinja's intermediate copies are freed without wiping.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use minijinja::value::{Object, Value};
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use zeroize::Zeroizing;

use super::fault::TemplateFault;

/// Instructions that one rendering may take; the built-in layouts take about a hundred.
const FUEL: u64 = 20_000;
/// Nesting depth; a layout has two or three levels.
const DEPTH: usize = 32;
/// Bytes of a text part: half a page.
const TEXT_BYTES: usize = 8 * 1024;
/// Bytes of an HTML part: Gmail clips mails at 102 KiB.
const HTML_BYTES: usize = 64 * 1024;

const TEXT: &str = "text";
const HTML: &str = "html";

/// The two layouts of a template.
#[derive(Debug)]
pub(super) struct Layouts(Environment<'static>);

impl Layouts {
    pub(super) fn compile(text: &str, html: &str) -> Result<Self, TemplateFault> {
        let mut environment = Environment::empty();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|name| match name {
            HTML => AutoEscape::Html,
            _ => AutoEscape::None,
        });
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(DEPTH);
        for (name, source) in [(TEXT, text), (HTML, html)] {
            environment
                .add_template_owned(name.to_owned(), source.to_owned())
                .map_err(|fault| render_fault(name, &fault))?;
        }
        Ok(Self(environment))
    }

    pub(super) fn text(&self, values: &Value) -> Result<Zeroizing<String>, TemplateFault> {
        self.render(TEXT, values, TEXT_BYTES)
    }

    pub(super) fn html(&self, values: &Value) -> Result<Zeroizing<String>, TemplateFault> {
        self.render(HTML, values, HTML_BYTES)
    }

    fn render(&self, name: &str, values: &Value, most: usize) -> Result<Zeroizing<String>, TemplateFault> {
        let template = self.0.get_template(name).map_err(|fault| render_fault(name, &fault))?;
        let mut page = Page { bytes: Zeroizing::new(Vec::with_capacity(most)), most };
        template.render_captured_to(values.clone(), &mut page).map_err(|fault| render_fault(name, &fault))?;
        let bytes = std::mem::take(&mut *page.bytes);
        let text = String::from_utf8(bytes).map_err(|_| TemplateFault::new(name, "is not UTF-8"))?;
        Ok(Zeroizing::new(text))
    }
}

/// Filled phrases by name; `s` in a layout.
pub(super) struct Spoken(pub(super) BTreeMap<Box<str>, Zeroizing<String>>);

impl Object for Spoken {
    fn get_value(self: &Arc<Self>, name: &Value) -> Option<Value> {
        self.0.get(name.as_str()?).map(|phrase| Value::from(phrase.as_str()))
    }
}

impl fmt::Debug for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spoken(..)")
    }
}

/// Reports only the kind and the line, because minijinja's own message may quote values.
fn render_fault(name: &str, fault: &minijinja::Error) -> TemplateFault {
    let line = fault.line().map_or(String::new(), |line| format!(", line {line}"));
    TemplateFault::new(name, format!("{}{line}", fault.kind()))
}

/// Output buffer of a rendering: allocated once, so that it never moves; writing beyond `most`
/// fails.
struct Page {
    bytes: Zeroizing<Vec<u8>>,
    most: usize,
}

impl Write for Page {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        match self.bytes.len() + part.len() <= self.most {
            true => self.bytes.write(part),
            false => Err(io::ErrorKind::FileTooLarge.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::context;

    fn render(text: &str) -> Result<String, TemplateFault> {
        let phrase = ("first".into(), "4<8".to_owned().into());
        let values = context! { code => "4<8", n => 3, s => Value::from_object(Spoken([phrase].into())) };
        let layouts = Layouts::compile(text, text)?;
        layouts.text(&values)?;
        layouts.html(&values).map(|html| html.to_string())
    }

    #[test]
    fn html_is_escaped_and_what_is_not_there_is_an_error() {
        assert_eq!(render("<b>{{ code }}</b>").unwrap(), "<b>4&lt;8</b>");
        assert_eq!(render("{{ s.first }}").unwrap(), "4&lt;8");
        assert_eq!(render("{% if n > 2 %}yes{% endif %}").unwrap(), "yes");
        for wrong in [
            "{{ cod }}",
            "{{ code.x.y }}",
            "{{ s.last }}",
            "{% if code %}",
            "{{ code | safe }}",
            "{{ range(10) }}",
            "{% include 'html' %}",
            "{% extends '/etc/passwd' %}",
            "{% import 'x' as y %}",
            "{% macro m() %}{% endmacro %}",
        ] {
            let fault = render(wrong).unwrap_err().to_string();
            assert!(!fault.contains("4<8"), "{fault}");
        }
    }

    #[test]
    fn work_and_output_are_bounded() {
        let nested = "{% for a in n %}".repeat(8) + "x" + &"{% endfor %}".repeat(8);
        let lists = nested.replace("in n", "in [1,2,3,4,5,6,7,8,9]");
        assert!(render(&lists).is_err());
        assert!(render(&"x".repeat(HTML_BYTES + 1)).is_err());
        assert!(render("{{ 'x' * 1000000000000 }}").is_err());
    }
}
