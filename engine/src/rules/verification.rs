//! One verification: the rules of its codes and attempts.
//!
//! ```text
//!            issue                    mail accepted
//!   (none) ─────────▶ pending code ───────────────────────▶ current code
//!                        │  mail failed                        │ a later code becomes current:
//!                        ▼                                     ▼ the last two stay valid
//!                     (no code; a resend may follow)        older code
//!
//!   correct code · last wrong code · cancel · expiry ──▶ wiped, in the same turn
//! ```
//!
//! An attempt is counted before the code is compared. A pending code is compared too: a caller who
//! knows it has received the mail, so delivery has evidently succeeded, even if the relay's report
//! has not arrived yet.
//!
//! Each code has its own number of digits, since a resend may draw a longer one (see `ledger.rs`),
//! and is compared only with input of the same length. Answers report the length of the code that
//! was drawn last.

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::log::BLOCK_BYTES;
use crate::clock::{Moment, Now};
use crate::code::CodeMac;
use crate::identity::{Mode, Owner, ProjectId};
use crate::limits::CODE_DIGITS_GUESSED;
use crate::request::{MailForm, Purpose, Refusal, Standing, Word};
use crate::route::{AddressDigest, IdDigest, NonceDigest};
use crate::settings::Settings;

/// Indices of a verification's codes: two that were accepted for delivery, older and newer, since
/// the last two mails may overtake each other; and one whose mail is being sent.
const OLDER: usize = 0;
const NEWER: usize = 1;
const PENDING: usize = 2;

/// A live verification. Owned by its inbox's record; wiped when it ends. `limits.rs` relies on its
/// size, so what few verifications have is in [`Extras`].
#[derive(Debug, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Verification {
    /// Digest of the id; only the caller has the id itself.
    pub(crate) id: IdDigest,
    /// Digest of the address its mails are sent to.
    address: AddressDigest,
    codes: [Drawn; 3],
    #[zeroize(skip)]
    pub(crate) expires: Moment,
    #[zeroize(skip)]
    resend_at: Moment,
    /// Empty if the purpose is in `extras`.
    purpose: Word,
    /// Language of its mails.
    locale: u8,
    project: u32,
    test: bool,
    /// Digits of the code that was drawn last.
    code_length: u8,
    /// Attempts left.
    attempts: u8,
    /// Mails sent, including one still being sent.
    sends: u8,
    #[zeroize(skip)] // wipes itself on drop
    extras: Option<Box<Extras>>,
}

/// The MAC of a code and its number of digits; zero digits mean no code.
#[derive(Clone, Debug, Default, Zeroize)]
struct Drawn {
    mac: CodeMac,
    length: u8,
}

/// Fields that most verifications don't need.
#[derive(Debug, Default, Zeroize, ZeroizeOnDrop)]
struct Extras {
    nonce: Option<NonceDigest>,
    /// A purpose that does not fit into a [`Word`].
    purpose: Option<Box<str>>,
    /// Template of its mails, if not the default.
    template: u8,
    metadata: Option<Box<str>>,
}

/// The arguments of [`Verification::open`].
pub(crate) struct Opening {
    pub id: IdDigest,
    pub address: AddressDigest,
    pub nonce: Option<NonceDigest>,
    pub owner: Owner,
    pub expires: Moment,
    pub code_length: u8,
    pub attempts: u8,
    pub purpose: Purpose,
    pub form: MailForm,
    pub metadata: Option<Box<str>>,
}

/// The result of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Try {
    Right,
    /// Wrong; it was compared with `compared` codes.
    Wrong {
        attempts_remaining: u8,
        compared: u8,
    },
}

impl Verification {
    pub(crate) fn open(opening: Opening) -> Self {
        let (purpose, text) = match opening.purpose {
            Purpose::Word(word) => (word, None),
            Purpose::Text(text) => (Word::default(), Some(*text)),
        };
        let extras = Extras {
            nonce: opening.nonce,
            purpose: text,
            template: opening.form.template,
            metadata: opening.metadata,
        };
        Self {
            id: opening.id,
            address: opening.address,
            codes: Default::default(),
            expires: opening.expires,
            resend_at: Moment::default(),
            purpose,
            locale: opening.form.locale,
            project: opening.owner.project.0,
            test: opening.owner.mode == Mode::Test,
            code_length: opening.code_length,
            attempts: opening.attempts,
            sends: 0,
            extras: extras.has_any().then(|| Box::new(extras)),
        }
    }

    /// Adds a new code of `length` digits whose mail is about to be sent. Returns the mail's
    /// number.
    pub(crate) fn send(&mut self, mac: CodeMac, length: u8, resend_at: Moment) -> u8 {
        self.sends = self.sends.saturating_add(1);
        self.resend_at = resend_at;
        self.code_length = length;
        self.codes[PENDING] = Drawn { mac, length };
        self.sends
    }

    /// Applies the delivery report of mail `send`. A failed mail invalidates only its own code.
    pub(crate) fn hand_over(&mut self, send: u8, accepted: bool) {
        // Only the latest mail can be unreported: a resend waits for the report of the one before.
        if !self.is_sending() || send != self.sends {
            return;
        }
        let pending = std::mem::take(&mut self.codes[PENDING]);
        if accepted {
            let newer = std::mem::replace(&mut self.codes[NEWER], pending);
            self.codes[OLDER] = newer;
        }
    }

    /// Whether a mail of this verification is still being sent.
    pub(crate) fn is_sending(&self) -> bool {
        self.codes[PENDING].length > 0
    }

