//! What is to be mailed: a code somebody waits for, or a notice to an operator.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use authepy_engine::clock::Moment;
use authepy_engine::code::Code;
use authepy_engine::route::{IdDigest, Route};
use zeroize::Zeroizing;

use super::message::Wording;

/// The address exactly as typed, for the mail alone. Wiped when dropped, never printed by `Debug`.
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
    /// Where to.
    pub to: DeliveryAddress,
    /// What it says.
    pub content: Content,
    /// When this job ends; that of a code ends with its verification.
    pub expires: Moment,
}

impl MailJob {
    /// Who waits for word of the hand-over; nobody waits for a notice's.
    pub fn awaited(&self) -> Option<&Awaited> {
        match &self.content {
            Content::Code(mail) => Some(&mail.awaited),
            Content::Notice(_) => None,
        }
    }
}

/// What a mail says.
#[derive(Debug)]
pub enum Content {
    /// A code, to whoever claims the inbox.
    Code(CodeMail),
    /// Word of the service, to an operator's or a project's own address.
    Notice(Notice),
}

/// A code and what is said around it.
#[derive(Debug)]
pub struct CodeMail {
    /// The digits.
    pub code: Code,
    /// The project's display name.
    pub project: Arc<str>,
    /// Template and language.
    pub wording: Wording,
    /// Whose pages may fill the code in: the domain of the accepted origin, as the key's list spells it.
    pub domain: Option<Box<str>>,
    /// How long a new code works; told in the text.
    pub lifetime: Duration,
    /// The verification it belongs to.
    pub awaited: Awaited,
}

/// The verification that a hand-over makes a code current for.
#[derive(Clone, Debug)]
pub struct Awaited {
    /// Digest of the verification's id.
    pub id: IdDigest,
    /// The shard that waits to hear of the hand-over.
    pub route: Route,
    /// The mail's number within its verification, from 1.
    pub send: u8,
}

/// Plain text; belongs to no verification. Wiped when dropped, never printed by `Debug`.
pub struct Notice {
    /// As the caller wrote it; what a header can't hold is taken out when the mail is made.
    pub subject: Zeroizing<String>,
    /// The text.
    pub text: Zeroizing<String>,
    /// Names this mail before relays. Drawn at random, so that it tells nothing.
    pub token: [u8; 16],
}

impl Notice {
    /// A notice under a random name.
    pub fn new(subject: String, text: String, token: [u8; 16]) -> Self {
        Self { subject: Zeroizing::new(subject), text: Zeroizing::new(text), token }
    }
}

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notice(..)")
    }
}
