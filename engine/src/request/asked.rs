//! The contents of each command, as plain values.

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
    /// The network to ban.
    pub prefix: Prefix,
    /// Duration; `None` for as long as strikes would ban it now.
    pub span: Option<Duration>,
}

/// Names a verification and its caller; the route is computed once.
#[derive(Clone, Debug)]
pub struct Slot {
    /// The id presented by the caller.
    pub id: VerificationId,
    /// The shard that holds the verification.
    pub route: Route,
    /// The caller's project and mode.
    pub owner: Owner,
}

impl Slot {
    /// Computes the route of `id`.
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
    /// The caller's project and mode.
    pub owner: Owner,
    /// Which of the owner's keys was used.
    pub key: KeyTag,
    /// The share of the project's budget this uses; `None` for a secret key that names no client.
    pub peer: Option<PeerShare>,
    /// The new id; its slot lives where the inbox does.
    pub id: VerificationId,
    /// Digits of the code; `None` for the configured number.
    pub code_length: Option<u8>,
    /// Lifetime of the verification; `None` for the configured one.
    pub lifetime: Option<Duration>,
    /// Digest of the nonce that every check must repeat.
    pub nonce: Option<NonceDigest>,
    /// What the code is for; included in the receipt.
    pub purpose: Purpose,
    /// Language and template of its mails.
    pub form: MailForm,
    /// The caller's own metadata, as canonical JSON; included in the status.
    pub metadata: Option<Box<str>>,
}

/// Language and template of a verification's mails, numbered by the code that writes the mails.
/// Kept for resends, which do not repeat it; no rule reads it.
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
    /// The verification.
    pub slot: Slot,
    /// The digits presented.
    pub code: Code,
    /// Digest of the address the code was sent to, if the caller wants it confirmed.
    pub address: Option<AddressDigest>,
    /// Digest of the nonce, if the caller sent one.
    pub nonce: Option<NonceDigest>,
}

/// See [`Command::Resend`](super::Command::Resend).
#[derive(Clone, Debug)]
pub struct Resend {
    /// The verification.
    pub slot: Slot,
    /// Digest of the address; the server keeps no copy of the address itself.
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
    /// Whether a relay accepted it (or may have).
    pub accepted: bool,
}

/// See [`Command::Reserve`](super::Command::Reserve).
#[derive(Clone, Debug)]
pub struct Reserve {
    /// Digest of caller and idempotency key; its route says which shard.
    pub key: ClaimDigest,
    /// Digest of the route and the canonical body.
    pub body: BodyDigest,
    /// The owner whose share of the records it uses.
    pub owner: Owner,
    /// Longest lifetime of the record. [`Settle`] shortens it to the expiry of the verification in
    /// the answer.
    pub lifetime: Duration,
}

/// See [`Command::Settle`](super::Command::Settle).
#[derive(Clone, Debug)]
pub struct Settle {
    /// The reserved key.
    pub key: ClaimDigest,
    /// The answer to give to a repeated request; `None` releases the key, so that a refused request
    /// may be retried under it.
    pub first: Option<First>,
}

/// See [`Command::Spend`](super::Command::Spend).
#[derive(Clone, Debug)]
pub struct Spend {
    /// Digest of the receipt's `jti`; its route says which shard.
    pub receipt: ReceiptDigest,
    /// The owner whose share of the records it uses.
    pub owner: Owner,
    /// Time until the receipt expires and may be forgotten.
    pub lifetime: Duration,
}
