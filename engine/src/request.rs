//! The border's vocabulary: what may be asked of a shard, and what it answers.
//!
//! A [`Command`] carries everything the decision needs, an [`Outcome`] everything the answer needs.
//! Neither holds an address: inboxes travel as fingerprints.

use std::time::Duration;

use crate::clock::Moment;
use crate::code::Code;
use crate::id::VerificationId;
use crate::identity::{KeyTag, Owner, ProjectId};
use crate::limits::OVERLOADED_RETRY_AFTER;
use crate::peer::Prefix;
use crate::route::{
    AddressDigest, BodyDigest, ClaimDigest, Digest128, DomainTag, IdDigest, InboxFingerprint, NonceDigest,
    PeerShare, ReceiptDigest, Route, StartKeys,
};

mod charge;
mod proof;
mod purpose;
mod window;
pub use crate::settings::{Activity, KeyWindow};
pub use charge::{Charge, Charged, Quota, Quotas, Source};
pub use proof::{Addressee, Paid, Proven, Terms};
pub use purpose::{Purpose, Word};
pub use window::{ChargeDomain, ChargeKey, RefundDomain, RefundKey};

/// A verification that ended by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Digest of its id ([`VerificationId::digest`]).
    pub id: IdDigest,
    /// Whose it was.
    pub project: ProjectId,
}

/// What became of an API key's mails in [`CONVERSION_WINDOW`](crate::limits::CONVERSION_WINDOW), the newest apart.
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

/// One question to one shard.
#[derive(Debug)]
pub enum Command {
    /// Open a verification and draw its first code.
    Issue(Proven<Issue>),
    /// Count a try, compare it, purge on success.
    Check(Proven<Check>),
    /// Draw another code for a verification that exists.
    Resend(Proven<Resend>),
    /// Purge a verification. Also right for an unknown one.
    Cancel(Proven<Slot>),
    /// Tell how a verification stands.
    Status(Proven<Slot>),
    /// A mail hand-over ended.
    HandOver(HandOver),
    /// Claim an idempotency key.
    Reserve(Proven<Reserve>),
    /// Store or release a claimed idempotency key.
    Settle(Settle),
    /// Mark a receipt as introspected.
    Spend(Proven<Spend>),
    /// Count a request in its peer's windows. The route is [`StartKeys::peer_route`].
    Charge(Charge),
    /// Count a mail in the window of an API key or a project. Needed only where that limit is on.
    ChargeKey(ChargeKey),
    /// Take the count back: the mail was not promised after all, or a right code has answered it.
    RefundKey(RefundKey),
    /// Count a mail in the window of a domain that is no known mailbox provider's, and in its peer's share of it. The
    /// route is [`DomainTag::route`]. Needed only where that limit is on.
    ChargeDomain(ChargeDomain),
    /// Take the count back, as above.
    RefundDomain(RefundDomain),
    /// Ban a network on the operator's word. The route is [`StartKeys::prefix_route`].
    Ban(Ban),
    /// Lift the ban of exactly this network, and what projects' claims have banned of it.
    Unban(Prefix),
}

/// See [`Command::Ban`].
#[derive(Clone, Debug)]
pub struct Ban {
    /// Whom.
    pub prefix: Prefix,
    /// For how long; `None` for as long as strikes would have banned it now.
    pub span: Option<Duration>,
}

/// Names a verification and says who asks; where it lives is worked out once.
#[derive(Clone, Debug)]
pub struct Slot {
    /// The id its holder presented.
    pub id: VerificationId,
    /// The shard it lives on.
    pub route: Route,
    /// The caller's project and mode.
    pub owner: Owner,
}

impl Slot {
    /// Works out where `id` lives.
    pub fn locate(keys: &StartKeys, id: VerificationId, owner: Owner) -> Self {
        let route = id.route(keys);
        Self { id, route, owner }
    }
}

/// See [`Command::Issue`].
#[derive(Clone, Debug)]
pub struct Issue {
    /// The inbox (canonical recipient); its route says which shard.
    pub inbox: InboxFingerprint,
    /// Digest of the address ([`StartKeys::exact_address`]).
    pub address: AddressDigest,
    /// Who asks.
    pub owner: Owner,
    /// Which of the owner's keys asks.
    pub key: KeyTag,
    /// Whose share of the project's budget this uses; `None` for a secret key that names no client.
    pub peer: Option<PeerShare>,
    /// The id to be, whose slot lives where the inbox does.
    pub id: VerificationId,
    /// Digits of the code; `None` for the configured number.
    pub code_length: Option<u8>,
    /// Life of the verification; `None` for the configured one.
    pub lifetime: Option<Duration>,
    /// Digest of the nonce that every check must repeat.
    pub nonce: Option<NonceDigest>,
    /// What the code is for; ends up in the receipt.
    pub purpose: Purpose,
    /// How its mails are to look.
    pub form: MailForm,
    /// The caller's own notes, as canonical JSON; ends up in the status.
    pub metadata: Option<Box<str>>,
}

