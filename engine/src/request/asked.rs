//! What is asked, each kind as plain values.

use std::time::Duration;

use super::{First, Purpose};
use crate::code::Code;
use crate::id::VerificationId;
use crate::identity::{KeyTag, Owner};
use crate::peer::Prefix;
use crate::route::{
    AddressDigest, BodyDigest, ClaimDigest, IdDigest, InboxFingerprint, NonceDigest, PeerShare,
    ReceiptDigest, Route, StartKeys,
};

/// See [`Command::Ban`](super::Command::Ban).
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

/// See [`Command::Issue`](super::Command::Issue).
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

/// How the mails of a verification look, as whoever writes them numbers it. Kept for the resends,
/// which do not say it again; no rule reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MailForm {
    /// The language.
    pub locale: u8,
    /// The template.
    pub template: u8,
}

/// See [`Command::Check`](super::Command::Check).
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

/// See [`Command::Resend`](super::Command::Resend).
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

/// See [`Command::HandOver`](super::Command::HandOver).
#[derive(Clone, Debug)]
pub struct HandOver {
    /// Digest of the id whose code was mailed.
    pub id: IdDigest,
    /// The mail's number within its verification, from 1.
    pub send: u8,
    /// Whether a relay took it (or may have).
    pub accepted: bool,
}

/// See [`Command::Reserve`](super::Command::Reserve).
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

/// See [`Command::Settle`](super::Command::Settle).
#[derive(Clone, Debug)]
pub struct Settle {
    /// The key claimed before.
    pub key: ClaimDigest,
    /// What to answer to a repetition; `None` releases the key, so that a refused request may be
    /// tried again under it.
    pub first: Option<First>,
}

/// See [`Command::Spend`](super::Command::Spend).
#[derive(Clone, Debug)]
pub struct Spend {
    /// Digest of the receipt's `jti`; its route says which shard.
    pub receipt: ReceiptDigest,
    /// In whose share of the records it is.
    pub owner: Owner,
    /// When the receipt expires by itself and may be forgotten.
    pub lifetime: Duration,
}
