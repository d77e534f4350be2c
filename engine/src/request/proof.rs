//! The proofs that a command requires: the caller was admitted, the recipient was parsed, the
//! request was charged.
//!
//! ```text
//!   admit ───────────▶ Admitted ──┐
//!   Recipient::parse ▶ Addressee ─┼─▶ Proven<Issue> ─▶ Command::Issue
//!   Command::Charge ─▶ Paid ──────┘
//! ```
//!
//! A [`Command`](super::Command) takes [`Proven`] values, and each of those can be built only from
//! its proofs, so skipping a step does not compile. The proofs are values of a few words; they add
//! no cost.
//!
//! With all three proofs this compiles:
//!
//! ```
//! # use authepy_engine::id::IdSecret;
//! # use authepy_engine::perimeter::Admitted;
//! # use authepy_engine::recipient::Recipient;
//! # use authepy_engine::request::{Addressee, Command, Issue, Paid, Proven, Terms};
//! # use authepy_engine::route::StartKeys;
//! # fn _of(keys: &StartKeys, terms: Terms, secret: IdSecret, admitted: &Admitted, recipient: &Recipient, paid: Paid) {
//! let addressee = Addressee::of(recipient, admitted, keys);
//! let issue = Proven::<Issue>::new(admitted, addressee, paid, terms, keys, secret);
//! let command = Command::Issue(issue);
//! # }
//! ```
//!
//! It does not compile for an address that was not parsed as a recipient,
//!
//! ```compile_fail,E0308
//! # use authepy_engine::id::IdSecret;
//! # use authepy_engine::perimeter::Admitted;
//! # use authepy_engine::recipient::Recipient;
//! # use authepy_engine::request::{Addressee, Command, Issue, Paid, Proven, Terms};
//! # use authepy_engine::route::StartKeys;
//! # fn _of(keys: &StartKeys, terms: Terms, secret: IdSecret, admitted: &Admitted, recipient: &str, paid: Paid) {
//! let addressee = Addressee::of(recipient, admitted, keys);
//! let issue = Proven::<Issue>::new(admitted, addressee, paid, terms, keys, secret);
//! let command = Command::Issue(issue);
//! # }
//! ```
//!
//! for a key that was not admitted,
//!
//! ```compile_fail,E0308
//! # use authepy_engine::id::IdSecret;
//! # use authepy_engine::perimeter::Admitted;
//! # use authepy_engine::recipient::Recipient;
//! # use authepy_engine::request::{Addressee, Command, Issue, Paid, Proven, Terms};
//! # use authepy_engine::route::StartKeys;
//! # fn _of(keys: &StartKeys, terms: Terms, secret: IdSecret, admitted: &authepy_engine::perimeter::KeyRecord, recipient: &Recipient, paid: Paid) {
//! let addressee = Addressee::of(recipient, admitted, keys);
//! let issue = Proven::<Issue>::new(admitted, addressee, paid, terms, keys, secret);
//! let command = Command::Issue(issue);
//! # }
//! ```
//!
//! for a charge whose outcome was not examined,
//!
//! ```compile_fail,E0308
//! # use authepy_engine::id::IdSecret;
//! # use authepy_engine::perimeter::Admitted;
//! # use authepy_engine::recipient::Recipient;
//! # use authepy_engine::request::{Addressee, Command, Issue, Paid, Proven, Terms};
//! # use authepy_engine::route::StartKeys;
//! # fn _of(keys: &StartKeys, terms: Terms, secret: IdSecret, admitted: &Admitted, recipient: &Recipient, paid: authepy_engine::request::Charge) {
//! let addressee = Addressee::of(recipient, admitted, keys);
//! let issue = Proven::<Issue>::new(admitted, addressee, paid, terms, keys, secret);
//! let command = Command::Issue(issue);
//! # }
//! ```
//!
//! for a charge that was already used for another issue,
//!
//! ```compile_fail,E0382
//! # use authepy_engine::id::IdSecret;
//! # use authepy_engine::perimeter::Admitted;
//! # use authepy_engine::recipient::Recipient;
//! # use authepy_engine::request::{Addressee, Command, Issue, Paid, Proven, Terms};
//! # use authepy_engine::route::StartKeys;
//! # fn _of(keys: &StartKeys, terms: Terms, secret: IdSecret, admitted: &Admitted, recipient: &Recipient, paid: Paid) {
//! let addressee = Addressee::of(recipient, admitted, keys);
//! let other = Proven::<Issue>::new(admitted, addressee, paid, terms.clone(), keys, secret.clone());
//! let issue = Proven::<Issue>::new(admitted, addressee, paid, terms, keys, secret);
//! let command = Command::Issue(issue);
//! # }
//! ```
//!
//! nor for an issue that was built without proofs:
//!
//! ```compile_fail,E0308
//! # use authepy_engine::id::IdSecret;
//! # use authepy_engine::perimeter::Admitted;
//! # use authepy_engine::recipient::Recipient;
//! # use authepy_engine::request::{Addressee, Command, Issue, Paid, Proven, Terms};
//! # use authepy_engine::route::StartKeys;
//! # fn _of(keys: &StartKeys, terms: Terms, secret: IdSecret, issue: Issue) {
//! let command = Command::Issue(issue);
//! # }
//! ```
//!
//! With the proofs, it compiles:
//!
//! ```
//! # use authepy_engine::id::IdSecret;
//! # use authepy_engine::perimeter::Admitted;
//! # use authepy_engine::recipient::Recipient;
//! # use authepy_engine::request::{Addressee, Command, Issue, Paid, Proven, Terms};
//! # use authepy_engine::route::StartKeys;
//! # fn _of(keys: &StartKeys, terms: Terms, secret: IdSecret, issue: Proven<Issue>) {
//! let command = Command::Issue(issue);
//! # }
//! ```