    /// Counts an attempt, then compares it with every live code of the same length. The caller
    /// removes the verification unless attempts are left.
    pub(crate) fn attempt(&mut self, presented: &CodeMac, length: u8) -> Try {
        let Some(left) = self.attempts.checked_sub(1) else {
            return Try::Wrong { attempts_remaining: 0, compared: 0 };
        };
        self.attempts = left;
        let comparable = self.codes.iter().filter(|code| code.length == length);
        // No early exit: the time must not reveal which of the codes matched.
        let (right, compared) = comparable
            .fold((false, 0), |(right, compared), code| (right | code.mac.matches(presented), compared + 1));
        if right { Try::Right } else { Try::Wrong { attempts_remaining: left, compared } }
    }

    /// Comparisons that its attempts may still make with short codes: those that the ledger has not
    /// lengthened.
    pub(crate) fn open_guesses(&self) -> u32 {
        let short = self.codes.iter().filter(|code| (1..CODE_DIGITS_GUESSED).contains(&code.length));
        u32::from(self.attempts) * short.count() as u32
    }

    /// Whether the request's address, nonce and code length match. A mismatch costs no attempt.
    pub(crate) fn fits(
        &self,
        address: Option<&AddressDigest>,
        nonce: Option<&NonceDigest>,
        code_length: u8,
    ) -> Result<(), Refusal> {
        if address.is_some_and(|address| *address != self.address) {
            return Err(Refusal::RecipientMismatch);
        }
        let wanted = self.extras.as_ref().and_then(|extras| extras.nonce.as_ref());
        if wanted.is_some() && nonce != wanted {
            return Err(Refusal::NonceMismatch);
        }
        if !self.has_code_of(code_length) {
            return Err(Refusal::MalformedCode);
        }
        Ok(())
    }

    /// If every mail failed there is no code; then the length of the last one is accepted.
    fn has_code_of(&self, length: u8) -> bool {
        let mut live = self.codes.iter().map(|code| code.length).filter(|&length| length > 0).peekable();
        if live.peek().is_none() { length == self.code_length } else { live.any(|other| other == length) }
    }

    pub(crate) fn is_of(&self, address: &AddressDigest) -> bool {
        *address == self.address
    }

    pub(crate) fn owner(&self) -> Owner {
        let mode = if self.test { Mode::Test } else { Mode::Live };
        Owner { project: ProjectId(self.project), mode }
    }

    pub(crate) fn is_live(&self, now: Moment) -> bool {
        self.expires > now
    }

    pub(crate) fn code_length(&self) -> u8 {
        self.code_length
    }

    pub(crate) fn form(&self) -> MailForm {
        let template = self.extras.as_ref().map_or(0, |extras| extras.template);
        MailForm { locale: self.locale, template }
    }

    pub(crate) fn standing(&self, now: Now, settings: &Settings) -> Standing {
        Standing {
            purpose: self.purpose(),
            code_length: self.code_length,
            at: now.at,
            unix_ms: now.unix_ms,
            expires: self.expires,
            resend_at: self.resend_at,
            sends_remaining: settings.sends.saturating_sub(self.sends),
            attempts_remaining: self.attempts,
        }
    }

    pub(crate) fn purpose(&self) -> Purpose {
        let text = self.extras.as_ref().and_then(|extras| extras.purpose.clone());
        text.map_or(Purpose::Word(self.purpose), |text| Purpose::Text(Box::new(text)))
    }

    pub(crate) fn metadata(&self) -> Option<Box<str>> {
        self.extras.as_ref()?.metadata.clone()
    }

    /// Prefetches all of it, since it is longer than a cache line; see [`crate::shard::touch`].
    pub(crate) fn touch(&self) -> u64 {
        let [first, .., last] = self.id.as_bytes();
        let codes = self.codes.iter().fold(0, |sum, code| sum ^ code.length);
        u64::from(first ^ last ^ codes ^ self.attempts) ^ self.expires.as_millis()
    }

    /// Bytes besides the verification itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        let text = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len() + BLOCK_BYTES);
        self.extras.as_ref().map_or(0, |extras| {
            size_of::<Extras>() + BLOCK_BYTES + text(&extras.purpose) + text(&extras.metadata)
        })
    }
}

impl Extras {
    fn has_any(&self) -> bool {
        self.nonce.is_some() || self.purpose.is_some() || self.template > 0 || self.metadata.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(change: impl FnOnce(&mut Opening)) -> Verification {
        let mut opening = Opening {
            id: IdDigest::default(),
            address: AddressDigest::default(),
            nonce: None,
            owner: Owner { project: ProjectId(1), mode: Mode::Live },
            expires: Moment::from_millis(1),
            code_length: 6,
            attempts: 5,
            purpose: "login".into(),
            form: MailForm::default(),
            metadata: None,
        };
        change(&mut opening);
        Verification::open(opening)
    }

    #[test]
    fn memory_beside_a_verification_is_what_it_has_besides() {
        let besides = size_of::<Extras>() + BLOCK_BYTES;
        assert_eq!(opened(|_| ()).heap_bytes(), 0);
        assert_eq!(opened(|opening| opening.nonce = Some(NonceDigest::default())).heap_bytes(), besides);
        assert_eq!(opened(|opening| opening.form.template = 1).heap_bytes(), besides);
        let long = "a purpose of 24 letters.";
        assert_eq!(opened(|opening| opening.purpose = long.into()).heap_bytes(), besides + 24 + BLOCK_BYTES);
        let both = opened(|opening| {
            opening.purpose = "x".repeat(30).as_str().into();
            opening.metadata = Some("{}".into());
        });
        assert_eq!(both.heap_bytes(), besides + 30 + 2 + 2 * BLOCK_BYTES);
    }
}
