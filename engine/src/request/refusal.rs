//! Why a shard refuses, and when to retry.

use std::time::Duration;

use crate::limits::OVERLOADED_RETRY_AFTER;

/// The policy whose limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Mails per inbox.
    Recipient,
    /// Requests per peer.
    Peer,
    /// Requests per API key.
    Key,
    /// Mails per verification, or a resend too soon after the last.
    Resend,
    /// Mails per project.
    Project,
    /// Mails per domain that no correct code has answered.
    Domain,
}

/// Why a command was refused. Each variant says what was seen; the transport maps it to an answer
/// in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Unknown, expired, cancelled, consumed, or of another owner.
    VerificationNotFound,
    /// The address is not the one the code was sent to.
    RecipientMismatch,
    /// The nonce is missing or not the one given at issue.
    NonceMismatch,
    /// The number of digits matches none of the codes.
    MalformedCode,
    /// A limit is reached.
    RateLimited {
        /// The policy it belongs to.
        policy: Policy,
        /// Waiting this long is enough.
        retry_after: Duration,
    },
    /// The peer is banned.
    Banned {
        /// Time left of the ban.
        retry_after: Duration,
    },
    /// No room: a queue or a table is full.
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// The mail can't be accepted now.
    DeliveryUnavailable {
        /// When to try again.
        retry_after: Duration,
    },
    /// The first request under this idempotency key is still running.
    IdempotencyInProgress {
        /// When to try again.
        retry_after: Duration,
    },
    /// The idempotency key was used with another request before.
    IdempotencyKeyReused,
    /// The shard has failed and can't answer; its process is about to exit.
    NotReady {
        /// When to try again.
        retry_after: Duration,
    },
}

/// The refusal of a full queue or table.
pub(crate) const OVERLOADED: Refusal = Refusal::Overloaded { retry_after: OVERLOADED_RETRY_AFTER };
