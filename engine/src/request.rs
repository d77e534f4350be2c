//! The commands a shard accepts, and the outcomes it returns.
//!
//! A [`Command`] carries everything that the decision needs, an [`Outcome`] everything that the
//! answer needs. Neither holds an address: inboxes travel as fingerprints.

use crate::peer::Prefix;

mod asked;
mod charge;
mod outcome;
mod proof;
mod purpose;
mod refusal;
mod window;

pub use crate::settings::{Activity, KeyWindow};
pub use asked::{Ban, Check, HandOver, Issue, MailForm, Resend, Reserve, Settle, Slot, Spend};
pub use charge::{Charge, Charged, Quota, Quotas, Source};
pub use outcome::{Answered, Approved, Conversion, Expired, First, Issued, Outcome, Standing};
pub use proof::{Addressee, Paid, Proven, Terms};
pub use purpose::{Purpose, Word};
pub(crate) use refusal::OVERLOADED;
pub use refusal::{Policy, Refusal};
pub use window::{ChargeDomain, ChargeKey, RefundDomain, RefundKey};

/// One command to one shard.
#[derive(Debug)]
pub enum Command {
    /// Open a verification and draw its first code.
    Issue(Proven<Issue>),
    /// Count an attempt, compare the code, purge on success.
    Check(Proven<Check>),
    /// Draw another code for an existing verification.
    Resend(Proven<Resend>),
    /// Purge a verification. Succeeds for an unknown one, too.
    Cancel(Proven<Slot>),
    /// Report the state of a verification.
    Status(Proven<Slot>),
    /// The delivery report of a mail.
    HandOver(HandOver),
    /// Reserve an idempotency key.
    Reserve(Proven<Reserve>),
    /// Store the first answer of a reserved idempotency key, or release the key.
    Settle(Settle),
    /// Mark a receipt as introspected.
    Spend(Proven<Spend>),
    /// Count a request in its peer's windows. The route is
    /// [`StartKeys::peer_route`](crate::route::StartKeys::peer_route).
    Charge(Charge),
    /// Count a mail in the window of an API key or a project. Needed only if that limit is on.
    ChargeKey(ChargeKey),
    /// Take the count back: the mail was not accepted after all, or a correct code has answered it.
    RefundKey(RefundKey),
    /// Count a mail in the window of a domain that is not a known mailbox provider's, and in its
    /// peer's share of it. The route is [`DomainTag::route`](crate::route::DomainTag::route).
    /// Needed only if that limit is on.
    ChargeDomain(ChargeDomain),
    /// Take the count back, as for [`Command::RefundKey`].
    RefundDomain(RefundDomain),
    /// Ban a network on behalf of the operator. The route is
    /// [`StartKeys::prefix_route`](crate::route::StartKeys::prefix_route).
    Ban(Ban),
    /// Lift the bans of exactly this network, including those based on projects' claims.
    Unban(Prefix),
}
