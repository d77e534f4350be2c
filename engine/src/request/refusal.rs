//! Why a shard says no, and when it may say yes.

use std::time::Duration;

use crate::limits::OVERLOADED_RETRY_AFTER;

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
