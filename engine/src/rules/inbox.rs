//! The record of one inbox: its live verifications, the mails it received, the wrong codes it saw.
//!
//! A plain value with rules. Nothing here knows about tables, threads or other inboxes.

use zeroize::Zeroize;

use super::ledger::GuessLedger;
use super::log::{BLOCK_BYTES, Stamped};
use super::mails::{Mail, MailLog, Sender};
use super::verification::{Opening, Try, Verification};
use crate::clock::{Moment, Now, Span};
use crate::code::{Code, CodeMac};
use crate::entropy::Entropy;
use crate::id::VerificationId;
use crate::identity::{Mode, Owner};
use crate::limits::{DELIVERY_RETRY_AFTER, LIVE_PER_INBOX};
use crate::request::{Answered, Approved, Check, Issue, Issued, Outcome, Policy, Refusal, Resend, Slot};
use crate::route::{IdDigest, InboxFingerprint, StartKeys};
use crate::rules::Rules;

/// All that is known about one inbox. Owned by the shard its fingerprint routes to.
#[derive(Debug)]
pub(crate) struct InboxRecord {
    pub(crate) fingerprint: InboxFingerprint,
    mails: MailLog,
    guesses: GuessLedger,
    live: Vec<Verification>,
}

impl InboxRecord {
    pub(crate) fn new(fingerprint: InboxFingerprint) -> Self {
        Self { fingerprint, mails: MailLog::default(), guesses: GuessLedger::default(), live: Vec::new() }
    }

    /// The record of an unpacked inbox, which remembered one mail and nothing else.
    pub(crate) fn waking(fingerprint: InboxFingerprint, mail: Mail) -> Self {
        Self { mails: MailLog::of(mail), ..Self::new(fingerprint) }
    }

    /// The mail, if a single mail is all that is remembered.
    pub(crate) fn only_mail(&self) -> Option<Mail> {
        self.mails.only().filter(|_| self.live.is_empty() && self.guesses.is_empty())
    }

    /// Opens a verification, if the inbox may receive another mail.
    pub(crate) fn issue(
        &mut self,
        now: Now,
        issue: Issue,
        rules: &Rules,
        keys: &StartKeys,
        entropy: &mut impl Entropy,
    ) -> Result<Issued, Refusal> {
        // The longer of the two waits, since waiting for `retry_after` must be enough.
        let sender = Sender { owner: issue.owner, key: issue.key, peer: issue.peer };
        let window = self.mails.wait(&sender, &rules.mails, now.at);
        if let Some(wait) = window.max(self.wait_for_room(issue.owner, now)) {
            return Err(rate_limited(Policy::Recipient, wait));
        }
        let settings = &rules.settings;
        let verification = Verification::open(Opening {
            id: issue.id.digest(),
            address: issue.address,
            nonce: issue.nonce,
            owner: issue.owner,
            expires: now.at.after(issue.lifetime.unwrap_or(settings.lifetime)),
            code_length: issue.code_length.unwrap_or(settings.code_length),
            attempts: settings.attempts,
            purpose: issue.purpose,
            form: issue.form,
            metadata: issue.metadata,
        });
        let at = self.insert(verification);
        Ok(self.send(now, at, issue.id, &sender, rules, keys, entropy))
    }

    /// Draws another code for a verification; attempts and lifetime stay unchanged.
    pub(crate) fn resend(
        &mut self,
        now: Now,
        resend: Resend,
        rules: &Rules,
        keys: &StartKeys,
        entropy: &mut impl Entropy,
    ) -> Result<Issued, Refusal> {
        let at = self.find(now, &resend.slot)?;
        let verification = &self.live[at];
        if !verification.is_of(&resend.address) {
            return Err(Refusal::RecipientMismatch);
        }
        let standing = verification.standing(now, &rules.settings);
        if standing.sends_remaining == 0 {
            return Err(rate_limited(Policy::Resend, now.at.until(standing.expires).unwrap_or_default()));
        }
        // As in `issue`, the longer wait, with its policy.
        let pause = now.at.until(standing.resend_at);
        let sender = Sender { owner: resend.slot.owner, key: resend.key, peer: resend.peer };
        let window = self.mails.wait(&sender, &rules.mails, now.at);
        if let Some(wait) = pause.max(window) {
            return Err(rate_limited(if window > pause { Policy::Recipient } else { Policy::Resend }, wait));
        }
        if verification.is_sending() {
            // The relay has not yet said whether it accepted the last mail.
            return Err(Refusal::DeliveryUnavailable { retry_after: DELIVERY_RETRY_AFTER });
        }
        Ok(self.send(now, at, resend.slot.id, &sender, rules, keys, entropy))
    }

