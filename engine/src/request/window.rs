//! Charges to the windows of API keys, projects and domains.
//!
//! Another shard decides whether a mail is accepted. So the mail is counted first, and refunded if
//! it is refused.

use crate::clock::Moment;
use crate::request::KeyWindow;
use crate::route::{AccountDigest, DomainTag, PeerShare};

/// See [`Command::ChargeKey`](crate::request::Command::ChargeKey).
#[derive(Clone, Copy, Debug)]
pub struct ChargeKey {
    /// Which window.
    pub window: KeyWindow,
    /// Keyed digest of the API key or project; its route says which shard.
    pub of: AccountDigest,
}

/// See [`Command::RefundKey`](crate::request::Command::RefundKey).
#[derive(Clone, Copy, Debug)]
pub struct RefundKey {
    /// What was charged.
    pub charge: ChargeKey,
    /// [`Charged::at`](crate::request::Charged::at) of that charge, or when the answered mail was
    /// sent.
    pub at: Moment,
}

/// See [`Command::ChargeDomain`](crate::request::Command::ChargeDomain).
#[derive(Clone, Copy, Debug)]
pub struct ChargeDomain {
    /// Which domain.
    pub domain: DomainTag,
    /// The peer share it uses; `None` for a secret key that names no client.
    pub peer: Option<PeerShare>,
}

/// See [`Command::RefundDomain`](crate::request::Command::RefundDomain).
#[derive(Clone, Copy, Debug)]
pub struct RefundDomain {
    /// What was charged.
    pub charge: ChargeDomain,
    /// As in [`RefundKey::at`].
    pub at: Moment,
}
