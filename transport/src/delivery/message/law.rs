//! Requirements of the contract on mails with a code: the subject ends with the code, and the first
//! line of the text and the HTML contain it. Checked for every mail, not only for samples.

use super::fault::TemplateFault;
use super::words::Words;

/// Longest subject, in bytes: a few header lines.
const SUBJECT_BYTES: usize = 320;

/// Checks what every mail must have.
pub(super) fn hold(words: &Words, code: &str) -> Result<(), TemplateFault> {
    let Words { subject, text, html, .. } = words;
    let is_forbidden = |c: char| c.is_control() && c != '\n' && c != '\t';
    let broken = [
        (!subject.ends_with(code), "subject", "does not end with the code"),
        (subject.chars().any(char::is_control), "subject", "must be one line"),
        (subject.len() > SUBJECT_BYTES, "subject", "is too long"),
        (
            !text.lines().next().is_some_and(|line| line.contains(code)),
            "text",
            "has no code in its first line",
        ),
        (text.contains(is_forbidden), "text", "holds control characters"),
        (html.as_ref().is_some_and(|html| !html.contains(code)), "html", "does not hold the code"),
    ];
    match broken.into_iter().find(|(is_broken, ..)| *is_broken) {
        Some((_, place, why)) => Err(TemplateFault::new(place, why)),
        None => Ok(()),
    }
}

/// Strings that a mail with a code must not contain: links train recipients to click, and remote
/// content reveals who opened the mail. This guards against mistakes; the operator is trusted.
const FOREIGN: [&str; 16] = [
    "http:",
    "https:",
    "src=",
    "srcset=",
    "href=",
    "background=",
    "poster=",
    "action=",
    "url(",
    "image-set(",
    "@import",
    "http-equiv",
    "<script",
    "<svg",
    "<object",
    "<form",
];

/// Checks that a mail contains nothing of [`FOREIGN`].
pub(super) fn plain(words: &Words) -> Result<(), TemplateFault> {
    for (place, part) in [("text", Some(&words.text)), ("html", words.html.as_ref())] {
        let Some(part) = part else { continue };
        let dense: String = part.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase();
        if let Some(foreign) = FOREIGN.iter().find(|foreign| dense.contains(**foreign)) {
            return Err(TemplateFault::new(
                place,
                format!("holds {foreign:?}: mails with a code must not link to or load anything"),
            ));
        }
    }
    Ok(())
}
