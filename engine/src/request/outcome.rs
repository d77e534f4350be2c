//! The answers of a shard, and the events it reports.

use super::{Charged, MailForm, Purpose, Refusal};
use crate::clock::Moment;
use crate::code::Code;
use crate::id::VerificationId;
use crate::identity::{KeyTag, ProjectId};
use crate::route::{Digest128, DomainTag, IdDigest, PeerShare, Route};

/// The answer of a shard.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A verification exists and this code must be mailed.
    Issued(Issued),
    /// Another code must be mailed.
    Resent(Issued),
    /// The code was correct; the slot is purged.
    Approved(Approved),
    /// The code was wrong; at least one attempt is left.
    Incorrect {
        /// Attempts left.
        attempts_remaining: u8,
        /// As in [`Approved::expires`].
        expires: Moment,
    },
    /// The code was wrong and this was the last attempt; the slot is purged.
    Exhausted {
        /// As in [`Approved::expires`].
        expires: Moment,
    },
    /// The slot is purged, or never existed.
    Cancelled {
        /// Whether it existed.
        was_live: bool,
    },
    /// The state of a verification, and its metadata.
    Status(Standing, Option<Box<str>>),
    /// Done; there is nothing to report.
    Noted,
    /// The idempotency key is reserved; the id is derived from the salt.
    Reserved {
        /// Salt for [`IdSecret::derive`](crate::id::IdSecret::derive).
        salt: Digest128,
    },
    /// The same request was answered before.
    Repeated {
        /// The first answer.
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
    /// The network is no longer banned.
    Unbanned {
        /// Whether it was banned.
        was_banned: bool,
    },
    /// Refused.
    Refused(Refusal),
}

/// The public facts of a live verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What the code is for.
    pub purpose: Purpose,
    /// Digits of the code drawn last.
    pub code_length: u8,
    /// When this state was read.
    pub at: Moment,
    /// The wall time of `at`, in Unix milliseconds.
    pub unix_ms: u64,
    /// When the verification ends.
    pub expires: Moment,
    /// From when a resend is possible.
    pub resend_at: Moment,
    /// Mails left.
    pub sends_remaining: u8,
    /// Attempts left.
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
    /// Language and template, as in the issue.
    pub form: MailForm,
    /// The state for the answer.
    pub standing: Standing,
}

/// A correct code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approved {
    /// What the code was for.
    pub purpose: Purpose,
    /// Wall time of the approval, in Unix milliseconds.
    pub unix_ms: u64,
    /// When the verification ends, or would have ended: no record of the answer lives longer.
    pub expires: Moment,
    /// The mail it answers; `None` if no window remembers mails.
    pub answered: Option<Answered>,
}

/// A mail answered by a correct code, so that the windows of unanswered mails can give it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// When it was sent.
    pub at: Moment,
    /// The project's key that sent it.
    pub key: KeyTag,
    /// The peer share it used.
    pub peer: Option<PeerShare>,
    /// Its domain, if mails are counted for that domain.
    pub domain: Option<DomainTag>,
}

/// What an idempotency record remembers of the first answer: enough to rebuild it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum First {
    /// An issue or a resend.
    Issued(Standing, Route),
    /// A correct code.
    Approved(Approved),
    /// A wrong code.
    Incorrect {
        /// Attempts that were left.
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
    /// When the verification in the answer ends, or would have ended.
    pub fn expires(&self) -> Moment {
        match self {
            Self::Issued(standing, _) => standing.expires,
            Self::Approved(approved) => approved.expires,
            Self::Incorrect { expires, .. } | Self::Exhausted { expires } => *expires,
        }
    }
}

/// A verification that expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Digest of its id ([`VerificationId::digest`]).
    pub id: IdDigest,
    /// Its project.
    pub project: ProjectId,
}

/// How many of an API key's mails were answered, over
/// [`CONVERSION_WINDOW`](crate::limits::CONVERSION_WINDOW), leaving out the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// The key's project.
    pub project: ProjectId,
    /// Which of the project's keys.
    pub key: KeyTag,
    /// Mails accepted for delivery.
    pub mailed: u32,
    /// Those of them that a correct code has answered.
    pub answered: u32,
}
