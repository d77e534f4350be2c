//! The border of a shard: what may be asked, and what is answered.
//!
//! A [`Command`] holds all that its decision needs, an [`Outcome`] all that its answer needs. Neither holds an
//! address: inboxes are named by fingerprints. Commands of callers are [`Proven`]: they can only be made from what
//! was checked before (`proof.rs` shows what does not compile).

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
    /// Count a request in its peer's windows. The route is
    /// [`StartKeys::peer_route`](crate::route::StartKeys::peer_route).
    Charge(Charge),
    /// Count a mail in the window of an API key or a project. Needed only where that limit is on.
    ChargeKey(ChargeKey),
    /// Take the count back: the mail was not promised after all, or a right code has answered it.
    RefundKey(RefundKey),
    /// Count a mail in the window of a domain that is no known mailbox provider's, and in its
    /// peer's share of it. The route is [`DomainTag::route`](crate::route::DomainTag::route).
    /// Needed only where that limit is on.
    ChargeDomain(ChargeDomain),
    /// Take the count back, as above.
    RefundDomain(RefundDomain),
    /// Ban a network on the operator's word. The route is
    /// [`StartKeys::prefix_route`](crate::route::StartKeys::prefix_route).
    Ban(Ban),
    /// Lift the ban of exactly this network, and what projects' claims have banned of it.
    Unban(Prefix),
}