/// How the mails of a verification look, as whoever writes them numbers it. Kept for the resends, which do
/// not say it again; no rule reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MailForm {
    /// The language.
    pub locale: u8,
    /// The template.
    pub template: u8,
}

/// See [`Command::Check`].
#[derive(Debug)]
pub struct Check {
    /// Which verification.
    pub slot: Slot,
    /// The digits presented.
    pub code: Code,
    /// Digest of the address that the code was sent to, if the caller wants it confirmed.
    pub address: Option<AddressDigest>,
    /// Digest of the nonce, if the caller sent one.
    pub nonce: Option<NonceDigest>,
}

/// See [`Command::Resend`].
#[derive(Clone, Debug)]
pub struct Resend {
    /// Which verification.
    pub slot: Slot,
    /// Digest of the address; the server kept no copy of the address itself.
    pub address: AddressDigest,
    /// As in [`Issue::key`].
    pub key: KeyTag,
    /// As in [`Issue::peer`].
    pub peer: Option<PeerShare>,
}

/// See [`Command::HandOver`].
#[derive(Clone, Debug)]
pub struct HandOver {
    /// Digest of the id whose code was mailed.
    pub id: IdDigest,
    /// The mail's number within its verification, from 1.
    pub send: u8,
    /// Whether a relay took it (or may have).
    pub accepted: bool,
}

/// See [`Command::Reserve`].
#[derive(Clone, Debug)]
pub struct Reserve {
    /// Digest of caller and idempotency key; its route says which shard.
    pub key: ClaimDigest,
    /// Digest of the route and the canonical body.
    pub body: BodyDigest,
    /// In whose share of the records it is.
    pub owner: Owner,
    /// The longest the record may live. [`Settle`] shortens it to the life of what it tells of.
    pub lifetime: Duration,
}

/// See [`Command::Settle`].
#[derive(Clone, Debug)]
pub struct Settle {
    /// The key claimed before.
    pub key: ClaimDigest,
    /// What to answer to a repetition; `None` releases the key, so that a refused request may be tried
    /// again under it.
    pub first: Option<First>,
}

/// See [`Command::Spend`].
#[derive(Clone, Debug)]
pub struct Spend {
    /// Digest of the receipt's `jti`; its route says which shard.
    pub receipt: ReceiptDigest,
    /// In whose share of the records it is.
    pub owner: Owner,
    /// When the receipt expires by itself and may be forgotten.
    pub lifetime: Duration,
}

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
    /// When the verification ends, or would have ended by itself: no record of the answer lives longer.
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

/// Whose limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Mails per inbox.
    Recipient,
    /// Requests per peer.
    Peer,
    /// Requests per API key.
    Key,
    /// Mails per verification, or too soon after the last.
    Resend,
    /// Mails per project.
    Project,
    /// Mails per domain that no right code has answered.
    Domain,
}

/// Why not. Each says what was seen; the transport turns it into an answer in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Unknown, expired, cancelled, consumed, or somebody else's.
    VerificationNotFound,
    /// The address is not the one the code was sent to.
    RecipientMismatch,
    /// The nonce is missing or not the one given at issue.
    NonceMismatch,
    /// Another number of digits than any of the codes has.
    MalformedCode,
    /// A window or a count is used up.
    RateLimited {
        /// Whose.
        policy: Policy,
        /// Waiting this long is enough.
        retry_after: Duration,
    },
    /// The peer is banned.
    Banned {
        /// What is left of the ban.
        retry_after: Duration,
    },
    /// No room: a full inbox, a full table.
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// The mail can't be promised now.
    DeliveryUnavailable {
        /// When to try again.
        retry_after: Duration,
    },
    /// The first request under this idempotency key still runs.
    IdempotencyInProgress {
        /// When to try again.
        retry_after: Duration,
    },
    /// The idempotency key came with another request before.
    IdempotencyKeyReused,
    /// The shard can't answer: it failed and waits for its process to end.
    NotReady {
        /// When to try again.
        retry_after: Duration,
    },
}

/// What is answered where there is no room.
pub(crate) const OVERLOADED: Refusal = Refusal::Overloaded { retry_after: OVERLOADED_RETRY_AFTER };
