//! Preview of a mail that is not sent.

use authepy_engine::route::StartKeys;
use lettre::message::Mailbox;
use zeroize::Zeroizing;

use super::{Mail, Spelling};
use crate::delivery::job::MailJob;

/// What a recipient would see, and the message as it would be sent.
pub struct Preview {
    /// The subject.
    pub subject: Zeroizing<String>,
    /// The text part.
    pub text: Zeroizing<String>,
    /// The HTML part.
    pub html: Zeroizing<String>,
    /// The whole message, with CRLF line ends.
    pub eml: Zeroizing<Vec<u8>>,
}

impl Preview {
    /// Renders `job` without sending it. `None` if no message can be built.
    pub fn of(job: &MailJob, from: &str, keys: &StartKeys, unix_ms: u64) -> Option<Self> {
        let from: Mailbox = from.parse().ok()?;
        let mail = Mail::new(job, keys, unix_ms).ok()?;
        let eml = mail.compose(&from, Spelling::AsTyped).ok()?;
        Some(Self {
            subject: mail.subject().to_owned().into(),
            text: mail.text().to_owned().into(),
            html: mail.html().unwrap_or_default().to_owned().into(),
            eml,
        })
    }
}
