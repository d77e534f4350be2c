//! Parses raw text into a [`Recipient`], or returns a [`RecipientFault`].
//!
//! One address has three forms, each with one use:
//!
//! | form | example for `Ada.Lovelace+x@GMail.com` | use |
//! |---|---|---|
//! | [`delivery`](Recipient::delivery) | `Ada.Lovelace+x@GMail.com` | the `To:` line |
//! | [`exact`](Recipient::exact) | `Ada.Lovelace+x@gmail.com` | SMTP envelope, the receipt, and comparing with the address the code was sent to |
//! | [`canonical`](Recipient::canonical) | `adalovelace@gmail.com` | key of the limits, never an identity |
//!
//! The grammar is the dot-atom of RFC 5321 section 4.1.2 with the UTF-8 of RFC 6531 section 3.3,
//! and nothing else of RFC 5322: every other form allows writing one mailbox in many ways or two
//! mailboxes in one address. Where folding is uncertain, addresses are merged: a shared bucket
//! costs a stranger some mails, but an extra bucket lets the inbox's owner be mailed past the
//! limit.

pub mod disposable;
pub mod domain;
mod fault;
mod local;
pub mod provider;
mod scan;

pub use domain::{Realm, RegistrableDomain};
pub use fault::{RecipientFault, RecipientFaultKind};

use crate::identity::Mode;
use crate::recipient::provider::{Home, ProviderTable};
use crate::route::{InboxFingerprint, StartKeys};
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use zeroize::Zeroizing;

/// Longest address in octets: RFC 5321 section 4.5.3.1.3 allows a path of 256 with its brackets.
pub const MAX_ADDRESS: usize = 254;
/// Longest local part in octets: RFC 5321 section 4.5.3.1.1.
pub const MAX_LOCAL: usize = 64;

/// An address that mail can be sent to. Only [`Recipient::parse`] makes one.
///
/// Wiped on drop; `Debug` shows no part of it.
pub struct Recipient {
    /// The address as typed, its exact form if that differs, its canonical form.
    text: Zeroizing<String>,
    delivery: Range<usize>,
    exact: Range<usize>,
    canonical: Range<usize>,
    /// Position in `text` of the `@` of `exact`, where its local part ends.
    at: usize,
    /// Position in `text` where the part of the domain starts that a hint may show.
    shown_domain: usize,
    /// Whether the domain belongs to a mail provider or relay of the table.
    is_familiar: bool,
}

impl Recipient {
    /// Parses one address. `raw` must be the address and nothing else: white space is not trimmed,
    /// because the mail is sent to the text as typed.
    ///
    /// # Errors
    /// The first rule that `raw` breaks, with the octets that break it.
    pub fn parse(raw: &str, realm: Realm, providers: &ProviderTable) -> Result<Self, RecipientFault> {
        use RecipientFaultKind::AddressTooLong;
        if raw.len() > MAX_ADDRESS {
            return Err(AddressTooLong.at(0..raw.len()));
        }
        let at = scan::find_at_sign(raw)?;
        let folded = local::fold(&raw[..at])?;
        let domain = domain::normalise(&raw[at + 1..], realm).map_err(|kind| kind.at(at + 1..raw.len()))?;
        if at + 1 + domain.len() > MAX_ADDRESS {
            return Err(AddressTooLong.at(0..raw.len()));
        }
        Ok(Self::assemble(raw, at, &folded, &domain, &providers.home(&domain)))
    }