use std::ops::Deref;
use std::time::Duration;

use super::{
    Activity, Charge, Charged, Check, Issue, MailForm, Purpose, Refusal, Resend, Reserve, Slot, Source, Spend,
};
use crate::code::Code;
use crate::id::{IdSecret, VerificationId};
use crate::identity::KeyTag;
use crate::peer::Peer;
use crate::perimeter::Admitted;
use crate::perimeter::api_key::KeyClass;
use crate::recipient::Recipient;
use crate::route::{
    AddressDigest, BodyDigest, ClaimDigest, InboxFingerprint, NonceDigest, PeerShare, ReceiptDigest,
    StartKeys,
};
use crate::settings::Settings;

/// A command whose proofs were given. It can be read, but neither changed nor copied: one proof,
/// one command.
#[derive(Debug)]
pub struct Proven<T>(pub(crate) T);

impl<T> Proven<T> {
    pub(crate) fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Proven<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Proof that a request was charged to its peer, or that there is nothing to charge. Consumed by
/// the command that it pays for.
#[derive(Debug)]
pub struct Paid {
    activity: Activity,
    payer: Option<(Peer, Source)>,
}

impl Paid {
    /// From the outcome of a charge: an error if a window or a ban refused it.
    pub fn of(charge: &Charge, charged: &Charged) -> Result<Self, Refusal> {
        charged.refusal.map_or(Ok(Self::by(charge)), Err)
    }

    /// For a charge that these settings don't count; `None` if they do, and the charge must be sent
    /// to its shard.
    pub fn uncounted(charge: &Charge, settings: &Settings) -> Option<Self> {
        (!charge.is_counted(settings)).then(|| Self::by(charge))
    }

    /// For a secret key that names no client: its requests are charged to no peer. `None` for a
    /// restricted key, whose requests are charged to their sender.
    pub fn by_nobody(admitted: &Admitted, activity: Activity) -> Option<Self> {
        (admitted.key().class == KeyClass::Secret).then_some(Self { activity, payer: None })
    }

    fn by(charge: &Charge) -> Self {
        Self { activity: charge.activity, payer: Some((charge.peer, charge.source)) }
    }

    /// The share of an inbox's budget that the request uses. Claims of a project must not use up
    /// the peer's own share at other projects.
    fn share(&self, keys: &StartKeys) -> Option<PeerShare> {
        self.payer.as_ref().map(|(peer, source)| source.share(keys, peer))
    }

