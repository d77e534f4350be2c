//! What is answered, and what a shard tells unasked.

use super::{Charged, MailForm, Purpose, Refusal};
use crate::clock::Moment;
use crate::code::Code;
use crate::id::VerificationId;
use crate::identity::{KeyTag, ProjectId};
use crate::route::{Digest128, DomainTag, IdDigest, PeerShare, Route};

/// What a shard answers.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A verification exists and this code is to be mailed.
    Issued(Issued),
    /// A further code is to be mailed.
    Resent(Issued),
    /// The code was right; the slot is gone.
    Approved(Approved),
    /// The code was wrong; so many tries are left (at least one).
    Incorrect {
        /// Tries left.
        attempts_remaining: u8,
        /// As in [`Approved::expires`].
        expires: Moment,
    },
    /// The code was wrong and was the last try; the slot is gone.
    Exhausted {
        /// As in [`Approved::expires`].
        expires: Moment,
    },
    /// The slot is gone, or never was.
    Cancelled {
        /// Whether it was there.
        was_live: bool,
    },
    /// How a verification stands.
    Status(Standing, Option<Box<str>>),
    /// Noted; nothing to say.
    Noted,
    /// The idempotency key is claimed; the salt makes the id.
    Reserved {
        /// Salt for [`IdSecret::derive`](crate::id::IdSecret::derive).
        salt: Digest128,
    },
    /// The same request was answered before.
    Repeated {
        /// What was answered.
        first: First,
        /// The salt of the first request.
        salt: Digest128,
    },
    /// Whether this was the receipt's first introspection.
    Spent {
        /// True once per receipt.
        first: bool,
    },
    /// A request was counted, or refused by a window.
    Charged(Charged),
    /// The network is banned until then.
    Banned(Moment),
    /// The network is never banned; see [`BanRules::exempt`](crate::settings::BanRules::exempt).
    Exempt,
    /// The network is not banned any more.
    Unbanned {
        /// Whether it was.
        was_banned: bool,
    },
    /// No.
    Refused(Refusal),
}

/// The public facts of a live verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What the code is for.
    pub purpose: Purpose,
    /// Digits of the code that was drawn last.
    pub code_length: u8,
    /// When the facts were read.
    pub at: Moment,
    /// The wall time of `at`, in Unix milliseconds.
    pub unix_ms: u64,
    /// When the verification ends.
    pub expires: Moment,
    /// When a resend will be possible.
    pub resend_at: Moment,
    /// Mails left.
    pub sends_remaining: u8,
    /// Tries left.
    pub attempts_remaining: u8,
}

/// An accepted issue or resend.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The id, for the caller alone.
    pub id: VerificationId,
    /// The code, for the mail alone.
    pub code: Code,
    /// The mail's number within its verification, from 1.
    pub send: u8,
    /// How it is to look, as the issue said.
    pub form: MailForm,
    /// The facts for the answer.
    pub standing: Standing,
}

/// A right code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approved {
    /// What the code was for.
    pub purpose: Purpose,
    /// Wall time of the approval, in Unix milliseconds.
    pub unix_ms: u64,
    /// When the verification ends, or would have ended by itself: no record of the answer lives
    /// longer.
    pub expires: Moment,
    /// The mail that it answers; `None` where no window remembers mails.
    pub answered: Option<Answered>,
}

/// A mail that a right code has answered: so that the windows of unanswered mails can give it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// When it was sent.
    pub at: Moment,
    /// By which of the project's keys.
    pub key: KeyTag,
    /// In whose share.
    pub peer: Option<PeerShare>,
    /// To which domain, if it is one that mails are counted for.
    pub domain: Option<DomainTag>,
}

/// What an idempotency record remembers of the first answer: enough to make it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum First {
    /// An issue or a resend.
    Issued(Standing, Route),
    /// A right code.
    Approved(Approved),
    /// A wrong code.
    Incorrect {
        /// Tries that were left.
        attempts_remaining: u8,
        /// As in [`Approved::expires`].
        expires: Moment,
    },
    /// The last wrong code.
    Exhausted {
        /// As in [`Approved::expires`].
        expires: Moment,
    },
}

impl First {
    /// When the verification that was answered about ends, or would have ended by itself.
    pub fn expires(&self) -> Moment {
        match self {
            Self::Issued(standing, _) => standing.expires,
            Self::Approved(approved) => approved.expires,
            Self::Incorrect { expires, .. } | Self::Exhausted { expires } => *expires,
        }
    }
}

/// A verification that ended by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Digest of its id ([`VerificationId::digest`]).
    pub id: IdDigest,
    /// Whose it was.
    pub project: ProjectId,
}

/// What became of an API key's mails in [`CONVERSION_WINDOW`](crate::limits::CONVERSION_WINDOW),
/// the newest apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// Whose key it is.
    pub project: ProjectId,
    /// Which of its keys.
    pub key: KeyTag,
    /// Mails that were promised.
    pub mailed: u32,
    /// Of them, those that a right code has answered.
    pub answered: u32,
}
