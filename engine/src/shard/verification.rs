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
//! A try is counted before it is compared. A pending code is compared too: who can type it has the mail,
//! so the hand-over evidently happened, even if the relay's word has not reached us yet.

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::clock::{Moment, Now};
use crate::code::CodeMac;
use crate::perimeter::api_key::Mode;
use crate::request::{Owner, ProjectId, Refusal, Standing};
use crate::route::Digest128;

/// Codes that work at once, besides one whose mail is on its way: the last two mails may overtake
/// each other.
const CURRENT_CODES: usize = 2;

/// A live verification. Owned by its inbox's record; wiped when it ends.
#[derive(Debug, Zeroize, ZeroizeOnDrop)]
pub(super) struct Verification {
    /// Digest of the id; the id itself is the caller's.
    pub(super) id: Digest128,
    /// Digest of the address exactly as typed.
    address: Digest128,
    nonce: Option<Digest128>,
    project: u32,
    test: bool,
    /// Handed-over codes, oldest first.
    current: [Option<CodeMac>; CURRENT_CODES],
    /// The code whose mail is on its way, with the mail's number.
    pending: Option<(u8, CodeMac)>,
    #[zeroize(skip)]
    pub(super) expires: Moment,
    #[zeroize(skip)]
    resend_at: Moment,
    code_length: u8,
    attempts: u8,
    sends: u8,
    sends_remaining: u8,
    purpose: Box<str>,
    metadata: Option<Box<str>>,
}

/// What [`Verification::open`] needs besides the moment.
pub(super) struct Opening {
    pub id: Digest128,
    pub address: Digest128,
    pub nonce: Option<Digest128>,
    pub owner: Owner,
    pub expires: Moment,
    pub code_length: u8,
    pub attempts: u8,
    pub sends: u8,
    pub purpose: Box<str>,
    pub metadata: Option<Box<str>>,
}

/// How a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Try {
    Right,
    Wrong { attempts_remaining: u8 },
    LastWrong,
}

impl Verification {
    pub(super) fn open(opening: Opening) -> Self {
        Self {
            id: opening.id,
            address: opening.address,
            nonce: opening.nonce,
            project: opening.owner.project.0,
            test: opening.owner.mode == Mode::Test,
            current: [None, None],
            pending: None,
            expires: opening.expires,
            resend_at: Moment::default(),
            code_length: opening.code_length,
            attempts: opening.attempts,
            sends: 0,
            sends_remaining: opening.sends,
            purpose: opening.purpose,
            metadata: opening.metadata,
        }
    }

    /// Takes a new code in; its mail is on its way. Returns the mail's number.
    pub(super) fn send(&mut self, mac: CodeMac, resend_at: Moment) -> u8 {
        self.sends = self.sends.saturating_add(1);
        self.sends_remaining = self.sends_remaining.saturating_sub(1);
        self.resend_at = resend_at;
        self.pending = Some((self.sends, mac));
        self.sends
    }

    /// The hand-over of mail `send` ended. A failed one takes only its own code away.
    pub(super) fn hand_over(&mut self, send: u8, accepted: bool) {
        if let Some((_, mac)) = self.pending.take_if(|(pending, _)| *pending == send)
            && accepted
        {
            self.current.rotate_left(1);
            self.current[CURRENT_CODES - 1] = Some(mac);
        }
    }

    /// Whether a mail of this verification is on its way.
    pub(super) fn is_sending(&self) -> bool {
        self.pending.is_some()
    }

    /// Counts a try, then compares it with every live code. The caller removes the verification
    /// unless tries are left.
    pub(super) fn attempt(&mut self, presented: &CodeMac) -> Try {
        let Some(left) = self.attempts.checked_sub(1) else { return Try::LastWrong };
        self.attempts = left;
        let live = self.current.iter().flatten().chain(self.pending.iter().map(|(_, mac)| mac));
        // No early exit: the time must not tell which of the codes it was.
        let right = live.fold(false, |right, mac| right | mac.matches(presented));
        match (right, left) {
            (true, _) => Try::Right,
            (false, 0) => Try::LastWrong,
            (false, left) => Try::Wrong { attempts_remaining: left },
        }
    }

    /// Whether the request's address, nonce and digits fit at all. None of these spends a try.
    pub(super) fn fits(
        &self,
        address: Option<&Digest128>,
        nonce: Option<&Digest128>,
        code_length: u8,
    ) -> Result<(), Refusal> {
        if address.is_some_and(|address| *address != self.address) {
            return Err(Refusal::RecipientMismatch);
        }
        if self.nonce.is_some() && nonce != self.nonce.as_ref() {
            return Err(Refusal::NonceMismatch);
        }
        if code_length != self.code_length {
            return Err(Refusal::MalformedCode);
        }
        Ok(())
    }

    pub(super) fn is_of(&self, address: &Digest128) -> bool {
        *address == self.address
    }

    pub(super) fn owner(&self) -> Owner {
        let mode = if self.test { Mode::Test } else { Mode::Live };
        Owner { project: ProjectId(self.project), mode }
    }

    pub(super) fn is_live(&self, now: Moment) -> bool {
        self.expires > now
    }

    pub(super) fn standing(&self, now: Now) -> Standing {
        Standing {
            purpose: self.purpose.clone(),
            code_length: self.code_length,
            at: now.at,
            unix_ms: now.unix_ms,
            expires: self.expires,
            resend_at: self.resend_at,
            sends_remaining: self.sends_remaining,
            attempts_remaining: self.attempts,
        }
    }

    pub(super) fn metadata(&self) -> Option<Box<str>> {
        self.metadata.clone()
    }
}