    /// Count, compare, purge: one step without a pause.
    pub(crate) fn check(
        &mut self,
        now: Now,
        check: &Check,
        rules: &Rules,
        keys: &StartKeys,
    ) -> Result<Outcome, Refusal> {
        let at = self.find(now, &check.slot)?;
        let verification = &mut self.live[at];
        verification.fits(check.address.as_ref(), check.nonce.as_ref(), check.code.length())?;
        let presented = CodeMac::of(keys, &check.slot.id, &check.code);
        let expires = verification.expires;
        match verification.attempt(&presented, check.code.length()) {
            Try::Right => {
                let purpose = verification.purpose();
                self.purge(at);
                self.mails.prune(&rules.mails, now.at);
                let answered = self.answered(check.slot.owner);
                Ok(Outcome::Approved(Approved { purpose, unix_ms: now.unix_ms, expires, answered }))
            }
            Try::Wrong { attempts_remaining, compared } => {
                self.guesses.count(compared, rules.guesses.limits(), now.at);
                if attempts_remaining > 0 {
                    return Ok(Outcome::Incorrect { attempts_remaining, expires });
                }
                self.purge(at);
                Ok(Outcome::Exhausted { expires })
            }
        }
    }

    /// Purges a verification; an unknown one, or one of another owner, stays untouched.
    pub(crate) fn cancel(&mut self, now: Now, slot: &Slot) -> Outcome {
        let found = self.find(now, slot);
        if let Ok(at) = found {
            self.purge(at);
        }
        Outcome::Cancelled { was_live: found.is_ok() }
    }

    pub(crate) fn status(&self, now: Now, slot: &Slot, rules: &Rules) -> Result<Outcome, Refusal> {
        let verification = &self.live[self.find(now, slot)?];
        Ok(Outcome::Status(verification.standing(now, &rules.settings), verification.metadata()))
    }

    pub(crate) fn hand_over(&mut self, id: &IdDigest, send: u8, accepted: bool) {
        if let Some(verification) = self.live.iter_mut().find(|v| v.id == *id) {
            verification.hand_over(send, accepted);
        }
    }

    /// Purges expired verifications, passing each to `gone` first. Returns when to look again, or
    /// `None` if the record is empty.
    pub(crate) fn sweep(
        &mut self,
        now: Moment,
        rules: &Rules,
        mut gone: impl FnMut(&Verification),
    ) -> Option<Moment> {
        while let Some(at) = self.live.iter().position(|v| !v.is_live(now)) {
            gone(&self.live[at]);
            self.purge(at);
        }
        let guess = rules.guesses.limits();
        self.mails.prune(&rules.mails, now);
        self.guesses.prune(guess, now);
        let ends = self.live.iter().map(|v| v.expires);
        let ends = ends.chain(self.mails.empty_at(&rules.mails)).chain(self.guesses.empty_at(guess));
        ends.filter(|end| *end > now).min()
    }

    pub(crate) fn holds(&self, id: &IdDigest) -> bool {
        self.verification(id).is_some()
    }

    pub(crate) fn verification(&self, id: &IdDigest) -> Option<&Verification> {
        self.live.iter().find(|verification| verification.id == *id)
    }

    /// The owner that the record counts for, apart from its verifications: the owner of the first
    /// live verification, otherwise of the latest mail.
    pub(crate) fn keeper(&self) -> Option<Owner> {
        let last = || self.mails.latest().map(Mail::owner);
        self.live.first().map(Verification::owner).or_else(last)
    }

    /// The id digest of the verification that was opened first.
    pub(crate) fn first_id(&self) -> Option<&IdDigest> {
        self.live.first().map(|verification| &verification.id)
    }

    /// Prefetches the first of its verifications; see [`crate::shard::touch`].
    pub(crate) fn touch(&self) -> u64 {
        self.live.first().map_or(0, Verification::touch)
    }

    /// Bytes besides the record itself (verifications with their extras, and logs), and the part of
    /// them that belongs to verifications, which count for their own owners.
    pub(crate) fn heap_bytes(&self) -> (usize, usize) {
        let list = match self.live.capacity() {
            0 => 0,
            places => places * size_of::<Verification>() + BLOCK_BYTES,
        };
        let notes: usize = self.live.iter().map(Verification::heap_bytes).sum();
        let all = list + notes + self.mails.heap_bytes() + self.guesses.heap_bytes();
        (all, notes + self.live.len() * size_of::<Verification>())
    }

