//! What a mail says: subject, text, and HTML where there is a code to show.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::delivery::job::{CodeMail, Content, Notice};

/// Longest project name in a mail: longer ones are cut, lines stay readable.
const PROJECT_CHARS: usize = 64;
/// Longest subject of a notice: RFC 5322 asks for lines of 78.
const NOTICE_SUBJECT_CHARS: usize = 150;

/// The parts of one mail, ready to be encoded.
pub(super) struct Words {
    /// One line.
    pub(super) subject: Zeroizing<String>,
    /// Plain text.
    pub(super) text: Zeroizing<String>,
    /// The same as HTML; a notice has none.
    pub(super) html: Option<Zeroizing<String>>,
}

impl Words {
    pub(super) fn of(content: &Content) -> Self {
        match content {
            Content::Code(mail) => Self {
                subject: format!("Your code is {}", mail.code.as_str()).into(),
                text: text(mail).into(),
                html: Some(html(mail).into()),
            },
            Content::Notice(notice) => Self::of_notice(notice),
        }
    }

    /// Control characters are what could end a header line, or a terminal's patience.
    fn of_notice(notice: &Notice) -> Self {
        let subject: String = notice
            .subject
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(NOTICE_SUBJECT_CHARS)
            .collect();
        let text: String =
            notice.text.chars().filter(|&c| !c.is_control() || c == '\n' || c == '\t').collect();
        Self { subject: subject.into(), text: text.into(), html: None }
    }
}

fn text(mail: &CodeMail) -> String {
    let (code, lifetime, works_for) =
        (mail.code.as_str(), minutes(mail.lifetime), project(&mail.project, " for "));
    format!(
        "{code} is your code{works_for}.\n\
         \n\
         It works once, within {lifetime}.\n\
         Nobody will ever ask you for it: don't share it.\n\
         \n\
         If you did not ask for it, ignore this mail.\n"
    )
}

fn html(mail: &CodeMail) -> String {
    let (code, lifetime) = (mail.code.as_str(), minutes(mail.lifetime));
    let works_for = escape(&project(&mail.project, " for "));
    format!(
        "<!DOCTYPE html>\n\
         <html lang=\"en\">\n\
         <head>\n\
         <meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>Your code</title>\n\
         </head>\n\
         <body style=\"font:16px/1.5 system-ui,sans-serif;margin:24px\">\n\
         <p>\n\
         <strong style=\"font-size:32px;letter-spacing:4px\">{code}</strong><br>\n\
         is your code{works_for}.</p>\n\
         <p>It works once, within {lifetime}.<br>\n\
         Nobody will ever ask you for it: don't share it.</p>\n\
         <p>If you did not ask for it, ignore this mail.</p>\n\
         </body>\n\
         </html>\n"
    )
}

/// Rounded down: a text that says five minutes must not outlive the code.
fn minutes(lifetime: Duration) -> String {
    match lifetime.as_secs() / 60 {
        0 => "a minute".to_owned(),
        1 => "1 minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    }
}

fn project(name: &str, before: &str) -> String {
    let name: String = name.chars().filter(|c| !c.is_control()).take(PROJECT_CHARS).collect();
    if name.is_empty() { name } else { format!("{before}{name}") }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
