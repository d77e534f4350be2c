//! Content of a mail: subject, text, and HTML if it holds a code.

use zeroize::Zeroizing;

use super::fault::TemplateFault;
use super::phrases::Facts;
use crate::delivery::job::{CodeMail, Content, Notice};

/// Longest project name in a mail; longer ones are cut to keep lines readable.
const PROJECT_CHARS: usize = 64;
/// Longest subject of a notice. It is folded: RFC 5322 recommends lines of at most 78.
const NOTICE_SUBJECT_CHARS: usize = 150;

/// The parts of one mail, ready to be encoded.
pub(super) struct Words {
    /// One line.
    pub(super) subject: Zeroizing<String>,
    /// Plain text.
    pub(super) text: Zeroizing<String>,
    /// The same as HTML; a notice has none.
    pub(super) html: Option<Zeroizing<String>>,
    /// Language of both parts, as a BCP 47 tag; unknown for a notice.
    pub(super) language: Option<&'static str>,
}

impl Words {
    pub(super) fn of(content: &Content) -> Result<Self, TemplateFault> {
        match content {
            Content::Code(mail) => Self::of_code(mail),
            Content::Notice(notice) => Ok(Self::of_notice(notice)),
        }
    }

    fn of_code(mail: &CodeMail) -> Result<Self, TemplateFault> {
        let project: String = mail.project.chars().filter(|&c| !is_unseen(c)).take(PROJECT_CHARS).collect();
        let facts = Facts { code: mail.code.as_str(), project: &project, lifetime: mail.lifetime };
        mail.wording.template.words(mail.wording.locale, &facts, mail.domain.as_deref())
    }

    /// Removes control characters: they could end a header line or disturb a terminal.
    fn of_notice(notice: &Notice) -> Self {
        let subject: String = notice
            .subject
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(NOTICE_SUBJECT_CHARS)
            .collect();
        let text: String =
            notice.text.chars().filter(|&c| !c.is_control() || c == '\n' || c == '\t').collect();
        Self { subject: subject.into(), text: text.into(), html: None, language: None }
    }
}

/// Whether `c` ends a line, changes text direction, or is invisible.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