    /// How long until there is a place for another verification of `owner`; `None` if there is one
    /// now. As in the whole table, one project may hold at most as many as are free.
    fn wait_for_room(&self, owner: Owner, now: Now) -> Option<Span> {
        let is_own = |v: &&Verification| v.owner() == owner;
        let (mut all, mut own) = (self.live.len(), self.live.iter().filter(is_own).count());
        let fits = |all: usize, own: usize| all < LIVE_PER_INBOX && own <= LIVE_PER_INBOX - all;
        if fits(all, own) {
            return None;
        }
        let mut ends: Vec<_> = self.live.iter().map(|v| (v.expires, v.owner() == owner)).collect();
        ends.sort_unstable();
        let enough = ends.into_iter().find(|(_, is_own)| {
            (all, own) = (all - 1, own - usize::from(*is_own));
            fits(all, own)
        });
        enough.map(|(end, _)| now.at.until(end).unwrap_or_default())
    }

    /// The mail that a correct code has answered, as far as the log remembers: its project's latest
    /// one.
    fn answered(&self, owner: Owner) -> Option<Answered> {
        let mail = self.mails.latest_of(owner)?;
        let domain = self.fingerprint.domain();
        Some(Answered { at: mail.at(), key: mail.key(), peer: mail.peer(), domain })
    }

    /// Whether the verification that `slot` names lives here and belongs to the caller.
    pub(crate) fn finds(&self, now: Now, slot: &Slot) -> bool {
        self.find(now, slot).is_ok()
    }

    fn find(&self, now: Now, slot: &Slot) -> Result<usize, Refusal> {
        self.live
            .iter()
            .position(|v| v.id == slot.id.digest() && v.owner() == slot.owner && v.is_live(now.at))
            .ok_or(Refusal::VerificationNotFound)
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "the clock, the place, and everything that decides an issue"
    )]
    fn send(
        &mut self,
        now: Now,
        at: usize,
        id: VerificationId,
        sender: &Sender,
        rules: &Rules,
        keys: &StartKeys,
        entropy: &mut impl Entropy,
    ) -> Issued {
        let (settings, guess) = (&rules.settings, rules.guesses.limits());
        let open = self.live.iter().filter(|v| v.is_live(now.at)).map(Verification::open_guesses).sum();
        let least = self.guesses.least_digits(open, guess, now.at);
        let verification = &mut self.live[at];
        let length = verification.code_length().max(least);
        let test = verification.owner().mode == Mode::Test;
        let code = if test { Code::zeros(length) } else { Code::draw(length, entropy) };
        let send =
            verification.send(CodeMac::of(keys, &id, &code), length, now.at.after(settings.resend_after));
        if test {
            // No mail is sent in test mode, so there is no delivery report to wait for.
            verification.hand_over(send, true);
        }
        self.mails.record(sender, &rules.mails, now.at);
        let verification = &self.live[at];
        let (form, standing) = (verification.form(), verification.standing(now, &rules.settings));
        Issued { id, code, send, form, standing }
    }

    /// Adds a verification without leaving a copy behind: on growth, the old memory is wiped before
    /// it is freed.
    fn insert(&mut self, verification: Verification) -> usize {
        if self.live.len() == self.live.capacity() {
            let mut roomier = Vec::with_capacity((2 * self.live.len()).max(1));
            roomier.append(&mut self.live);
            let mut old = std::mem::replace(&mut self.live, roomier);
            wipe_spare(&mut old);
        }
        self.live.push(verification);
        self.live.len() - 1
    }

    fn purge(&mut self, at: usize) {
        self.live[at].zeroize();
        self.live.swap_remove(at);
        wipe_spare(&mut self.live);
        if self.live.is_empty() {
            // An idle record must not keep the memory of its verifications.
            self.live = Vec::new();
        }
    }
}

/// Overwrites the spare capacity of a vector, where moved-out values have left their bytes.
fn wipe_spare(list: &mut Vec<Verification>) {
    list.spare_capacity_mut().zeroize();
}

fn rate_limited(policy: Policy, wait: Span) -> Refusal {
    Refusal::RateLimited { policy, retry_after: wait.into() }
}
