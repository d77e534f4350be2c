//! The contract's law on mails with a code: the subject ends with it, the first line of the text holds it, so does
//! the HTML. Asked of every mail, not of samples only.

use super::fault::TemplateFault;
use super::words::Words;

/// Longest subject, in bytes: a few header lines.
const SUBJECT_BYTES: usize = 320;

/// What no mail may lack.
pub(super) fn hold(words: &Words, code: &str) -> Result<(), TemplateFault> {
    let Words { subject, text, html, .. } = words;
    let lines = |c: char| c.is_control() && c != '\n' && c != '\t';
    let broken = [
        (!subject.ends_with(code), "subject", "does not end with the code"),
        (subject.chars().any(char::is_control), "subject", "is one line"),
        (subject.len() > SUBJECT_BYTES, "subject", "is too long"),
        (
            !text.lines().next().is_some_and(|line| line.contains(code)),
            "text",
            "has no code in its first line",
        ),
        (text.contains(lines), "text", "holds control characters"),
        (html.as_ref().is_some_and(|html| !html.contains(code)), "html", "does not hold the code"),
    ];
    match broken.into_iter().find(|(is_broken, ..)| *is_broken) {
        Some((_, place, why)) => Err(TemplateFault::new(place, why)),
        None => Ok(()),
    }
}

/// What a mail with a code has no business with: links teach people to click, and what is fetched tells who
/// has opened it. Guards against habit; the operator is no attacker.
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

/// What the mails of a template may not hold.
pub(super) fn plain(words: &Words) -> Result<(), TemplateFault> {
    for (place, part) in [("text", Some(&words.text)), ("html", words.html.as_ref())] {
        let Some(part) = part else { continue };
        let dense: String = part.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase();
        if let Some(foreign) = FOREIGN.iter().find(|foreign| dense.contains(**foreign)) {
            return Err(TemplateFault::new(
                place,
                format!("holds {foreign:?}: a code's mail links and fetches nothing"),
            ));
        }
    }
    Ok(())
}
