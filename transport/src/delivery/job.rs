//! Mail jobs: a code for a recipient, or a notice to an operator.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use authepy_engine::clock::Moment;
use authepy_engine::code::Code;
use authepy_engine::route::{IdDigest, Route};
use zeroize::Zeroizing;

use super::message::Wording;

/// The address exactly as typed, used only for the mail. Wiped when dropped, never printed by
/// `Debug`.
#[derive(Clone)]
pub struct DeliveryAddress(Zeroizing<String>);

impl DeliveryAddress {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for DeliveryAddress {
    fn from(typed: &str) -> Self {
        Self(Zeroizing::new(typed.to_owned()))
    }
}

impl fmt::Debug for DeliveryAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeliveryAddress(..)")
    }
}

/// One mail to be handed over: at most once, and not after `expires`.
#[derive(Debug)]
pub struct MailJob {
    /// The recipient's address.
    pub to: DeliveryAddress,
    /// Its content.
    pub content: Content,
    /// When this job ends; a code's job ends with its verification.
    pub expires: Moment,
}

impl MailJob {
    /// The verification that waits for the result; `None` for a notice.
    pub fn awaited(&self) -> Option<&Awaited> {
        match &self.content {
            Content::Code(mail) => Some(&mail.awaited),
            Content::Notice(_) => None,
        }
    }
}

/// Content of a mail.
#[derive(Debug)]
pub enum Content {
    /// A code, to the person who claims the address.
    Code(CodeMail),
    /// A message about the service, to an operator's or a project's own address.
    Notice(Notice),
}

/// A code and the values that its template needs.
#[derive(Debug)]
pub struct CodeMail {
    /// The digits.
    pub code: Code,
    /// The project's display name.
    pub project: Arc<str>,
    /// Template and language.
    pub wording: Wording,
    /// Domain whose pages may autofill the code: that of the accepted origin, as spelled in the
    /// key's list.
    pub domain: Option<Box<str>>,
    /// Lifetime of a new code; stated in the mail.
    pub lifetime: Duration,
    /// The verification it belongs to.
    pub awaited: Awaited,
}

/// The verification whose code becomes current once the mail is accepted.
#[derive(Clone, Debug)]
pub struct Awaited {
    /// Digest of the verification's id.
    pub id: IdDigest,
    /// The shard that waits for the result.
    pub route: Route,
    /// The mail's number within its verification, from 1.
    pub send: u8,
}

/// Plain text; belongs to no verification. Wiped when dropped, never printed by `Debug`.
pub struct Notice {
    /// As the caller wrote it; characters that a header can't hold are removed when the mail is
    /// built.
    pub subject: Zeroizing<String>,
    /// The text.
    pub text: Zeroizing<String>,
    /// Identifies this mail to relays. Random, so that it reveals nothing.
    pub token: [u8; 16],
}

impl Notice {
    /// Creates a notice; `token` must be random.
    pub fn new(subject: String, text: String, token: [u8; 16]) -> Self {
        Self { subject: Zeroizing::new(subject), text: Zeroizing::new(text), token }
    }
}

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notice(..)")
    }
}
