//! One verification: the rules of its codes and tries.
//!
//! ```text
//!            issue                    hand-over accepted
//!   (none) ─────────▶ pending code ───────────────────────▶ current code
//!                        │  hand-over failed                   │ a later code becomes current:
//!                        ▼                                     ▼ the last two stay
//!                     (no code; a resend may follow)        older code
//!
//!   right code · last wrong code · cancel · expiry ──▶ wiped, in the same turn
//! ```
//!
//! A try is counted before it is compared. A pending code is compared too: who can type it has the
//! mail, so the hand-over evidently happened, even if the relay's word has not reached us yet.
//!
//! Each code has its own number of digits, as a resend may draw a longer one (see `ledger.rs`), and
//! is compared only with what has as many. Answers report the number of the code that was drawn
//! last.

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::log::BLOCK_BYTES;
use crate::clock::{Moment, Now};
use crate::code::CodeMac;
use crate::identity::{Mode, Owner, ProjectId};
use crate::limits::CODE_DIGITS_GUESSED;
use crate::request::{MailForm, Purpose, Refusal, Standing, Word};
use crate::route::{AddressDigest, IdDigest, NonceDigest};
use crate::settings::Settings;

/// The places of a verification's codes: two that were handed over, older and newer, since the last
/// two mails may overtake each other; and one whose mail is on its way.
const OLDER: usize = 0;
const NEWER: usize = 1;
const PENDING: usize = 2;

/// A live verification. Owned by its inbox's record; wiped when it ends. Its size is a promise of
/// `limits.rs`, so what few verifications have is in [`Extras`].
#[derive(Debug, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Verification {
    /// Digest of the id; the id itself is the caller's.
    pub(crate) id: IdDigest,
    /// Digest of the address that its mails go to.
    address: AddressDigest,
    codes: [Drawn; 3],
    #[zeroize(skip)]
    pub(crate) expires: Moment,
    #[zeroize(skip)]
    resend_at: Moment,
    /// Empty if the purpose is among the extras.
    purpose: Word,
    /// Of its mails.
    locale: u8,
    project: u32,
    test: bool,
    /// Digits of the code that was drawn last.
    code_length: u8,
    /// Tries left.
    attempts: u8,
    /// Mails sent, the one on its way included.
    sends: u8,
    #[zeroize(skip)] // wipes itself when it is dropped
    extras: Option<Box<Extras>>,
}

/// The MAC of a code with its number of digits; none if that is zero.
#[derive(Clone, Debug, Default, Zeroize)]
struct Drawn {
    mac: CodeMac,
    length: u8,
}

/// What most verifications go without.
#[derive(Debug, Default, Zeroize, ZeroizeOnDrop)]
struct Extras {
    nonce: Option<NonceDigest>,
    /// A purpose that is no word.
    purpose: Option<Box<str>>,
    /// Of its mails, if it is not the usual one.
    template: u8,
    metadata: Option<Box<str>>,
}

/// What [`Verification::open`] needs besides the moment.
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

/// How a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Try {
    Right,
    /// Wrong, `compared` with so many codes.
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

    /// Takes a new code of `length` digits in; its mail is on its way. Returns the mail's number.
    pub(crate) fn send(&mut self, mac: CodeMac, length: u8, resend_at: Moment) -> u8 {
        self.sends = self.sends.saturating_add(1);
        self.resend_at = resend_at;
        self.code_length = length;
        self.codes[PENDING] = Drawn { mac, length };
        self.sends
    }

    /// The hand-over of mail `send` ended. A failed one takes only its own code away.
    pub(crate) fn hand_over(&mut self, send: u8, accepted: bool) {
        // Only the latest mail can be on its way: a resend waits for the word about the one before.
        if !self.is_sending() || send != self.sends {
            return;
        }
        let word = std::mem::take(&mut self.codes[PENDING]);
        if accepted {
            let newer = std::mem::replace(&mut self.codes[NEWER], word);
            self.codes[OLDER] = newer;
        }
    }

    /// Whether a mail of this verification is on its way.
    pub(crate) fn is_sending(&self) -> bool {
        self.codes[PENDING].length > 0
    }

    /// Counts a try, then compares it with every live code of as many digits. The caller removes
    /// the verification unless tries are left.
    pub(crate) fn attempt(&mut self, presented: &CodeMac, length: u8) -> Try {
        let Some(left) = self.attempts.checked_sub(1) else {
            return Try::Wrong { attempts_remaining: 0, compared: 0 };
        };
        self.attempts = left;
        let comparable = self.codes.iter().filter(|code| code.length == length);
        // No early exit: the time must not tell which of the codes it was.
        let (right, compared) = comparable
            .fold((false, 0), |(right, compared), code| (right | code.mac.matches(presented), compared + 1));
        if right { Try::Right } else { Try::Wrong { attempts_remaining: left, compared } }
    }

    /// Comparisons that its tries may still make with short codes: those that the ledger has not
    /// lengthened.
    pub(crate) fn open_guesses(&self) -> u32 {
        let short = self.codes.iter().filter(|code| (1..CODE_DIGITS_GUESSED).contains(&code.length));
        u32::from(self.attempts) * short.count() as u32
    }

    /// Whether the request's address, nonce and digits fit at all. None of these spends a try.
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

    /// Where every mail failed there is no code; the digits of the last one are what people may
    /// try.
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

    /// Looks at all of it, since it is longer than a line of the cache; see
    /// [`crate::shard::touch`].
    pub(crate) fn touch(&self) -> u64 {
        let [first, .., last] = self.id.as_bytes();
        let codes = self.codes.iter().fold(0, |sum, code| sum ^ code.length);
        u64::from(first ^ last ^ codes ^ self.attempts) ^ self.expires.as_millis()
    }

    /// Bytes beside the verification itself.
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