    /// Writes all forms into one buffer, allocated at full size so that it never moves and leaves a
    /// copy.
    fn assemble(raw: &str, at: usize, folded: &str, domain: &str, home: &Home<'_>) -> Self {
        let as_typed = matches!(raw.get(at + 1..), Some(typed) if typed == domain);
        let exact_len = if as_typed { 0 } else { at + 1 + domain.len() };
        let local = home.user.unwrap_or(folded);
        let room = raw.len() + exact_len + local.len().max(1) + 1 + home.domain.len();
        let mut text = Zeroizing::new(String::with_capacity(room));
        let place = text.as_ptr();
        text.push_str(raw);
        let exact = if as_typed {
            0..raw.len()
        } else {
            text.push_str(&raw[..=at]);
            text.push_str(domain);
            raw.len()..text.len()
        };
        let canonical = text.len();
        home.rule.fold_into(local, &mut text);
        text.push('@');
        text.push_str(home.domain);
        debug_assert!(std::ptr::eq(place, text.as_ptr()), "the buffer moved and left a copy");
        Self {
            delivery: 0..raw.len(),
            at: exact.start + at,
            // `anything@ada.example.net` can be another form of `ada@…`: the label names a person.
            shown_domain: exact.end - home.base_len,
            is_familiar: home.is_familiar,
            exact,
            canonical: canonical..text.len(),
            text,
        }
    }

    /// The address exactly as typed, for the mail's `To:` line.
    #[must_use]
    pub fn delivery(&self) -> &str {
        &self.text[self.delivery.clone()]
    }

    /// Local part exactly as typed, domain as lower-case A-labels: one mailbox as SMTP sees it (RFC
    /// 5321 section 2.4: local parts are case-sensitive, domains are not).
    #[must_use]
    pub fn exact(&self) -> &str {
        &self.text[self.exact.clone()]
    }

    /// The key of every limit of this inbox, the same for all its aliases. Never send mail to it
    /// and never use it as an identity: it may name nobody.
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.text[self.canonical.clone()]
    }

    /// The domain in lower-case A-labels, for the disposable catalog.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.text[self.at + 1..self.exact.end]
    }

    /// The domain that domain limits count by: the registrable domain, including everything below
    /// it, because its owner can receive mail under any name there. `None` for a mail provider or
    /// privacy relay of the table, whose names belong to many people.
    ///
    /// Consults the Public Suffix List at each call.
    #[must_use]
    pub fn unfamiliar_domain(&self) -> Option<RegistrableDomain<'_>> {
        (!self.is_familiar).then(|| RegistrableDomain::of(self.domain()))
    }

    /// The fingerprint of its inbox. It includes the domain if a live key mails to a domain that is
    /// not in the table; test keys send no mail.
    #[must_use]
    pub fn inbox(&self, keys: &StartKeys, mode: Mode) -> InboxFingerprint {
        let counted = if mode == Mode::Live { self.unfamiliar_domain() } else { None };
        keys.inbox(self.canonical(), counted.map(RegistrableDomain::as_str), mode)
    }

    /// `A***@gmail.com`: enough for the owner to know which inbox to open. It shows one character
    /// of the local part, and no label below a provider that puts the account's name there.
    #[must_use]
    pub fn hint(&self) -> String {
        let first = self.text.chars().next().unwrap_or('*');
        let domain = &self.text[self.shown_domain..self.exact.end];
        let mut hint = String::with_capacity(first.len_utf8() + "***@".len() + domain.len());
        hint.push(first);
        hint.push_str("***@");
        hint.push_str(domain);
        hint
    }

    /// Whether the envelope needs SMTPUTF8 (RFC 6531). A non-ASCII local part has no ASCII form; a
    /// domain always has one, in [`exact`](Self::exact).
    #[must_use]
    pub fn needs_smtputf8(&self) -> bool {
        !self.text[self.exact.start..self.at].is_ascii()
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recipient(redacted)")
    }
}

/// Text that is wiped if this crate allocated it, and borrowed if the caller owns it.
pub(crate) enum Wiped<'a> {
    Borrowed(&'a str),
    Owned(Zeroizing<String>),
}

impl std::ops::Deref for Wiped<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Owned(text) => text,
        }
    }
}

impl<'a> From<Wiped<'a>> for Cow<'a, str> {
    /// For names of a public list, which need no wiping.
    fn from(text: Wiped<'a>) -> Self {
        match text {
            Wiped::Borrowed(text) => Self::Borrowed(text),
            Wiped::Owned(text) => Self::Owned(text.to_string()),
        }
    }
}

impl<'a> From<Cow<'a, str>> for Wiped<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        match text {
            Cow::Borrowed(text) => Self::Borrowed(text),
            Cow::Owned(text) => Self::Owned(Zeroizing::new(text)),
        }
    }
}