    /// Checks that the charged activity matches the command; a resend is charged as an issue.
    fn pays_for(&self, activity: Activity) {
        debug_assert_eq!(self.activity, activity, "charged as another activity");
    }
}

impl Source {
    /// The peer's share under this source.
    pub fn share(&self, keys: &StartKeys, peer: &Peer) -> PeerShare {
        match self {
            Self::Proved => keys.peer_share(peer),
            Self::Claimed(owner) => keys.claimed_share(peer, owner.project),
        }
    }
}

/// A recipient as shards know it. It can only be made from a [`Recipient`], which was parsed from
/// an address.
#[derive(Clone, Copy, Debug)]
pub struct Addressee {
    inbox: InboxFingerprint,
    address: AddressDigest,
}

impl Addressee {
    /// Computes the recipient's inbox and address digest with the keys of this process. Test keys
    /// have inboxes of their own.
    pub fn of(recipient: &Recipient, admitted: &Admitted, keys: &StartKeys) -> Self {
        Self {
            inbox: recipient.inbox(keys, admitted.key().mode),
            address: keys.exact_address(recipient.exact()),
        }
    }

    /// The inbox.
    pub fn inbox(&self) -> InboxFingerprint {
        self.inbox
    }
}

/// The optional parts of an issue: what it says about the code and its mails.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Digits of the code; `None` for the configured number.
    pub code_length: Option<u8>,
    /// Lifetime of the verification; `None` for the configured one.
    pub lifetime: Option<Duration>,
    /// Digest of the nonce that every check must repeat.
    pub nonce: Option<NonceDigest>,
    /// What the code is for.
    pub purpose: Purpose,
    /// Language and template of its mails.
    pub form: MailForm,
    /// The caller's own metadata, as canonical JSON.
    pub metadata: Option<Box<str>>,
}

impl Proven<Issue> {
    /// An issue by an admitted caller, to a parsed recipient's inbox, charged to its peer. `secret`
    /// becomes the new id.
    pub fn new(
        admitted: &Admitted,
        addressee: Addressee,
        paid: Paid,
        terms: Terms,
        keys: &StartKeys,
        secret: IdSecret,
    ) -> Self {
        paid.pays_for(Activity::Issue);
        let Addressee { inbox, address } = addressee;
        let Terms { code_length, lifetime, nonce, purpose, form, metadata } = terms;
        Self(Issue {
            inbox,
            address,
            owner: admitted.owner(),
            key: KeyTag::from(&admitted.key().digest),
            peer: paid.share(keys),
            id: VerificationId::new(keys, secret, inbox.route()),
            code_length,
            lifetime,
            nonce,
            purpose,
            form,
            metadata,
        })
    }
}

impl Proven<Slot> {
    /// The verification that an admitted caller names; only its own project and mode can find it.
    pub fn new(admitted: &Admitted, id: VerificationId, keys: &StartKeys) -> Self {
        Self(Slot::locate(keys, id, admitted.owner()))
    }
}

impl Proven<Resend> {
    /// Another code for a verification, charged like an issue.
    pub fn new(
        admitted: &Admitted,
        slot: Proven<Slot>,
        addressee: Addressee,
        paid: Paid,
        keys: &StartKeys,
    ) -> Self {
        paid.pays_for(Activity::Issue);
        let (key, peer) = (KeyTag::from(&admitted.key().digest), paid.share(keys));
        Self(Resend { slot: slot.0, address: addressee.address, key, peer })
    }
}

impl Proven<Check> {
    /// An attempt, charged to its peer. `recipient` is the address the code was sent to, if the
    /// caller wants that confirmed.
    pub fn new(
        slot: Proven<Slot>,
        code: Code,
        recipient: Option<&Recipient>,
        nonce: Option<NonceDigest>,
        paid: Paid,
        keys: &StartKeys,
    ) -> Self {
        paid.pays_for(Activity::Check);
        let address = recipient.map(|recipient| keys.exact_address(recipient.exact()));
        Self(Check { slot: slot.0, code, address, nonce })
    }
}

impl Proven<Reserve> {
    /// A reservation in the share of the caller's project and mode.
    pub fn new(admitted: &Admitted, key: ClaimDigest, body: BodyDigest, lifetime: Duration) -> Self {
        Self(Reserve { key, body, owner: admitted.owner(), lifetime })
    }
}

impl Proven<Spend> {
    /// An introspection in the share of the caller's project and mode.
    pub fn new(admitted: &Admitted, receipt: ReceiptDigest, lifetime: Duration) -> Self {
        Self(Spend { receipt, owner: admitted.owner(), lifetime })
    }
}
